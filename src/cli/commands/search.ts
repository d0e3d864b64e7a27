import type { Command } from 'commander';
import { asObject, listOf } from '../answer.js';
import { createCommand, openClient, withExamples, withTarget, type Context, type TargetOptions } from '../command.js';
import { formatHits, readFilters, withFilters } from '../hits.js';

interface SearchOptions extends TargetOptions {
  limit: string;
  order?: string;
  cursor?: string;
  proof?: true;
  all?: true;
}

/** `keelson search`. */
export function createSearch(context: Context): Command {
  const command = withFilters(withTarget(createCommand('search', 'find entries by who, what, when')))
    .option('--order <asc|desc>', 'oldest or newest first (default: newest)')
    .option('--limit <count>', 'entries a page', '100')
    .option('--cursor <cursor>', 'where the page before ended')
    .option('--all', 'every page')
    .option('--proof', 'with inclusion proofs (see --json)')
    .action((options: SearchOptions) => search(context, options));
  return withExamples(command, [
    'keelson search --agent spiffe://company.com/agent/deploy-bot --decision deny',
    'keelson search --principal dana@company.com --from 2026-11-01T00:00:00Z --all --json > dana.ndjson',
    'keelson search --jti 0b9cf6a2-5f54-4b26-9ff5-5f1a3a5d4d0e',
  ]);
}

async function search({ output, io }: Context, options: SearchOptions): Promise<void> {
  const client = await openClient({ output, io }, options);
  const { order, limit, proof } = options;
  const query = { ...readFilters(options), order, limit, proof: proof && 'true' };
  for (let cursor = options.cursor; ;) {
    const page = asObject(await client.getJson('/v1/search', { ...query, cursor }));
    const hits = listOf(page, 'hits');
    for (const line of formatHits(hits, options)) await output.line(line);
    cursor = page.end === true || typeof page.next !== 'string' ? undefined : page.next;
    if (cursor === undefined || output.closed) return;
    if (!options.all) return output.note(`more: --cursor ${cursor}`);
  }
}

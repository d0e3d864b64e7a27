import { InvalidArgumentError, type Command } from 'commander';
import { asObject, listOf } from '../answer.js';
import type { Query } from '../client.js';
import { createCommand, openClient, withExamples, withTarget, type Context, type TargetOptions } from '../command.js';
import { formatHits, readFilters, withFilters } from '../hits.js';

interface TailOptions extends TargetOptions {
  count?: number;
}

const WAIT_MS = '20000';

/** `keelson tail`: every entry that matches, once, as it comes. */
export function createTail(context: Context): Command {
  const command = withFilters(withTarget(createCommand('tail', 'show entries as they are recorded, until stopped')))
    .option('--count <entries>', 'stop after as many', parseCount)
    .action((options: TailOptions) => tail(context, options));
  return withExamples(command, [
    'keelson tail --decision deny',
    'keelson tail --from 2026-11-01T00:00:00Z --agent spiffe://company.com/agent/deploy-bot --json',
  ]);
}

async function tail(context: Context, options: TailOptions): Promise<void> {
  const { output } = context;
  const client = await openClient(context, options);
  const filters = readFilters(options);
  // Without a beginning, what is there already is not for a tail to show.
  const query: Query = { ...filters, from: filters.from ?? new Date().toISOString(), order: 'asc', waitMs: WAIT_MS };
  let left = options.count ?? Number.POSITIVE_INFINITY;
  for (let cursor: string | undefined; left > 0 && !output.closed;) {
    const page = asObject(await client.getJson('/v1/search', { ...query, cursor }));
    const hits = listOf(page, 'hits').slice(0, left);
    for (const line of formatHits(hits, options)) await output.line(line);
    left -= hits.length;
    cursor = typeof page.next === 'string' ? page.next : cursor;
  }
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number, please.');
  return Number(text);
}

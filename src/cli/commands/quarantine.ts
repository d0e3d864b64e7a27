import { Command } from 'commander';
import { asObject, listOf, textOf, type Answer } from '../answer.js';
import {
  createCommand,
  formatJson,
  formatJsonLines,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { writeNew } from '../new-file.js';
import { formatTable } from '../text.js';

interface ShowOptions extends TargetOptions {
  out?: string;
}

interface ListOptions extends TargetOptions {
  limit?: string;
  cursor?: string;
}

/** `keelson quarantine list|show`. */
export function createQuarantine(context: Context): Command {
  const quarantine = new Command('quarantine')
    .description('what could not become an event, and why')
    .helpOption('-h, --help', 'show this');
  quarantine.addCommand(createList(context)).addCommand(createShow(context));
  return withExamples(quarantine, ['keelson quarantine list', 'keelson quarantine show <id>']);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list what is in quarantine'))
    .option('--limit <count>', 'how many at most')
    .option('--cursor <cursor>', 'where the page before ended')
    .action(async (options: ListOptions) => {
      const { output } = context;
      const client = await openClient(context, options);
      const page = asObject(await client.getJson('/v1/quarantine', { limit: options.limit, cursor: options.cursor }));
      const rows = listOf(page, 'items');
      if (options.json) for (const row of rows) await output.line(formatJson(row));
      else for (const line of formatRows(rows)) await output.line(line);
      if (typeof page.next === 'string') output.note(`more: --cursor ${page.next}`);
    });
  return withExamples(command, ['keelson quarantine list --limit 20', 'keelson quarantine list --json | jq -r .code']);
}

function createShow(context: Context): Command {
  const command = withTarget(createCommand('show', 'show one with its original, as text and in base64'))
    .argument('<id>', 'its id, as a publisher was told it or `quarantine list` shows it')
    .option('--out <file>', 'write the bytes as they came in to a new file')
    .action((id: string, options: ShowOptions) => show(context, id, options));
  return withExamples(command, ['keelson quarantine show 0198c2f3-7c1e-7d6c-a1d0-3b0f2a8d4c11 --out original.bin']);
}

async function show({ io, output }: Context, id: string, options: ShowOptions): Promise<void> {
  const client = await openClient({ io, output }, options);
  const kept = asObject(await client.getJson(`/v1/quarantine/${encodeURIComponent(id)}`));
  if (options.out !== undefined) await writeNew(options.out, Buffer.from(textOf(kept, 'original'), 'base64'));
  else await output.line((options.json ? formatJson : formatJsonLines)(kept));
}

const formatRows = (rows: readonly Answer[]): string[] =>
  formatTable([
    ['ID', 'RECEIVED', 'PRODUCER', 'CODE', 'POINTER'],
    ...rows.map((row) => ['id', 'at', 'producer', 'code', 'pointer'].map((member) => textOf(row, member))),
  ]);

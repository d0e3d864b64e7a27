import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { asObject, listOf, textOf } from '../answer.js';
import type { Client } from '../client.js';
import {
  createCommand,
  formatJson,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { splitItems, type Item } from '../items.js';
import { startProgress } from '../progress.js';
import { cutBatches, prepareItem, PublicationState, sendBatch, type Prepared } from '../publication.js';
import { neutralise } from '../text.js';

interface PublishOptions extends TargetOptions {
  batch: number;
  patience: number;
  state?: string;
  restart?: true;
}

interface Totals {
  accepted: number;
  refused: number;
}

const MAX_UPLOAD_BYTES = 2 * 1024 * 1024;

/** `keelson publish`. */
export function createPublish(context: Context): Command {
  const command = withTarget(createCommand('publish', 'publish events from a file: a JSON array, NDJSON or one event'))
    .argument('[file]', 'what to publish; - or nothing: standard input', '-')
    .option('--batch <events>', 'events in one request', parseCount, 500)
    .option('--patience <seconds>', 'how long to try while the server is away or busy', parseCount, 60)
    .option('--state <file>', 'remembers how far it came, to go on after an interruption (default: <file>.published)')
    .option('--restart', 'forget that and begin anew')
    .addHelpText(
      'after',
      '\nAn event without a type is a decision. One without an id gets one made of its content and place, so that what\nis sent twice is recorded once.',
    )
    .action((file: string, options: PublishOptions) => publish(context, file, options));
  return withExamples(command, [
    'keelson publish decisions.ndjson',
    'zcat events.ndjson.gz | keelson publish --token-file gateway.token',
    'keelson publish week.json --json | jq -r .id',
  ]);
}

async function publish(context: Context, file: string, options: PublishOptions): Promise<void> {
  const client = await openClient(context, options);
  const statePath = options.state ?? (file === '-' ? undefined : `${file}.published`);
  if (options.restart && statePath !== undefined) await rm(statePath, { force: true });
  const state = statePath === undefined ? undefined : await PublicationState.open(statePath, client.target.url);
  const items = splitItems(file === '-' ? (context.io.stdin as AsyncIterable<Uint8Array>) : createReadStream(file));
  const progress = startProgress(context.output);
  const totals: Totals = { accepted: 0, refused: 0 };
  const skipped = state?.published ?? 0;
  try {
    for await (const batch of cutBatches(
      prepare(state?.skipPublished(items) ?? items),
      options.batch,
      MAX_UPLOAD_BYTES,
    )) {
      await publishBatch(context, client, batch, options, totals);
      await state?.advance(batch);
      progress.update(skipped + totals.accepted + totals.refused, undefined, 'published');
    }
    await state?.finish();
  } catch (error) {
    throw inputError(error, file);
  } finally {
    progress.stop();
  }
  context.output.note(
    `${totals.accepted} accepted, ${totals.refused} not${skipped > 0 ? `, ${skipped} already published before` : ''}`,
  );
  if (totals.refused > 0) throw new CommandError(EXIT.failed, `${totals.refused} events were not accepted`);
}

async function publishBatch(
  { output }: Context,
  client: Client,
  batch: readonly Prepared[],
  options: PublishOptions,
  totals: Totals,
): Promise<void> {
  const answers = listOf(asObject(await sendBatch(client, batch, options.patience * 1000)), 'items');
  if (answers.length !== batch.length) throw new CommandError(EXIT.unreachable, 'the server answered for other events');
  for (const [place, answer] of answers.entries()) {
    const { item, id } = batch[place]!;
    const accepted = answer.status === 'accepted';
    if (accepted) totals.accepted++;
    else totals.refused++;
    if (options.json) await output.line(formatJson({ event: item.index, id, ...answer }));
    else if (!accepted) {
      const why = ['status', 'code', 'pointer', 'detail'].map((member) => textOf(answer, member)).join('  ');
      output.note(neutralise(`event ${item.index} (${id}): ${why}`));
    }
  }
}

async function* prepare(items: AsyncIterable<Item>): AsyncGenerator<Prepared> {
  for await (const item of items) yield prepareItem(item);
}

/** What is wrong with the input is for the caller to mend. */
function inputError(error: unknown, file: string): unknown {
  if (!(error instanceof Error)) return error;
  const unreadable = 'syscall' in error;
  if (!unreadable && !(error instanceof SyntaxError) && !(error instanceof RangeError)) return error;
  return new CommandError(EXIT.usage, `${file === '-' ? 'standard input' : file}: ${error.message}`, { cause: error });
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('a whole number from 1 to 99999, please.');
  return Number(text);
}

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
import { CommandError, EXIT } from '../exit.js';
import { startProgress } from '../progress.js';
import { printPages } from '../pages.js';
import { formatTable, neutralise } from '../text.js';

interface ListOptions extends TargetOptions {
  state?: string;
  source?: string;
  limit: string;
  all?: true;
}

interface AnswerOptions extends TargetOptions {
  reason: string;
  at?: string;
}

interface ManyOptions extends AnswerOptions {
  source?: string;
  since?: string;
  until?: string;
}

/** `keelson revocations list|show|approve|deny|cancel|reschedule|lift`. */
export function createRevocations(context: Context): Command {
  const revocations = new Command('revocations')
    .description('list, show, approve, deny, cancel, reschedule and lift revocations')
    .helpOption('-h, --help', 'show this');
  revocations.addCommand(createList(context)).addCommand(createShow(context));
  for (const [verb, what] of [
    ['approve', 'let go what is held; nobody their own'],
    ['deny', 'end what is held: it never happens'],
  ] as const) {
    revocations.addCommand(createMany(context, verb, what));
  }
  for (const [verb, what] of [
    ['cancel', 'take back what is held or scheduled'],
    ['lift', 'take back what is in force; a cutoff stays'],
  ] as const) {
    revocations.addCommand(createAnswer(context, verb, what));
  }
  revocations.addCommand(createReschedule(context));
  return withExamples(revocations, [
    'keelson revocations list --state held',
    'keelson revocations approve 5f0c… --reason "reorganisation, as announced"',
    'keelson revocations approve --source entra --since 2026-11-25T08:00:00Z --reason "reorganisation, as announced"',
  ]);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list them, newest first'))
    .option('--state <state>', 'pending, scheduled, held, ordered, settled, lifted, cancelled, denied, refused')
    .option('--source <producer>', 'only what came from there')
    .option('--limit <count>', 'at most so many a page', '100')
    .option('--all', 'every page')
    .action((options: ListOptions) => {
      const { state, source, limit } = options;
      return printPages(context, options, '/v1/revocations', { state, source, limit }, 'revocations', formatList);
    });
  return withExamples(command, ['keelson revocations list --state scheduled']);
}

const formatList = (found: readonly Answer[]): string[] =>
  formatTable([
    ['ORDER', 'STATE', 'KIND', 'SOURCE', 'COMMITTED', 'DUE', 'COMPLETE'],
    ...found.map((one) => [
      ...['order', 'state', 'kind'].map((member) => textOf(one, member)),
      textOf(asObject(one.cause), 'producer'),
      ...['committedAt', 'dueAt', 'complete'].map((member) => textOf(one, member)),
    ]),
  ]);

function createShow(context: Context): Command {
  const command = withTarget(createCommand('show', 'show one: its cause, state and keys'))
    .argument('<id>', 'name of its order, or id of its cause')
    .action(async (id: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const found = await client.getJson(`/v1/revocations/${encodeURIComponent(id)}`);
      await context.output.line(options.json ? formatJson(found) : formatJsonLines(found));
    });
  return withExamples(command, ['keelson revocations show 5f0c…']);
}

function createAnswer(context: Context, verb: string, what: string): Command {
  const command = withTarget(createCommand(verb, what))
    .argument('<id...>', 'names of orders, or ids of causes')
    .requiredOption('--reason <text>', 'why')
    .action(async (ids: string[], options: AnswerOptions) => {
      for (const id of ids) await answer(context, id, verb, { reason: options.reason }, options);
    });
  return withExamples(command, [`keelson revocations ${verb} 5f0c… --reason "…"`]);
}

function createMany(context: Context, verb: string, what: string): Command {
  const command = withTarget(createCommand(verb, what))
    .argument('[id...]', 'names of orders, or ids of causes')
    .option('--source <producer>', 'or all that is held from there')
    .option('--since <time>', 'with --source: committed from then on (RFC 3339)')
    .option('--until <time>', 'with --source: committed before then (RFC 3339)')
    .requiredOption('--reason <text>', 'why')
    .action(async (ids: string[], options: ManyOptions) => {
      const { source, since, until, reason } = options;
      if (ids.length > 0 === (source !== undefined)) {
        throw new CommandError(EXIT.usage, 'name revocations, or a --source, one of the two');
      }
      const questions =
        source === undefined ? chunksOf(ids, MANY_MAX).map((some) => ({ ids: some })) : [{ source, since, until }];
      await answerMany(context, verb, questions, reason, options);
    });
  return withExamples(command, [
    `keelson revocations ${verb} 5f0c… --reason "…"`,
    `keelson revocations ${verb} --source entra --reason "…"`,
  ]);
}

/** As many as the server takes in one request. */
const MANY_MAX = 500;

const chunksOf = (ids: readonly string[], size: number): string[][] =>
  Array.from({ length: Math.ceil(ids.length / size) }, (_, i) => ids.slice(i * size, (i + 1) * size));

/** Asks until there is no more; a line for each, and a failure where one of them was not done. */
async function answerMany(
  context: Context,
  verb: string,
  questions: readonly object[],
  reason: string,
  options: TargetOptions,
): Promise<void> {
  const client = await openClient(context, options);
  const progress = startProgress(context.output);
  let done = 0;
  let failed = 0;
  try {
    for (const question of questions) {
      for (let after: unknown, more = true; more; more = after !== undefined) {
        const body = JSON.stringify({ ...question, reason, ...(after === undefined ? {} : { after: Number(after) }) });
        const answer = asObject(await client.sendJson('POST', `/v1/revocations/${verb}`, body));
        after = answer.next;
        for (const one of listOf(answer, 'results')) {
          done++;
          if (one.code !== undefined) failed++;
          const line = ['order', 'id', 'state', 'code', 'detail'].map((member) => textOf(one, member)).join('  ');
          await context.output.line(options.json ? formatJson(one) : neutralise(line));
        }
        progress.update(done, undefined, verb);
      }
    }
  } finally {
    progress.stop();
  }
  context.output.note(`${done - failed} of ${done}: ${verb}`);
  if (failed > 0) throw new CommandError(EXIT.failed, `${failed} of ${done} were not done: each line says why`);
}

function createReschedule(context: Context): Command {
  const command = withTarget(createCommand('reschedule', 'another time for what is scheduled'))
    .argument('<id>', 'name of its order, or id of its cause')
    .requiredOption('--at <time>', 'when (RFC 3339)')
    .requiredOption('--reason <text>', 'why')
    .action((id: string, options: AnswerOptions) =>
      answer(context, id, 'reschedule', { reason: options.reason, effective_at: options.at }, options),
    );
  return withExamples(command, ['keelson revocations reschedule 5f0c… --at 2026-12-31T17:00:00Z --reason "later"']);
}

async function answer(context: Context, id: string, verb: string, body: object, options: TargetOptions): Promise<void> {
  const client = await openClient(context, options);
  const path = `/v1/revocations/${encodeURIComponent(id)}/${verb}`;
  const done = asObject(await client.sendJson('POST', path, JSON.stringify(body)));
  if (options.json) await context.output.line(formatJson(done));
  else await context.output.line(neutralise(`${textOf(done, 'order')}  ${textOf(done, 'state')}`));
}

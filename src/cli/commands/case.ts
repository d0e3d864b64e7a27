import { Command } from 'commander';
import { asObject, listOf, textOf, type Answer } from '../answer.js';
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
import { printPages } from '../pages.js';
import { formatTable, neutralise } from '../text.js';

interface ListOptions extends TargetOptions {
  limit: string;
  all?: true;
}

const COUNTS = ['acked', 'partial', 'contradicting', 'silent', 'fenced', 'unfenced', 'absent'] as const;
/** Instances that are shown one by one; `--json` has them all. */
const MAX_SHOWN = 20;
/** How long it is waited before it connects again. */
const AGAIN_MS = 1_000;

/** `keelson case list|show|watch`. */
export function createCase(context: Context): Command {
  const command = new Command('case')
    .description('follow orders to their end, at every enforcement point')
    .helpOption('-h, --help', 'show this');
  command.addCommand(createList(context)).addCommand(createShow(context)).addCommand(createWatch(context));
  return withExamples(command, ['keelson case list', 'keelson case show 5f0c…', 'keelson case watch 5f0c…']);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list them, newest first'))
    .option('--limit <count>', 'at most so many a page', '100')
    .option('--all', 'every page')
    .action((options: ListOptions) =>
      printPages(context, options, '/v1/cases', { limit: options.limit }, 'items', formatList),
    );
  return withExamples(command, ['keelson case list --limit 20']);
}

const formatList = (found: readonly Answer[]): string[] =>
  formatTable([
    ['ORDER', 'STATE', 'ORDERED', 'ACKED', 'SILENT', 'FENCED', 'ABSENT'],
    ...found.map((one) => [
      textOf(one, 'order'),
      textOf(one, 'state'),
      secondsOf(textOf(one, 'orderedAt')),
      ...['acked', 'silent', 'fenced', 'absent'].map((member) => textOf(one, member)),
    ]),
  ]);

/** Without what of a second there is. */
const secondsOf = (time: string): string => time.replace(/\.\d+Z$/, 'Z');

function createShow(context: Context): Command {
  const command = withTarget(createCommand('show', 'show one: points, stragglers, times, tokens'))
    .argument('<order>', 'name of the order')
    .action(async (order: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const found = asObject(await client.getJson(pathOf(order)));
      if (options.json) return context.output.line(formatJson(found));
      for (const line of formatCase(found)) await context.output.line(line);
    });
  return withExamples(command, ['keelson case show 5f0c…']);
}

const pathOf = (order: string): string => `/v1/cases/${encodeURIComponent(order)}`;

/** At most 100 columns, as long as the names of points are not longer than 30. */
function formatCase(found: Answer): string[] {
  const instances = listOf(found, 'instances');
  return [
    neutralise(
      `order ${textOf(found, 'order')}, change ${textOf(found, 'seq')} of the table: ${textOf(found, 'state')}`,
    ),
    ...section('POINT', listOf(found, 'points'), ['point', ...COUNTS]),
    ...section(
      'NOT PROVEN',
      listOf(found, 'incomplete').map((gap) => ({ ...gap, about: aboutOf(gap) })),
      ['reason', 'about'],
    ),
    ...section('STRAGGLER', listOf(found, 'stragglers').slice(0, MAX_SHOWN), [
      'instance',
      'status',
      'silentS',
      'point',
    ]),
    ...section('INSTANCE', instances.slice(0, MAX_SHOWN), ['instance', 'status', 'point']),
    ...(instances.length > MAX_SHOWN ? [`and ${instances.length - MAX_SHOWN} more: --json`] : []),
    ...section(
      'TIME',
      listOf(found, 'timeline').map((step) => ({ ...step, about: aboutOf(step) })),
      ['at', 'what', 'about'],
    ),
    ...formatTokens(found.tokens),
  ];
}

function section(title: string, rows: readonly Answer[], members: readonly string[]): string[] {
  if (rows.length === 0) return [];
  const heads = members.map((member, i) => (i === 0 ? title : (HEADS[member] ?? member.toUpperCase())));
  return ['', ...formatTable([heads, ...rows.map((row) => members.map((member) => textOf(row, member)))])];
}

const HEADS: Readonly<Record<string, string>> = { silentS: 'LAST ASKED (S AGO)', about: '' };

/** What a gap or a step is about, in a few words. */
function aboutOf(one: Answer): string {
  const said = ['result', 'point', 'instance', 'issuer', 'keyTypes', 'log', 'index'].flatMap((member) =>
    one[member] === undefined ? [] : [textOf(one, member)],
  );
  const count = one.count === undefined ? [] : [`(${textOf(one, 'count')})`];
  return [...said, ...count].join(' ');
}

function formatTokens(tokens: unknown): string[] {
  if (tokens === undefined) return [];
  const found = asObject(tokens);
  const more = found.atLeast === true ? ' or more' : '';
  const last = found.lastUsedAt === undefined ? 'no use is recorded' : `last used ${textOf(found, 'lastUsedAt')}`;
  return ['', neutralise(`tokens concerned: ${textOf(found, 'count')}${more}, ${last}`)];
}

function createWatch(context: Context): Command {
  const command = withTarget(createCommand('watch', 'show it as it changes, until it has ended'))
    .argument('<order>', 'name of the order')
    .action((order: string, options: TargetOptions) => watch(context, order, options));
  return withExamples(command, ['keelson case watch 5f0c…']);
}

/** Ends with the case; connects again where the server ends first. Fails where it ends `incomplete`. */
async function watch(context: Context, order: string, options: TargetOptions): Promise<void> {
  const { output } = context;
  const client = await openClient(context, options);
  const stop = new AbortController();
  let last = '';
  while (!output.closed) {
    for await (const event of client.events(`${pathOf(order)}/events`, stop.signal)) {
      const found = asObject(event);
      const line = formatState(found);
      if (options.json) await output.line(formatJson(found));
      else if (line !== last) await output.line(`${secondsOf(new Date().toISOString())}  ${line}`);
      last = line;
      const state = textOf(found, 'state');
      if (state === 'open' && !output.closed) continue;
      stop.abort();
      if (state === 'incomplete' || state === 'reopened') {
        throw new CommandError(EXIT.failed, 'not all is proven: keelson case show says what');
      }
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

const formatState = (found: Answer): string =>
  neutralise(
    [
      textOf(found, 'state'),
      ...COUNTS.flatMap((what) => (textOf(found, what) === '0' ? [] : [`${textOf(found, what)} ${what}`])),
    ].join('  '),
  );

import { Command, InvalidArgumentError } from 'commander';
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
import { openNew } from '../new-file.js';
import { readPages } from '../pages.js';
import { formatTable, neutralise } from '../text.js';

interface TokenOptions extends TargetOptions {
  uses: number;
  expiresIn: number;
  out?: string;
}

const pathOf = (point: string): string => `/v1/points/${encodeURIComponent(point)}`;

/** `keelson point list|show|enrol|token|revoke-token`. */
export function createPoint(context: Context): Command {
  const point = new Command('point')
    .description('deployments that enforce revocations, and what lets their processes in')
    .helpOption('-h, --help', 'show this');
  const commands = [createList, createShow, createEnrol, createToken, createRevokeToken];
  for (const create of commands) point.addCommand(create(context));
  return withExamples(point, [
    'keelson point enrol gateway',
    'keelson point token gateway --uses 50 --expires-in 86400 --out gateway.enrolment',
    'keelson point show gateway',
  ]);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list points by name')).action(async (options: TargetOptions) => {
    const rows = await readPages(await openClient(context, options), '/v1/points', { limit: '1000' }, 'points');
    if (options.json) for (const row of rows) await context.output.line(formatJson(row));
    else {
      const table = rows.map((row) => [
        textOf(row, 'point'),
        dateOf(row, 'enrolledAt'),
        textOf(row, 'instances'),
        textOf(row, 'unfenced'),
        row.retiredAt !== undefined ? 'retired' : row.quarantinedAt !== undefined ? 'in quarantine' : 'enrolled',
      ]);
      const head = ['POINT', 'ENROLLED', 'INSTANCES', 'UNFENCED', 'STATE'];
      for (const line of formatTable([head, ...table])) await context.output.line(line);
    }
  });
  return withExamples(command, ['keelson point list', 'keelson point list --json | jq -r .point']);
}

function createShow(context: Context): Command {
  const command = withTarget(createCommand('show', 'show a point, its enrolment tokens and its instances'))
    .argument('<point>', 'its name')
    .action(async (point: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const shown = asObject(await client.getJson(pathOf(point)));
      const instances = await readPages(client, `${pathOf(point)}/instances`, { limit: '1000' }, 'instances');
      if (options.json) await context.output.line(formatJson({ ...shown, instances }));
      else for (const line of formatPoint(shown, instances)) await context.output.line(line);
    });
  return withExamples(command, [
    'keelson point show gateway',
    "keelson point show gateway --json | jq -r '.instances[].instance'",
  ]);
}

function createEnrol(context: Context): Command {
  const command = withTarget(createCommand('enrol', 'make a point known; doing it twice changes nothing'))
    .argument('<point>', 'its name: letters, digits, and . : / @ - _')
    .option('--signalled', 'it has no guard: it is told of orders by webhook, and proves nothing')
    .action(async (point: string, options: TargetOptions & { readonly signalled?: true }) => {
      const client = await openClient(context, options);
      const body = JSON.stringify({ point, ...(options.signalled && { signalled: true }) });
      const enrolled = asObject(await client.sendJson('POST', '/v1/points', body));
      if (options.json) await context.output.line(formatJson(enrolled));
      else context.output.note(`point ${neutralise(point)} is enrolled`);
    });
  return withExamples(command, ['keelson point enrol gateway', 'keelson point enrol payments/sidecar']);
}

function createToken(context: Context): Command {
  const command = withTarget(
    createCommand('token', 'make an enrolment token, with which processes of a point join; shown this once'),
  )
    .argument('<point>', 'the point that they join')
    .option('--uses <count>', 'how many processes may join with it', parseCount, 1)
    .option('--expires-in <seconds>', 'how long they may', parseCount, 3_600)
    .option('--out <file>', 'write the token to a new file that only you can read, instead of showing it')
    .action(async (point: string, options: TokenOptions) => {
      const client = await openClient(context, options);
      const body = JSON.stringify({ point, uses: options.uses, expiresInS: options.expiresIn });
      // Opened first: a token that can't be kept is not made.
      const file = options.out === undefined ? undefined : await openNew(options.out);
      try {
        const { token, ...made } = asObject(await client.sendJson('POST', '/v1/enrolments', body));
        await file?.writeFile(`${String(token)}\n`);
        if (options.json) await context.output.line(formatJson(file === undefined ? { ...made, token } : made));
        else if (file === undefined) await context.output.line(neutralise(String(token)));
        else context.output.note(`enrolment token ${textOf(made, 'id')} is in ${options.out}`);
      } finally {
        await file?.close();
      }
    });
  return withExamples(command, [
    'keelson point token gateway --out gateway.enrolment',
    'keelson point token gateway --uses 500 --expires-in 2592000 --out autoscaling.enrolment',
  ]);
}

function createRevokeToken(context: Context): Command {
  const command = withTarget(
    createCommand('revoke-token', 'let nobody else join with an enrolment token; who has joined stays'),
  )
    .argument('<id>', 'its id, as `point show` shows it')
    .action(async (id: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      await client.sendJson('DELETE', `/v1/enrolments/${encodeURIComponent(id)}`);
      if (options.json) await context.output.line(formatJson({ id, revoked: true }));
      else context.output.note(`enrolment token ${neutralise(id)} is revoked`);
    });
  return withExamples(command, ['keelson point revoke-token 5f2c9a0b1d3e4f60']);
}

function formatPoint(point: Answer, instances: readonly Answer[]): string[] {
  const tokens = listOf(point, 'enrolments');
  return [
    ...formatTable([
      ['point', textOf(point, 'point')],
      ['enrolled', dateOf(point, 'enrolledAt')],
      ...(point.retiredAt === undefined ? [] : [['retired', dateOf(point, 'retiredAt')]]),
      ...(point.quarantinedAt === undefined ? [] : [['in quarantine', dateOf(point, 'quarantinedAt')]]),
      ['instances', textOf(point, 'instances')],
    ]),
    '',
    ...formatTable([
      ['TOKEN', 'USES LEFT', 'EXPIRES', 'MADE', 'MADE BY'],
      ...tokens.map((token) => [
        textOf(token, 'id'),
        `${textOf(token, 'usesLeft')} of ${textOf(token, 'uses')}`,
        token.revokedAt === undefined ? dateOf(token, 'expiresAt') : 'revoked',
        dateOf(token, 'madeAt'),
        textOf(token, 'madeBy'),
      ]),
    ]),
    '',
    ...formatTable([
      ['INSTANCE', 'JOINED', 'STATE', 'JOINED BY'],
      ...instances.map((one) => [
        textOf(one, 'instance'),
        dateOf(one, 'joinedAt'),
        one.retiredAt !== undefined ? 'retired' : listsAny(one.failOpen) ? 'unfenced' : 'joined',
        textOf(one, 'joinedBy'),
      ]),
    ]),
  ];
}

const listsAny = (value: unknown): boolean => Array.isArray(value) && value.length > 0;

/** To the second: what a table has room for. */
const dateOf = (row: Answer, member: string): string => textOf(row, member).replace(/(T[\d:]{8})\.\d+Z$/, '$1Z');

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('a whole number from 1, please.');
  return Number(text);
}

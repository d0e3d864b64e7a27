import { Command, Option } from 'commander';
import type { TSchema } from 'typebox';
import { ListQuery, NODE_TYPES } from '../../identity/query.js';
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
import { printPages } from '../pages.js';
import { formatTable, neutralise } from '../text.js';

interface NodeOptions extends TargetOptions {
  issuer?: string;
  at?: string;
}

interface EdgesOptions extends NodeOptions {
  above?: true;
  limit: string;
  all?: true;
}

interface ListOptions extends TargetOptions {
  limit: string;
  all?: true;
}

const TYPES = NODE_TYPES.join(', ');

/** `keelson identity get|edges|list`. */
export function createIdentity(context: Context): Command {
  const identity = new Command('identity')
    .description('ask who authorized what: persons, agents, clients, tokens, grants, sessions, delegations …')
    .helpOption('-h, --help', 'show this');
  identity.addCommand(createGet(context)).addCommand(createEdges(context)).addCommand(createList(context));
  return withExamples(identity, [
    'keelson identity get agent spiffe://company.com/agent/deploy-bot',
    'keelson identity list agent --owner dana@company.com',
  ]);
}

const withNode = (command: Command): Command =>
  withTarget(command)
    .argument('<type>', TYPES)
    .argument('<id>', 'its id; a person by an identifier, or as subject: and a pseudonym; a token by jti or digest')
    .option('--issuer <issuer>', 'who knows it by this id')
    .option('--at <time>', 'as entries up to then say (RFC 3339)');

const pathOf = (type: string, id: string): string =>
  `/v1/identity/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;

function createGet(context: Context): Command {
  const command = withNode(
    createCommand('get', 'who registered it, who approved it, how it stands, what it hangs on'),
  ).action(async (type: string, id: string, options: NodeOptions) => {
    const client = await openClient(context, options);
    const { issuer, at } = options;
    const found = asObject(await client.getJson(pathOf(type, id), { issuer, at }));
    if (options.json) return context.output.line(formatJson(found));
    for (const line of formatNode(found)) await context.output.line(line);
  });
  return withExamples(command, [
    'keelson identity get agent spiffe://company.com/agent/deploy-bot',
    'keelson identity get agent deploy-bot --at 2026-03-01T00:00:00Z',
    'keelson identity get principal dana@company.com --issuer https://idp.company.com',
    'keelson identity get token 0b9cf6a2-5f54-4b26-9ff5-5f1a3a5d4d0e --issuer https://login.company.com --json',
  ]);
}

function createEdges(context: Context): Command {
  const command = withNode(createCommand('edges', 'everything that hangs on it, or that it hangs on'))
    .option('--above', 'what it hangs on (default: what hangs on it)')
    .option('--limit <count>', 'at most so many a page', '100')
    .option('--all', 'every page')
    .action((type: string, id: string, options: EdgesOptions) => {
      const { issuer, at, above, limit } = options;
      const query = { issuer, at, direction: above ? 'above' : 'below', limit };
      return printPages(context, options, `${pathOf(type, id)}/edges`, query, 'edges', formatEdges);
    });
  return withExamples(command, [
    'keelson identity edges point mcp-gateway-1 --all',
    'keelson identity edges tool deploy',
  ]);
}

/** Parameters of a list that are no filters, and filters named like an option that every command has. */
const CONTROLS = new Set(['limit', 'cursor']);
const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const FILTERS = Object.entries<TSchema & { description?: string }>(ListQuery.properties)
  .filter(([name]) => !CONTROLS.has(name))
  .map(([name, { description = '' }]) => ({ name, description }));

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'everything of one type that passes the filters')).argument(
    '<type>',
    TYPES,
  );
  for (const { name, description } of FILTERS) {
    command.addOption(
      new Option(`--${kebab(name)} <value>`, description.charAt(0).toLowerCase() + description.slice(1)),
    );
  }
  command
    .option('--limit <count>', 'at most so many a page', '100')
    .option('--all', 'every page')
    .action((type: string, options: ListOptions) => {
      const given = options as unknown as Readonly<Record<string, string | undefined>>;
      const filters = Object.fromEntries(FILTERS.map(({ name }) => [name, given[name]]));
      const query = { ...filters, limit: options.limit };
      return printPages(context, options, `/v1/identity/${encodeURIComponent(type)}`, query, 'nodes', formatList);
    });
  return withExamples(command, [
    'keelson identity list agent --owner dana@company.com --state approved',
    'keelson identity list agent --risk-level high --unused-since 2026-09-01',
    'keelson identity list grant --expires-before 2027-01-01T00:00:00Z',
    'keelson identity list token --point mcp-gateway-1 --state live --all --json > tokens.ndjson',
  ]);
}

/** `type id`, with what is known of a person instead of a pseudonym. */
function nameOf(node: Answer): string {
  const { person, issuer } = node;
  if (person !== undefined) return `${textOf(asObject(person), 'id')} (${textOf(asObject(person), 'issuer')})`;
  const id = textOf(node, 'type') === 'principal' ? `subject:${textOf(node, 'id')}` : textOf(node, 'id');
  return typeof issuer === 'string' ? `${id} (${issuer})` : id;
}

const placeOf = (entry: Answer): string =>
  ['appendedAt', 'log', 'index', 'type']
    .filter((member) => entry[member] !== undefined)
    .map((member) => textOf(entry, member))
    .join('  ');

/** What an entry says in words, where the reader may see it. */
function wordsOf(entry: Answer, entries: readonly Answer[]): string {
  const found = entries.find(
    (one) => textOf(one, 'log') === textOf(entry, 'log') && textOf(one, 'index') === textOf(entry, 'index'),
  );
  const event = found?.event === undefined ? {} : asObject(found.event);
  return ['actor', 'approved_by', 'reason', 'purpose', 'reference']
    .filter((member) => event[member] !== undefined)
    .map(
      (member) => `${member}: ${typeof event[member] === 'object' ? formatJson(event[member]) : textOf(event, member)}`,
    )
    .join('; ');
}

function formatNode(found: Answer): string[] {
  const entries = listOf(found, 'entries');
  const rows: string[][] = [];
  const add = (what: string, ...cells: string[]): void => void rows.push([what, cells.filter(Boolean).join('  ')]);
  add(textOf(found, 'type'), nameOf(found));
  add('state', textOf(found, 'state'), found.at === undefined ? '' : `at ${textOf(found, 'at')}`);
  for (const member of ['owner', 'successor'])
    if (found[member] !== undefined) add(member, nameOf(asObject(found[member])));
  for (const [member, what] of [
    ['onOwnerLeave', 'when the owner leaves'],
    ['riskLevel', 'risk level'],
    ['firstSeenAt', 'first seen'],
    ['registeredAt', 'registered'],
    ['issuedAt', 'issued'],
    ['acceptedAt', 'accepted'],
    ['expiresAt', 'expires'],
    ['endedAt', 'ended'],
    ['lastUsedOn', 'last used on'],
  ] as const) {
    if (found[member] !== undefined) add(what, textOf(found, member));
  }
  for (const [member, what] of [
    ['first', 'first entry'],
    ['approved', 'approved by'],
    ['ended', 'ended by'],
    ['firstUse', 'first use'],
    ['lastUse', 'last use'],
  ] as const) {
    if (found[member] !== undefined)
      add(what, placeOf(asObject(found[member])), wordsOf(asObject(found[member]), entries));
  }
  if (found.revoked !== undefined) {
    const { revoked, ...why } = asObject(found.revoked);
    add('revoked', revoked === true ? `yes: ${textOf(why, 'reason')}, order ${textOf(why, 'order')}` : 'no');
  }
  if (found.keys !== undefined)
    for (const key of listOf(found, 'keys')) add('key', textOf(key, 'key'), textOf(key, 'type'));
  return [...formatTable(rows), ...formatSide(found, 'above', 'hangs on'), ...formatSide(found, 'below', 'below it')];
}

function formatSide(found: Answer, side: 'above' | 'below', title: string): string[] {
  const page = asObject(found[side]);
  const edges = listOf(page, 'edges');
  if (edges.length === 0) return [];
  const more = page.next === undefined ? [] : ['  … more: keelson identity edges'];
  return ['', `${title}:`, ...formatEdges(edges).map((line) => `  ${line}`), ...more];
}

const formatEdges = (edges: readonly Answer[]): string[] =>
  formatTable(
    edges.map((edge) => {
      const node = asObject(edge.node);
      const relations = listOf(edge, 'relations');
      const since = relations
        .flatMap((relation) => (typeof relation.since === 'string' ? [relation.since] : []))
        .sort();
      return [
        relations.map((relation) => textOf(relation, 'as')).join('+'),
        textOf(node, 'type'),
        textOf(node, 'state'),
        since[0] ?? '-',
        nameOf(node),
      ];
    }),
  );

const formatList = (found: readonly Answer[]): string[] =>
  formatTable([
    ['STATE', 'SINCE', 'EXPIRES', 'LAST USED', 'OWNER', 'ID'],
    ...found.map((node) => [
      textOf(node, 'state'),
      textOf(node, node.registeredAt === undefined ? 'firstSeenAt' : 'registeredAt'),
      textOf(node, 'expiresAt'),
      textOf(node, 'lastUsedOn'),
      node.owner === undefined ? '-' : neutralise(nameOf(asObject(node.owner))),
      nameOf(node),
    ]),
  ]);

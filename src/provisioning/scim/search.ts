/** Lists of resources. An equality on a name goes to the index, anything else looks through the source, in bounds. */
import { KeelsonError } from '../../core/error.js';
import type { JsonObject } from '../../events/index.js';
import { conjuncts, matches, parseFilter, type Filter } from './filter.js';
import { NAMES } from './names.js';
import { invalidValue } from './resource.js';
import type { ScimParts } from './resources.js';
import { RESOURCE_TYPES, type Kind } from './schema.js';
import type { ResourceRow } from './store.js';
import { parseSelection, viewResources, type Selection } from './view.js';

export const PAGE_MAX = 200;
const PAGE = 100;

export interface ListQuery {
  readonly filter?: string;
  readonly startIndex: number;
  readonly count: number;
  readonly attributes: readonly string[];
  readonly excluded: readonly string[];
}

export interface Found {
  readonly total: number;
  readonly resources: readonly JsonObject[];
}

/** The parameters of a list, from an address or a `.search` body. @throws KeelsonError `invalid_value` */
export function readListQuery(given: Readonly<Record<string, unknown>>): ListQuery {
  const filter = given.filter;
  if (filter !== undefined && typeof filter !== 'string') throw invalidValue('filter is one text');
  return {
    ...(filter === undefined || filter.trim() === '' ? {} : { filter }),
    startIndex: Math.max(1, readInteger('startIndex', given.startIndex, 1)),
    count: Math.min(PAGE_MAX, Math.max(0, readInteger('count', given.count, PAGE))),
    attributes: readNames('attributes', given.attributes),
    excluded: readNames('excludedAttributes', given.excludedAttributes),
  };
}

function readInteger(name: string, given: unknown, otherwise: number): number {
  if (given === undefined || given === null || given === '') return otherwise;
  if (typeof given === 'number' && Number.isInteger(given)) return given;
  if (typeof given === 'string' && /^-?\d{1,9}$/.test(given)) return Number(given);
  throw invalidValue(`${name} is a whole number`);
}

const NAMES_MAX = 100;

function readNames(name: string, given: unknown): string[] {
  if (given === undefined || given === null) return [];
  const names = (Array.isArray(given) ? given : [given]).flatMap((one: unknown) => {
    if (typeof one !== 'string') throw invalidValue(`${name} is a list of names`);
    return one.split(',').map((part) => part.trim());
  });
  if (names.length > NAMES_MAX) throw invalidValue(`${name} has more than ${NAMES_MAX} names`);
  return names.filter((one) => one !== '');
}

/**
 * A page of a source's resources.
 * @param scanMax how many a filter may look through that no index answers
 * @throws KeelsonError `invalid_filter`, `invalid_path`, `too_many_matches`
 */
export async function listResources(
  parts: ScimParts,
  source: string,
  kind: Kind,
  query: ListQuery,
  base: string,
  scanMax: number,
): Promise<Found> {
  const type = RESOURCE_TYPES[kind];
  const selection = parseSelection(query.attributes, query.excluded, type);
  const view = (rows: readonly ResourceRow[], shown: Selection): Promise<JsonObject[]> =>
    viewResources(parts, source, kind, rows, base, shown);
  const offset = query.startIndex - 1;
  if (query.filter === undefined) {
    const [total, rows] = await Promise.all([
      parts.store.count(source, kind),
      parts.store.list(source, kind, offset, query.count),
    ]);
    return { total, resources: await view(rows, selection) };
  }
  const filter = parseFilter(query.filter, type);
  const candidates = (await findCandidates(parts, source, kind, filter)) ?? (await scan(parts, source, kind, scanMax));
  const hits: ResourceRow[] = [];
  const shown = kind === 'Group' && !mentions(filter, 'members') ? LIST_WITHOUT_MEMBERS : {};
  for (let at = 0; at < candidates.length; at += PAGE_MAX) {
    const rows = candidates.slice(at, at + PAGE_MAX);
    const views = new Map((await view(rows, shown)).map((one) => [one.id, one]));
    for (const row of rows) {
      const resource = views.get(row.id);
      if (resource !== undefined && matches(filter, resource)) hits.push(row);
    }
  }
  return { total: hits.length, resources: await view(hits.slice(offset, offset + query.count), selection) };
}

const LIST_WITHOUT_MEMBERS: Selection = { without: [{ name: 'members' }] };

function mentions(filter: Filter, name: string): boolean {
  if ('filters' in filter) return filter.filters.some((one) => mentions(one, name));
  if (filter.op === 'not') return mentions(filter.filter, name);
  return filter.path.name === name;
}

async function scan({ store }: ScimParts, source: string, kind: Kind, scanMax: number): Promise<ResourceRow[]> {
  const rows = await store.list(source, kind, 0, scanMax + 1);
  if (rows.length <= scanMax) return rows;
  throw new KeelsonError(
    'too_many_matches',
    `this filter would look through more than ${scanMax} resources: filter by ${NAMES[kind].join(', ')} or id with eq`,
  );
}

/** What an equality leaves of all resources; undefined where there is none that an index answers. */
async function findCandidates(
  { store, digest }: ScimParts,
  source: string,
  kind: Kind,
  filter: Filter,
): Promise<ResourceRow[] | undefined> {
  for (const term of conjuncts(filter)) {
    if (term.op !== 'eq' || typeof term.value !== 'string' || term.path.schema !== undefined) continue;
    const { name, sub } = term.path;
    if (sub === undefined && name === 'id') return alive(await store.findAll(source, kind, [term.value]));
    if (sub === undefined && NAMES[kind].includes(name)) {
      return alive(await store.findNamed(source, kind, name, digest(source, kind, name, term.value)));
    }
    if (kind === 'Group' && name === 'members' && (sub === undefined || sub === 'value')) {
      const groups = await store.groupsOf(source, [term.value]);
      return alive(await store.findAll(source, kind, groups.get(term.value) ?? []));
    }
  }
  return undefined;
}

const alive = (rows: readonly ResourceRow[]): ResourceRow[] => rows.filter(({ deleted }) => !deleted);

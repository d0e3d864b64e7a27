/** What an HR system says of one person, as lifecycle events. Pure. */
import type { HrEvent, HrMapping } from '../../access/hr-config.js';
import { KeelsonError } from '../../core/error.js';
import { ExactNumber, formatTimestamp, isObject, makeObject, type Json, type JsonObject } from '../../events/index.js';
import { parseWhen } from './dates.js';
import { findFirst, resolve, type Item } from './places.js';

/** Keelson's own form (docs/connect-hr.md). */
export const OWN_FORM: HrMapping = {
  people: '/data',
  events: (['left', 'leave_scheduled', 'leave_cancelled', 'moved', 'hired', 'back'] as const).map((event) => ({
    event,
    when: [{ at: ['/event', '#/type'], in: [event, `person.${event}`] }],
  })),
  person: { at: '/person' },
  aliases: [{ at: '/aliases' }],
  occurred_at: ['/occurred_at', '#/timestamp'],
  fields: Object.fromEntries(
    [
      'effective_at',
      'reason_code',
      'reason',
      'reference',
      'employment',
      'urgent',
      'successor',
      'manager',
      'groups',
      'groups_added',
      'groups_removed',
      'absent_issuers',
      'name',
      'email',
      'title',
      'department',
      'location',
    ].map((field) => [field, `/${field}`]),
  ),
};

/** What becomes of one person's item. */
export interface Said {
  readonly event: HrEvent;
  /** Without id and timestamp; in the order in which they count. */
  readonly events: readonly { readonly suffix: string; readonly event: JsonObject }[];
  /** When it happened, microseconds since 1970 UTC, where that is said. */
  readonly occurredAtUs: bigint | undefined;
}

const TYPES = {
  left: 'principal.offboarded',
  leave_scheduled: 'principal.offboarded',
  leave_cancelled: 'principal.reinstated',
  back: 'principal.reinstated',
  moved: 'principal.moved',
  hired: 'principal.joined',
} as const;

/** Members that a kind of event has no use for. */
const GROUPS = ['groups', 'groups_added', 'groups_removed'];
const PERSONS = ['successor', 'manager'];
const ALIASES_MAX = 100;

/**
 * The items of a body, one for each person.
 * @throws KeelsonError `unmappable` where there are none; `too_many_items`
 */
export function splitPeople(body: Json, { people = '' }: HrMapping, maxPeople: number): Item[] {
  const found = resolve(body, people.replace(/^#/, ''));
  const pointer = people.replace(/^#/, '');
  if (found === undefined) throw new KeelsonError('unmappable', 'there is nobody in it', { pointer });
  const items = Array.isArray(found)
    ? found.map((item, i): Item => ({ body, item, pointer: `${pointer}/${i}` }))
    : [{ body, item: found, pointer }];
  if (items.length > maxPeople)
    throw new KeelsonError('too_many_items', `more than ${maxPeople} people in one webhook`);
  return items;
}

/** @throws KeelsonError `unmappable`, `invalid_timestamp`, with the place in the body */
export function mapItem(item: Item, mapping: HrMapping, zone: string): Said {
  if (!isObject(item.item)) throw new KeelsonError('unmappable', 'an item is an object', { pointer: item.pointer });
  const event = findEvent(item, mapping);
  if (event === 'ignored') return { event, events: [], occurredAtUs: undefined };
  const occurred = mapping.occurred_at === undefined ? undefined : findFirst(mapping.occurred_at, item);
  const occurredAtUs = occurred && parseTime(occurred.value, zone, 'begin', occurred.pointer);
  const principal = readPrincipal(item, mapping);
  const said = makeObject();
  said.type = TYPES[event];
  said.principal = principal;
  for (const [field, at] of Object.entries(mapping.fields ?? {})) {
    const found = at === undefined ? undefined : findFirst(at, item);
    if (found === undefined || field === 'absent_issuers') continue;
    if (field === 'effective_at') said[field] = formatTimestamp(parseTime(found.value, zone, 'end', found.pointer));
    else if (PERSONS.includes(field)) said[field] = readPerson(found.value, undefined, found.pointer);
    else if (!GROUPS.includes(field) || event === 'moved' || event === 'hired') said[field] = found.value;
  }
  if (event === 'leave_scheduled' && said.effective_at === undefined) {
    throw new KeelsonError('unmappable', 'a leave that is scheduled needs a date', { pointer: item.pointer });
  }
  const events = [{ suffix: '', event: said }];
  const links = readLinks(item, mapping);
  // Before anything else is said of them: a leaver leaves under all their names.
  if (links !== undefined) events.unshift({ suffix: '/linked', event: { ...links, principal } });
  return { event, events, occurredAtUs };
}

function findEvent(item: Item, { events }: HrMapping): HrEvent {
  const rule = events.find(({ when }) =>
    when.every(({ at, in: values, present }) => {
      const found = findFirst(at, item)?.value;
      if (present !== undefined && present !== (found !== undefined)) return false;
      return values === undefined || values.some((value) => value === found);
    }),
  );
  if (rule !== undefined) return rule.event;
  throw new KeelsonError('unmappable', 'no rule says what happened to this person', { pointer: item.pointer });
}

function readPrincipal(item: Item, { person }: HrMapping): Json {
  const found = findFirst(person.at, item);
  if (found === undefined) {
    throw new KeelsonError('unmappable', 'it does not say whom it is about', { pointer: item.pointer });
  }
  return readPerson(found.value, person.issuer, found.pointer);
}

/** What their other names are, and where they have none; undefined where it says neither. */
function readLinks(item: Item, { aliases = [], fields }: HrMapping): JsonObject | undefined {
  const links = makeObject();
  const persons: Json[] = [];
  for (const { at, issuer } of aliases) {
    const found = findFirst(at, item);
    if (found === undefined) continue;
    const values = Array.isArray(found.value) ? found.value : [found.value];
    for (const value of values) persons.push(readPerson(value, issuer, found.pointer));
    if (persons.length > ALIASES_MAX) throw new KeelsonError('unmappable', `more than ${ALIASES_MAX} aliases`, found);
  }
  if (persons.length > 0) links.aliases = persons;
  const absent = fields?.absent_issuers === undefined ? undefined : findFirst(fields.absent_issuers, item);
  if (absent !== undefined) links.absent_issuers = absent.value;
  if (persons.length === 0 && absent === undefined) return undefined;
  links.type = 'principal.linked';
  return links;
}

/** An id, as text or as a number, or a person with issuer and id. */
function readPerson(value: Json, issuer: string | undefined, pointer: string): Json {
  const id = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (isObject(id) && issuer === undefined) return id;
  if (id instanceof ExactNumber || typeof id !== 'string' || id === '') {
    throw new KeelsonError('unmappable', 'a person is an id, or an object with issuer and id', { pointer });
  }
  if (issuer === undefined) return id;
  const person = makeObject();
  person.issuer = issuer;
  person.id = id;
  return person;
}

function parseTime(value: Json, zone: string, edge: 'begin' | 'end', pointer: string): bigint {
  if (typeof value === 'string') return parseWhen(value, zone, edge, pointer);
  throw new KeelsonError('invalid_timestamp', 'a time is a text', { pointer });
}

import { ExactNumber, makeObject, type Json, type JsonLimits, type JsonObject } from './json.js';
import { readNumber } from './json-number.js';
import { parseJsonText } from './json-parse.js';
import type { ObjectPlan, Plan } from './plan.js';
import { escapeToken, parsePointer } from './pointer.js';
import type { DecodedRecord } from './record.js';
import type { Body, BodyValue, SealedField } from './separate.js';
import { formatTimestamp } from './time.js';

export interface Reassembled {
  readonly event: JsonObject;
  /** Pointers of sealed fields that were not opened, and so are not in the event (persons excepted: pseudonyms stand there). */
  readonly missing: readonly string[];
}

/** What was sealed was bounded when it came in. */
const UNBOUNDED: JsonLimits = { maxDepth: 10_000, maxStringLength: Infinity, maxValues: Infinity };

/**
 * The event as its producer wrote it, deep-equal, out of a record and those sealed fields that were opened: the pair of
 * `separate`. Members that intake supplied (`assigned`) are left out. In place of a person who was not opened stands
 * `{"subject": "<pseudonym in hex>"}`; other fields that were not opened are left out and listed.
 */
export function reassemble(record: DecodedRecord, opened: Iterable<SealedField>): Reassembled {
  const texts = new Map<string, string>();
  for (const { pointer, text } of opened) texts.set(pointer, text);
  const originals = new Map(record.originals.map(({ pointer, text }) => [pointer, text]));
  const event = makeObject();
  setEnvelope(event, record, originals);
  giveObject(event, record.body, record.schema.plan, '', originals);

  const missing: string[] = [];
  const people = new Map(record.persons.map(({ pointer, subject }) => [pointer, subject]));
  const fields = record.sealed.flatMap((block) => block.fields.map(({ pointer }) => pointer));
  // Parents before children: `/a/*` names members of an object that the body, or nothing but the body, has made.
  for (const pointer of [...new Set([...people.keys(), ...fields])].sort(byPlace)) {
    const text = texts.get(pointer);
    const subject = people.get(pointer);
    if (text !== undefined) setField(event, pointer, parseJsonText(text, UNBOUNDED));
    else if (subject !== undefined) setField(event, pointer, pseudonym(subject));
    else missing.push(pointer);
  }
  return { event, missing };
}

/** Array elements in their order, so that arrays of persons fill up from 0. */
function byPlace(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

function pseudonym(subject: Buffer): JsonObject {
  const object = makeObject();
  object.subject = subject.toString('hex');
  return object;
}

function setEnvelope(event: JsonObject, record: DecodedRecord, originals: ReadonlyMap<string, string>): void {
  const given = (name: string): boolean => !record.assigned.includes(name);
  if (given('id')) event.id = record.id;
  if (given('type')) event.type = record.type;
  if (given('timestamp')) event.timestamp = giveTimestamp(record.occurredAtUs, originals.get('/timestamp'));
  if (record.epoch !== null && given('epoch')) event.epoch = giveLong(record.epoch);
  if (record.sequence !== null && given('sequence')) event.sequence = giveLong(record.sequence);
}

function giveObject(
  target: JsonObject,
  body: Body,
  plan: ObjectPlan,
  pointer: string,
  originals: ReadonlyMap<string, string>,
): JsonObject {
  for (const [name, member] of plan.members) {
    const value = body[name];
    if (value === null || value === undefined) continue;
    target[name] = giveValue(value, member, `${pointer}/${escapeToken(name)}`, originals);
  }
  return target;
}

function giveValue(value: BodyValue, plan: Plan, pointer: string, originals: ReadonlyMap<string, string>): Json {
  switch (plan.kind) {
    case 'timestamp':
      return giveTimestamp(value as bigint, originals.get(pointer));
    case 'long': {
      const text = originals.get(pointer);
      return text === undefined ? giveLong(value as bigint) : new ExactNumber(text);
    }
    case 'double': {
      const text = originals.get(pointer);
      return text === undefined ? (value as number) : new ExactNumber(text);
    }
    case 'bytes':
      return (value as Buffer).toString('base64');
    case 'array':
      return (value as BodyValue[]).map((item, i) => giveValue(item, plan.items, `${pointer}/${i}`, originals));
    case 'object':
      return giveObject(makeObject(), value as Body, plan, pointer, originals);
    case 'either':
      return typeof value === 'bigint'
        ? giveValue(value, { kind: 'long' }, pointer, originals)
        : (value as string | string[]);
    default:
      return value as Json;
  }
}

const giveTimestamp = (us: bigint, original: string | undefined): Json =>
  original === undefined ? formatTimestamp(us) : parseJsonText(original, UNBOUNDED);

const giveLong = (value: bigint): Json => readNumber(String(value));

/** Puts an opened field where its pointer says; `<object>/*` adds members to the object. */
function setField(event: JsonObject, pointer: string, value: Json): void {
  const tokens = parsePointer(pointer);
  const last = tokens.pop() as string;
  let container = event;
  // Only arrays of persons have no place in the body.
  for (const token of tokens) container = (container[token] ??= []) as JsonObject;
  if (last === '*') Object.assign(container, value);
  else container[last] = value;
}

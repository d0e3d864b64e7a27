import { KeelsonError } from '../core/error.js';
import { ExactNumber, isObject, makeObject, type Json, type JsonObject } from './json.js';
import { stringifyJson } from './json-text.js';
import type { ObjectPlan, Plan } from './plan.js';
import { escapeToken } from './pointer.js';
import type { EventSchema } from './schema.js';
import { isFormatted, parseTimestamp } from './time.js';

/** JSON text to be sealed, and where it stood. */
export interface SealedField {
  readonly pointer: string;
  readonly text: string;
}

/** A person in an event. */
export interface PersonField extends SealedField {
  /** Who knows them by that id; undefined: the producer's configured issuer. */
  readonly issuer: string | undefined;
  readonly id: string;
}

export interface OriginalText {
  readonly pointer: string;
  readonly text: string;
}

/** A body as `encodeRecord` takes it, longs as `bigint`; the codec gives every field of the schema, absent ones null. */
export type Body = { [field: string]: BodyValue };
export type BodyValue = null | boolean | number | bigint | string | Buffer | BodyValue[] | Body;

/** An event taken apart by its schema: what stays plain, and what has to be sealed. */
export interface Separated {
  readonly type: string;
  readonly occurredAtUs: bigint;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly body: Body;
  readonly originals: OriginalText[];
  readonly persons: PersonField[];
  /** Index into `persons` of the acting principal, under whose key `sealed` goes; undefined: a subject of the record's own. */
  readonly acting: number | undefined;
  readonly sealed: SealedField[];
}

/** Members that stand in the envelope. `id` is the envelope's too: intake takes it from where its protocol puts it. */
const ENVELOPE = new Set(['id', 'type', 'timestamp', 'epoch', 'sequence']);

/** The latest second that RFC 3339 can write. */
const MAX_SECONDS = 253_402_300_799;

/**
 * Takes an event apart by its schema (docs/record.md, "From JSON to record and back"). The event is not changed.
 *
 * @throws KeelsonError `invalid_event` (a member missing or of a wrong type), `invalid_timestamp`, `string_too_long`; each with
 *   the pointer.
 */
export function separate(event: JsonObject, schema: EventSchema): Separated {
  const { type, timestamp } = event;
  if (typeof type !== 'string' || !schema.types.includes(type)) {
    throw new KeelsonError('unknown_event_type', 'not an event type of this schema', { pointer: '/type' });
  }
  if (typeof timestamp !== 'string') invalid('/timestamp', 'an RFC 3339 timestamp is required');
  for (const name of schema.required.get(type) ?? []) {
    if (event[name] === undefined || event[name] === null) invalid(`/${escapeToken(name)}`, 'is required');
  }
  const walk = new Separation();
  const occurredAtUs = walk.takeTimestamp(timestamp, '/timestamp');
  const epoch = takeStamp(event.epoch, '/epoch');
  const sequence = takeStamp(event.sequence, '/sequence');
  const body = walk.takeObject(event, schema.plan, '', ENVELOPE);
  const { persons, sealed, originals } = walk;
  const acting = schema.acting
    .map((pointer) => persons.findIndex((person) => person.pointer === pointer))
    .find((index) => index >= 0);
  return { type, occurredAtUs, epoch, sequence, body, originals, persons, acting, sealed };
}

function invalid(pointer: string, message: string): never {
  throw new KeelsonError('invalid_event', message, { pointer });
}

function takeStamp(value: Json | undefined, pointer: string): bigint | null {
  if (value === undefined) return null;
  const stamp = readLong(value);
  if (stamp === undefined || stamp < 0n || (value instanceof ExactNumber && value.text !== String(stamp))) {
    invalid(pointer, 'expected an integer from 0');
  }
  return stamp;
}

/** A JSON number as a 64-bit integer; undefined where it is none. */
function readLong(value: Json): bigint | undefined {
  let integer: bigint;
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return undefined;
    // The text is the value: above 2^53 the double itself may be another integer than the one that was written.
    if (Number.isSafeInteger(value)) integer = BigInt(value);
    else if (/^-?\d+$/.test(String(value))) integer = BigInt(String(value));
    else return undefined;
  } else if (value instanceof ExactNumber && /^-?\d{1,19}$/.test(value.text)) integer = BigInt(value.text);
  else return undefined;
  return BigInt.asIntN(64, integer) === integer ? integer : undefined;
}

/** One walk over one event, collecting what does not stay in the body. */
class Separation {
  readonly persons: PersonField[] = [];
  readonly sealed: SealedField[] = [];
  readonly originals: OriginalText[] = [];

  takeObject(object: JsonObject, plan: ObjectPlan, pointer: string, except?: ReadonlySet<string>): Body {
    const body = makeObject() as Body;
    let unnamed: JsonObject | undefined;
    for (const name in object) {
      const value = object[name] as Json;
      if (except?.has(name)) continue;
      const member = value === null ? undefined : plan.members.get(name);
      if (member === undefined || (member.kind === 'persons' && Array.isArray(value) && value.length === 0)) {
        (unnamed ??= makeObject())[name] = value;
      } else if (member.kind === 'sealed') {
        this.sealed.push({ pointer: `${pointer}/${escapeToken(name)}`, text: stringifyJson(value) });
      } else if (member.kind === 'person') this.takePerson(value, `${pointer}/${escapeToken(name)}`);
      else if (member.kind === 'persons') this.takePersons(value, `${pointer}/${escapeToken(name)}`);
      else body[name] = this.takeValue(value, member, pointer, name);
    }
    if (unnamed) this.sealed.push({ pointer: `${pointer}/*`, text: stringifyJson(unnamed) });
    return body;
  }

  /** @param pointer of the container, so that the value's own is only made when it is needed. */
  private takeValue(value: Json, plan: Plan, pointer: string, name: string): BodyValue {
    switch (plan.kind) {
      case 'string':
        if (typeof value !== 'string') break;
        if (value.length <= plan.maxLength) return value;
        throw new KeelsonError('string_too_long', `longer than ${plan.maxLength} characters`, {
          pointer: `${pointer}/${escapeToken(name)}`,
        });
      case 'bytes': {
        if (typeof value !== 'string' || value.length > plan.maxLength) break;
        const bytes = Buffer.from(value, 'base64');
        if (bytes.toString('base64') === value) return bytes;
        break;
      }
      case 'enum':
        if (typeof value === 'string' && plan.symbols.has(value)) return value;
        return invalid(`${pointer}/${escapeToken(name)}`, `expected one of ${[...plan.symbols].join(', ')}`);
      case 'boolean':
        if (typeof value === 'boolean') return value;
        break;
      case 'long': {
        const integer = readLong(value);
        if (integer === undefined) break;
        if (value instanceof ExactNumber && value.text !== String(integer)) this.keepText(value, pointer, name);
        return integer;
      }
      case 'double':
        if (typeof value === 'number') return value + 0;
        if (!(value instanceof ExactNumber)) break;
        this.keepText(value, pointer, name);
        // Finite and not −0, so that equal records have equal bytes; the text has the value.
        return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(value.text))) + 0;
      case 'timestamp':
        return this.takeTimestamp(value, `${pointer}/${escapeToken(name)}`);
      case 'array':
        if (!Array.isArray(value)) break;
        return value.map((item, i) => this.takeValue(item, plan.items, `${pointer}/${escapeToken(name)}`, String(i)));
      case 'object':
        if (!isObject(value)) break;
        return this.takeObject(value, plan, `${pointer}/${escapeToken(name)}`);
      case 'either': {
        const fitting = plan.plans.find((one) => fits(value, one));
        if (fitting) return this.takeValue(value, fitting, pointer, name);
        break;
      }
      case 'person':
      case 'persons':
      case 'sealed':
        throw new Error('not a plain member');
    }
    return invalid(`${pointer}/${escapeToken(name)}`, `expected ${describe(plan)}`);
  }

  /** A timestamp text, or seconds since 1970 as tokens write them (RFC 7519, NumericDate). */
  takeTimestamp(value: Json, pointer: string): bigint {
    if (typeof value === 'string') {
      const us = parseTimestamp(value, pointer);
      if (!isFormatted(value)) this.originals.push({ pointer, text: JSON.stringify(value) });
      return us;
    }
    const seconds = value instanceof ExactNumber ? Number(value.text) : value;
    if (typeof seconds !== 'number') invalid(pointer, 'expected an RFC 3339 timestamp, or seconds since 1970');
    if (!(Math.abs(seconds) <= MAX_SECONDS)) {
      throw new KeelsonError('invalid_timestamp', 'a time out of range', { pointer });
    }
    this.originals.push({ pointer, text: stringifyJson(value) });
    const whole = Math.floor(seconds);
    return BigInt(whole) * 1_000_000n + BigInt(Math.floor((seconds - whole) * 1e6));
  }

  private takePersons(value: Json, pointer: string): void {
    if (!Array.isArray(value)) invalid(pointer, 'expected an array of persons');
    value.forEach((item, i) => this.takePerson(item, `${pointer}/${i}`));
  }

  private takePerson(value: Json, pointer: string): void {
    const id = isObject(value) ? value.id : value;
    const issuer = isObject(value) ? value.issuer : undefined;
    if (typeof id !== 'string' || id === '') {
      invalid(pointer, 'expected a person: an identifier, or an object with issuer and id');
    }
    if (issuer !== undefined && typeof issuer !== 'string') invalid(`${pointer}/issuer`, 'expected a string');
    if (id.length > MAX_PERSON || (issuer?.length ?? 0) > MAX_PERSON) {
      throw new KeelsonError('string_too_long', `longer than ${MAX_PERSON} characters`, { pointer });
    }
    this.persons.push({ pointer, text: stringifyJson(value), issuer, id });
  }

  private keepText(value: ExactNumber, pointer: string, name: string): void {
    this.originals.push({ pointer: `${pointer}/${escapeToken(name)}`, text: value.text });
  }
}

/** UTF-16 code units of a person's identifier and of their issuer. */
const MAX_PERSON = 2048;

function fits(value: Json, plan: Plan): boolean {
  switch (plan.kind) {
    case 'string':
      return typeof value === 'string';
    case 'array':
      return Array.isArray(value);
    case 'long':
      return typeof value === 'number' || value instanceof ExactNumber;
    default:
      return false;
  }
}

function describe(plan: Plan): string {
  switch (plan.kind) {
    case 'either':
      return plan.plans.map(describe).join(' or ');
    case 'array':
      return `an array of ${describe(plan.items)}s`;
    case 'object':
      return 'an object';
    case 'long':
      return 'a 64-bit integer';
    case 'double':
      return 'a number';
    case 'bytes':
      return `base64 of at most ${plan.maxLength} characters`;
    default:
      return `a ${plan.kind}`;
  }
}

/** Facts to rows: names become integers, things 16 bytes, and a batch one buffer in PostgreSQL's binary COPY format. */
import type { ClientBase } from 'pg';
import type { Facts, Row } from './facts.js';
import { nameKey, uuidText, writeThingKey, type NameKind, type ThingKind } from './keys.js';
import type { Dictionary, Wanted } from './names.js';

/**
 * Names of one row at most: a row has to fit a database page. Far above what a person or a policy engine writes; of a record
 * that names more, the first thousand are found.
 */
const NAMES_MAX = 1_000;

/** Binary COPY: field count, then length and bytes of each. Without `keys`' elements, and with everything else present. */
const ROW_BYTES_MAX = 2 + 3 * (4 + 8) + (4 + 16) + (4 + 2) + (4 + 8) + 5 * (4 + 16) + (4 + 20);
const KEY_BYTES = 8;
const FIELDS = 12;
const INT4_OID = 23;

/** The rows of a batch as COPY sends them to a part; where each ends, and its names: they may be split over parts. */
export interface EncodedRows {
  readonly bytes: Buffer;
  readonly ends: readonly number[];
  readonly keys: readonly (readonly number[])[];
}

/** @param tx where names that are new get their integers. */
export async function encodeRows(tx: ClientBase, dictionary: Dictionary, rows: readonly Row[]): Promise<EncodedRows> {
  const keys: number[][] = [];
  const wanted: Wanted = new Map();
  const late: { at: number[]; place: number; key: string }[] = [];
  for (const { facts } of rows) keys.push(keysOf(facts, dictionary, wanted, late));
  const ids = await dictionary.resolve(tx, wanted);
  for (const { at, place, key } of late) at[place] = ids.get(key)!;

  let size = rows.length * ROW_BYTES_MAX;
  for (const of of keys) size += of.length * KEY_BYTES;
  const bytes = Buffer.allocUnsafe(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  const ends: number[] = [];
  let at = 0;
  for (let i = 0; i < rows.length; i++) ends.push((at = writeRow(bytes, view, at, rows[i]!, keys[i]!)));
  return { bytes, ends, keys };
}

/** The integers of a row's names. Of names not in memory, notes in `late` where their integer has to go. */
function keysOf(
  facts: Facts,
  dictionary: Dictionary,
  wanted: Wanted,
  late: { at: number[]; place: number; key: string }[],
): number[] {
  const keys: number[] = [];
  const add = (kind: NameKind, text: string): void => {
    if (keys.length >= NAMES_MAX) return;
    const id = dictionary.get(kind, text);
    if (id === undefined) {
      const key = uuidText(nameKey(kind, text));
      for (let i = late.length - 1; i >= 0 && late[i]!.at === keys; i--) if (late[i]!.key === key) return;
      dictionary.want(wanted, kind, text);
      late.push({ at: keys, place: keys.length, key });
      keys.push(0);
    } else if (!keys.includes(id)) keys.push(id);
  };
  add('type', facts.type);
  add('producer', facts.producer);
  for (const agent of facts.agents) add('agent', agent);
  if (facts.tool !== undefined) add('tool', facts.tool);
  if (facts.decision !== undefined) add('decision', facts.decision);
  if (facts.environment !== undefined) add('environment', facts.environment);
  for (const subject of facts.principals) add('principal', uuidText(subject));
  for (const policy of facts.policies) add('policy', policy);
  return keys;
}

function writeRow(
  bytes: Buffer,
  view: DataView,
  start: number,
  { log, index, appendedAtUs, facts }: Row,
  keys: number[],
): number {
  let at = start;
  view.setInt16(at, FIELDS);
  at += 2;
  for (const value of [appendedAtUs, index, facts.occurredAtUs]) {
    view.setInt32(at, 8);
    view.setBigInt64(at + 4, value);
    at += 12;
  }
  at = writeThing(bytes, view, at, 'event', facts.eventId);
  view.setInt32(at, 2);
  view.setInt16(at + 4, log);
  at += 6;
  if (facts.risk === undefined) at = writeNull(view, at);
  else {
    view.setInt32(at, 8);
    view.setFloat64(at + 4, facts.risk);
    at += 12;
  }
  at = writeThing(bytes, view, at, 'token', facts.tokens[0]);
  at = writeThing(bytes, view, at, 'token', facts.tokens[1]);
  at = writeThing(bytes, view, at, 'session', facts.sessions[0]);
  at = writeThing(bytes, view, at, 'session', facts.sessions[1]);
  at = writeThing(bytes, view, at, 'task', facts.task);
  // An array: dimensions, flags, element type, its length and lower bound; then length and bytes of each element.
  view.setInt32(at, 20 + keys.length * KEY_BYTES);
  view.setInt32(at + 4, 1);
  view.setInt32(at + 8, 0);
  view.setInt32(at + 12, INT4_OID);
  view.setInt32(at + 16, keys.length);
  view.setInt32(at + 20, 1);
  at += 24;
  for (const key of keys) {
    view.setInt32(at, 4);
    view.setInt32(at + 4, key);
    at += KEY_BYTES;
  }
  return at;
}

function writeThing(bytes: Buffer, view: DataView, at: number, kind: ThingKind, text: string | undefined): number {
  if (text === undefined) return writeNull(view, at);
  view.setInt32(at, 16);
  writeThingKey(bytes, at + 4, kind, text);
  return at + 20;
}

function writeNull(view: DataView, at: number): number {
  view.setInt32(at, -1);
  return at + 4;
}

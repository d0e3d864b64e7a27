/**
 * What a protocol makes of a body: one item per event, each with the bytes it was read from. A protocol is one file that
 * exports a `Protocol`; everything behind it is the same for all.
 */
import type { Producer } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import type { JsonLimits, JsonObject } from '../events/json.js';

/** An event as the producer meant it, in Keelson's words, before anything was taken out of it. */
export interface Arrived {
  /** The bytes this came in, for quarantine. */
  readonly raw: Uint8Array;
  /** The event: `timestamp`, `type` and the type's members. */
  readonly event: JsonObject;
  /** `digest` of what the producer sent, which tells a repeat from a conflict. Without what intake or a header supplied. */
  readonly digest: Buffer;
  /** The producer's id for it. Absent: intake gives it one. */
  readonly id?: string;
  /** Top-level members of the event that intake supplied, so not the producer's. */
  readonly assigned: readonly string[];
  /** The producer's own source, in which the id is unique; else empty. */
  readonly source: string;
}

/** Bytes that could not become an event, and why. */
export interface Refused {
  readonly raw: Uint8Array;
  readonly error: KeelsonError;
  readonly id?: string;
  readonly type?: string;
}

export type Item = Arrived | Refused;

export interface ParseOptions {
  readonly producer: Producer;
  /** The content digest (docs/record.md, "Pack"), 16 bytes. */
  readonly digest: (content: JsonObject) => Buffer;
  readonly limits: JsonLimits;
  /** Items in one body. */
  readonly maxItems: number;
  /** Bytes of one item. */
  readonly maxItemBytes: number;
  /** What an event without `type` is. Absent: it must have one. */
  readonly defaultType?: string;
  /** The Idempotency-Key of the request: the id of its event, or, with `/` and its place, of each of its events. */
  readonly idempotencyKey?: string;
}

export interface Parsed {
  /** Whether the body was a list; else it is one event. */
  readonly list: boolean;
  readonly count: number;
  /** Each item in order, parsed when it is asked for, so that a body's objects need not all live at once. */
  readonly items: Iterable<Item>;
}

export interface Protocol {
  /** As it stands in the record. */
  readonly name: string;
  /**
   * @throws KeelsonError when the body as a whole can't be split: `malformed_json`, `too_many_items`. What is wrong with one
   * item is that item's own `error`.
   */
  parse(body: Uint8Array, options: ParseOptions): Parsed;
}

/** Turns what a parser throws about one item into a refused item; a bug is not covered up. */
export function refuse(raw: Uint8Array, thrown: unknown, known: { id?: string; type?: string } = {}): Refused {
  if (!(thrown instanceof KeelsonError)) throw thrown;
  return { raw, error: thrown, ...known };
}

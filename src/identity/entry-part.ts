/** What of a record the graph is made of: plain members and pseudonyms. Nothing sealed is opened. */
import { ENTRY_HEADER_BYTES, parseEntry } from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import { PartialReader, type Kept } from '../events/partial-reader.js';
import type { SchemaRegistry } from '../events/registry.js';
import type { Body, BodyValue } from '../events/separate.js';
import { learnFrom } from '../ledger/schemas.js';

/** A record, as far as it was read. */
export interface EntryPart {
  readonly type: string;
  readonly producer: string;
  readonly persons: readonly { readonly pointer: string; readonly subject: Buffer }[];
  readonly body: Body;
}

/** Where an entry stands, and when the event log took it (microseconds since 1970). */
export interface EntryAt {
  readonly log: number;
  readonly index: bigint;
  readonly atUs: number;
}

const CHAIN: Kept = { agent: true, client: true, delegation: true, grant: true };
const TOKEN: Kept = { jti: true, digest: true, issuer: true, client_id: true, issued_at: true, expires_at: true };

const KEPT: Kept = {
  type: true,
  producer: true,
  persons: true,
  body: {
    agent: true,
    agent_identity: { spiffe_id: true, client_id: true },
    client: true,
    tool: true,
    tools: true,
    environment: true,
    decision: true,
    token: TOKEN,
    delegation_chain: CHAIN,
    grant: true,
    delegation: true,
    parent: true,
    session_id: true,
    context: { session_id: true, environment: true },
    user_context: { sso_session: true },
    issuer: true,
    from_agent: true,
    to_agent: true,
    on_owner_leave: true,
    risk_level: true,
    expires_at: true,
    absent_issuers: true,
    point: true,
    text: true,
    registration: true,
    index: true,
    method: true,
    code: true,
  },
};

export class EntryReader {
  readonly #reader: PartialReader<EntryPart>;

  /** @param schemas of every record that will be read. */
  constructor(private readonly schemas: SchemaRegistry) {
    this.#reader = new PartialReader(schemas, KEPT);
  }

  /**
   * The time of an entry, and its record. No record: the sequencer refused it, or this program can't read it; a projection that
   * stopped at it would stop for ever.
   */
  read(bytes: Uint8Array): { atUs: number; part: EntryPart | undefined } {
    if (!holdsRecord(bytes)) return { atUs: Number(parseEntry(bytes).appendedAtUs), part: undefined };
    const atUs = uint32At(bytes, TIME_AT) * 2 ** 32 + uint32At(bytes, TIME_AT + 4);
    try {
      const record = bytes.subarray(ENTRY_HEADER_BYTES);
      const part = this.#reader.read(record);
      if (part.type === 'log.schema') learnFrom(record, this.schemas);
      return { atUs, part };
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      return { atUs, part: undefined };
    }
  }
}

/** Where the append time stands in an entry. */
const TIME_AT = 2;

/** What `parseEntry` finds out, too, at many times the cost: format and kind, and how a record begins. */
const holdsRecord = (entry: Uint8Array): boolean =>
  entry.length > ENTRY_HEADER_BYTES &&
  entry[0] === 1 &&
  entry[1] === 0 &&
  entry[ENTRY_HEADER_BYTES] === 0xc3 &&
  entry[ENTRY_HEADER_BYTES + 1] === 0x01;

const uint32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

/** The member, where it is text that says something. */
export function textAt(body: Body | undefined, name: string): string | undefined {
  const value = body?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function textsAt(body: Body, name: string): string[] {
  const value = body[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string' && item !== '') : [];
}

/** Microseconds since 1970; 0 where there is none. Before 1970 nothing was issued, and nothing ended. */
export function timeAt(body: Body | undefined, name: string): number {
  const value = body?.[name];
  return typeof value === 'bigint' && value > 0n ? Number(value) : 0;
}

export function objectAt(body: Body, name: string): Body | undefined {
  const value = body[name];
  return isBody(value) ? value : undefined;
}

export function objectsAt(body: Body, name: string): Body[] {
  const value = body[name];
  return Array.isArray(value) ? value.filter(isBody) : [];
}

const isBody = (value: BodyValue | undefined): value is Body =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);

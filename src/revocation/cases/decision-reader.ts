/** From an entry of a decisions log to what of it is held against orders. Nothing sealed is opened. */
import { formatHex } from '../../core/bytes.js';
import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import { PartialReader, type Kept } from '../../events/partial-reader.js';
import type { SchemaRegistry } from '../../events/index.js';
import type { Body } from '../../events/index.js';
import { learnFrom } from '../../ledger/schemas.js';
import type { TokenFacts } from '../../protocol/token-keys.js';
import { numberOf, objectOf, objectsOf, textOf } from '../body.js';
import type { Allowed } from './allowed.js';

interface Part {
  readonly type: string;
  readonly producer: string;
  readonly occurred_at: bigint | number;
  readonly persons: readonly { readonly pointer: string; readonly subject: Buffer }[];
  readonly body: Body;
}

const HOP: Kept = { agent: true, client: true, delegation: true, grant: true };
const KEPT: Kept = {
  type: true,
  producer: true,
  occurred_at: true,
  persons: true,
  body: {
    decision: true,
    agent: true,
    agent_identity: { spiffe_id: true, client_id: true },
    client: true,
    tool: true,
    token: { jti: true, digest: true, issuer: true, client_id: true, issued_at: true },
    delegation_chain: HOP,
    grant: true,
    delegation: true,
    context: { session_id: true, environment: true },
    user_context: { sso_session: true },
    point: true,
    enforcement: { instance: true, seq: true },
    // Of log.schema.
    text: true,
  },
};
/** For whom it was decided; who approved something is no party to it. */
const PARTY = /^\/(user|user_context\/principal|token\/subject|delegation_chain\/\d+\/principal)$/;

export class DecisionReader {
  readonly #reader: PartialReader<Part>;

  constructor(private readonly schemas: SchemaRegistry) {
    this.#reader = new PartialReader(schemas, KEPT);
  }

  /** Undefined: no decision, none that allowed, or none that can be read. */
  read(log: string, index: bigint, bytes: Uint8Array): Allowed | undefined {
    const entry = parseEntry(bytes);
    if (entry.kind !== 'record') return undefined;
    let part: Part;
    try {
      part = this.#reader.read(entry.record);
    } catch (error) {
      if (error instanceof KeelsonError) return undefined;
      throw error;
    }
    if (part.type === 'log.schema') learnFrom(entry.record, this.schemas);
    if (part.type !== 'decision.made' || part.body.decision !== 'allow') return undefined;
    const { producer, body, persons, occurred_at } = part;
    const enforcement = objectOf(body, 'enforcement') ?? {};
    const issuedAtUs = numberOf(objectOf(body, 'token') ?? {}, 'issued_at');
    return {
      log,
      index,
      appendedUs: Number(entry.appendedAtUs),
      decidedUs: Number(occurred_at),
      producer,
      point: textOf(body, 'point'),
      instance: textOf(enforcement, 'instance'),
      seq: numberOf(enforcement, 'seq'),
      facts: factsOf(body),
      persons: persons.flatMap(({ pointer, subject }) => (PARTY.test(pointer) ? [formatHex(subject)] : [])),
      issuedAtUs,
    };
  }
}

/** Several, as a decision may name more than one session or client. */
function factsOf(body: Body): TokenFacts[] {
  const token = objectOf(body, 'token') ?? {};
  const identity = objectOf(body, 'agent_identity') ?? {};
  const context = objectOf(body, 'context') ?? {};
  const hops = objectsOf(body, 'delegation_chain');
  const issuer = textOf(token, 'issuer');
  const all = (name: string): string[] => [body, ...hops].flatMap((one) => textOf(one, name) ?? []);
  const spiffeId = textOf(identity, 'spiffe_id');
  const sessions = [textOf(context, 'session_id'), textOf(objectOf(body, 'user_context') ?? {}, 'sso_session')];
  const clients = [textOf(token, 'client_id'), textOf(identity, 'client_id'), ...all('client')];
  return [
    {
      issuer,
      jti: textOf(token, 'jti'),
      digest: textOf(token, 'digest'),
      agents: [...all('agent'), ...(spiffeId === undefined ? [] : [spiffeId])],
      delegations: all('delegation'),
      grants: all('grant'),
      tool: textOf(body, 'tool'),
      environment: textOf(context, 'environment'),
    },
    ...sessions.flatMap((sessionId) => (sessionId === undefined ? [] : [{ issuer, sessionId }])),
    ...clients.flatMap((clientId) => (clientId === undefined ? [] : [{ issuer, clientId }])),
  ];
}

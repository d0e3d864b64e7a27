/** A company as entries: agents with owners, each with clients, grants, sessions and tokens, and what they decided. */
import { encodeRecordEntry } from '../../src/core/entry.js';
import type { JsonObject } from '../../src/events/json.js';
import { encodeRecord } from '../../src/events/record.js';
import { builtInSchemas } from '../../src/events/registry.js';
import { separate } from '../../src/events/separate.js';
import { createHash } from 'node:crypto';

export const schemas = builtInSchemas();
export const NOW_US = 1_800_000_000_000_000;
const FIRST_US = 1_799_000_000_000_000;
const STAMP = Buffer.alloc(16);
const ISSUER = 'https://login.company.com/realms/agents';

export const pseudonymOf = (name: string): Buffer => createHash('sha256').update(name).digest().subarray(0, 16);

export interface WorldSize {
  readonly agents: number;
  readonly tokens: number;
  /** Agents of the one person whose end is tried out; the others own ten each. */
  readonly owned: number;
  readonly decisionsPerToken: number;
}

export const BOSS = 'boss';
const ownerOf = (agent: number, { owned }: WorldSize): string =>
  agent < owned ? BOSS : `person-${Math.floor(agent / 10)}`;
const agentName = (agent: number): string => `spiffe://company.com/agents/team-${agent % 97}/agent-${agent}`;
const jtiOf = (token: number): string => `0198c2f3-7c1e-7d6c-a1d0-${token.toString(16).padStart(12, '0')}`;

/** Lifecycle: every agent with its owner, tools and client. */
export function agentEvent(agent: number, size: WorldSize): JsonObject {
  return {
    type: 'agent.registered',
    agent: agentName(agent),
    owner: ownerOf(agent, size),
    client: `client-${agent % 1000}`,
    tools: [`tool-${agent % 50}`],
    environment: agent % 2 === 0 ? 'production' : 'staging',
  };
}

/** Activity: a point saw a token. */
export function tokenEvent(token: number, size: WorldSize): JsonObject {
  const agent = token % size.agents;
  return {
    type: 'token.seen',
    token: {
      jti: jtiOf(token),
      issuer: ISSUER,
      client_id: `client-${agent % 1000}`,
      issued_at: 1_799_000_000,
      expires_at: 1_900_000_000,
    },
    agent: agentName(agent),
    session_id: `session-${agent}`,
    point: `gateway-${token % 20}`,
  };
}

/** Decisions: the token is used. */
export function decisionEvent(token: number, size: WorldSize): JsonObject {
  const agent = token % size.agents;
  return {
    type: 'decision.made',
    decision: 'allow',
    agent: agentName(agent),
    tool: `tool-${agent % 50}`,
    user: ownerOf(agent, size),
    token: { jti: jtiOf(token), issuer: ISSUER },
    point: `gateway-${token % 20}`,
    context: { environment: agent % 2 === 0 ? 'production' : 'staging' },
  };
}

/** The bytes of an entry, `place` ms after the first. */
export function encodeEntry(event: JsonObject, place: number): Uint8Array {
  const schema = schemas.forType(event.type as string);
  const parts = separate({ timestamp: '2027-01-01T00:00:00Z', ...event }, schema);
  const record = encodeRecord(schema, {
    dedupe: STAMP,
    blind: STAMP,
    id: 'event',
    type: parts.type,
    occurredAtUs: parts.occurredAtUs,
    acceptedAtUs: 0n,
    producer: 'bench',
    producerVerified: true,
    source: '',
    protocol: 'native',
    epoch: null,
    sequence: null,
    assigned: [],
    persons: parts.persons.map(({ pointer, id }) => ({ pointer, subject: pseudonymOf(id) })),
    sealed: [],
    masked: [],
    originals: parts.originals,
    body: parts.body,
  });
  return encodeRecordEntry(
    { appendedAtUs: BigInt(FIRST_US + place * 1000), partition: 0, offset: 0n, place: 0 },
    record,
  );
}

/** Every entry of the world, log by log: 0 lifecycle, 1 activity, 2 decisions; in batches of at most `batch`. */
export function* batchesOf(size: WorldSize, batch: number): Generator<{ log: number; entries: Uint8Array[] }> {
  let place = 0;
  for (const [log, count, event] of [
    [0, size.agents, agentEvent],
    [1, size.tokens, tokenEvent],
    [2, size.tokens * size.decisionsPerToken, (i: number, of: WorldSize) => decisionEvent(i % of.tokens, of)],
  ] as const) {
    for (let from = 0; from < count; from += batch) {
      const entries: Uint8Array[] = [];
      for (let i = from; i < Math.min(from + batch, count); i++) entries.push(encodeEntry(event(i, size), place++));
      yield { log, entries };
    }
  }
}

import { createHmac } from 'node:crypto';
import {
  builtInSchemas,
  dedupeKey,
  encodeRecord,
  makeLogOpened,
  makeLogSchema,
  makeObject,
  parseJson,
  separate,
  type JsonObject,
} from '../../src/events/index.js';
import { PackBuilder } from '../../src/eventlog/pack.js';
import type { Partition } from '../../src/eventlog/port.js';
import { drawRandom, sealEvent, type Subject } from '../../src/vault/index.js';

export const decisions: Partition = { topic: 'decisions', partition: 0 };
export const LEDGER_NAME = 'bench.example/ledger';

const schemas = builtInSchemas();
const decisionMade = schemas.forType('decision.made');
const AGENTS = 2_000;
const USERS = 1_000;
const TOOLS = 200;
const subjects: Subject[] = Array.from({ length: USERS }, () => ({ pseudonym: drawRandom(16), key: drawRandom(32) }));

/** What a decision says, and the pseudonym of its user. */
export function describeDecision(index: number) {
  const user = (index * 7) % USERS;
  return {
    id: `decision-${index}`,
    occurredAtMs: 1_750_000_000_000 + index,
    agent: `spiffe://company.com/agent/worker-${index % AGENTS}`,
    user: `user-${user}@company.com`,
    pseudonym: subjects[user]!.pseudonym,
    tool: `tool-${(index * 13) % TOOLS}`,
    decision: index % 10 === 0 ? 'deny' : 'allow',
    policyVersion: `2026.11.${index % 30}`,
    token: `jti-${index >> 3}`,
    session: `session-${index >> 5}`,
    risk: (index % 100) / 100,
  };
}

/** A decision as an enforcement point would publish it, in JSON. */
export function makeDecision(index: number): string {
  const it = describeDecision(index);
  return JSON.stringify({
    id: it.id,
    timestamp: new Date(it.occurredAtMs).toISOString(),
    agent: it.agent,
    user: it.user,
    tool: it.tool,
    decision: it.decision,
    policy_version: it.policyVersion,
    token: { jti: it.token },
    context: { session_id: it.session, risk_score: it.risk },
    parameters: { service: 'api', version: `2.3.${index % 100}`, region: 'eu-central-1' },
  });
}

/** The record of that decision, sealed, as intake makes it. */
export function makeRecord(index: number): Buffer {
  const json = parseJson(Buffer.from(makeDecision(index))) as JsonObject;
  const event = Object.assign(makeObject(), { type: 'decision.made' }, json);
  const separated = separate(event, decisionMade);
  const id = `decision-${index}`;
  const blind = drawRandom(16);
  const subject = subjects[(index * 7) % USERS]!;
  const persons = separated.persons.map(() => subject);
  const { persons: places, sealed } = sealEvent(
    separated,
    { id, fingerprint: decisionMade.fingerprint, blind },
    persons,
    subject,
  );
  return encodeRecord(decisionMade, {
    dedupe: dedupeKey('bench', '', id),
    blind,
    id,
    type: separated.type,
    occurredAtUs: separated.occurredAtUs,
    acceptedAtUs: 1_790_000_000_000_000n,
    producer: 'bench',
    producerVerified: true,
    source: '',
    protocol: 'native',
    epoch: null,
    sequence: null,
    assigned: [],
    persons: places,
    sealed,
    masked: [],
    originals: separated.originals,
    body: separated.body,
  });
}

/** What opens a log, as intake sends it: its opening and the schemas it uses. */
export function makeOpening(at: Partition): Uint8Array {
  const origin = `${LEDGER_NAME}/${at.topic}/${at.partition}/g1`;
  const stamp = { blind: drawRandom(16), nowUs: 1_790_000_000_000_000n };
  const pack = new PackBuilder();
  const opening = { ledger: LEDGER_NAME, generation: 'g1', origin };
  pack.add(makeLogOpened(schemas, opening, stamp), digest('opened'));
  for (const type of ['log.opened', 'log.schema', 'decision.made']) {
    pack.add(makeLogSchema(schemas, schemas.forType(type), stamp), digest(type));
  }
  return pack.finish();
}

/** Puts records into packs, as few as they fit, what opens a log first, and hands each to `each`, several at once. */
export class Packer {
  #pack = new PackBuilder();
  #waiting: Promise<unknown>[] = [];

  constructor(private readonly each: (pack: Uint8Array) => Promise<unknown>) {}

  async open(at: Partition): Promise<void> {
    await this.each(makeOpening(at));
  }

  async add(record: Buffer): Promise<void> {
    const content = digest(record.subarray(10, 26).toString('latin1'));
    if (this.#pack.add(record, content)) return;
    this.#waiting.push(this.each(this.#pack.finish()));
    if (this.#waiting.length === 16) await Promise.all(this.#waiting.splice(0));
    this.#pack.add(record, content);
  }

  async finish(): Promise<void> {
    this.#waiting.push(this.each(this.#pack.finish()));
    await Promise.all(this.#waiting);
  }
}

const digest = (text: string): Buffer => createHmac('sha256', 'bench').update(text).digest().subarray(0, 16);

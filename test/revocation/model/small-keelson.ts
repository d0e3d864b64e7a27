/**
 * Everything between an event and a verdict, in memory and without a clock: the real folds, graph, survey and `step`, over a ledger that is
 * an array. What the processor writes counts only once it stands there.
 */
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { encodeRecordEntry } from '../../../src/core/entry.js';
import type { JsonObject } from '../../../src/events/json.js';
import { encodeRecord } from '../../../src/events/record.js';
import { builtInSchemas } from '../../../src/events/registry.js';
import { separate } from '../../../src/events/separate.js';
import { EntryReader } from '../../../src/identity/entry-part.js';
import { foldEntry } from '../../../src/identity/fold.js';
import { Graph } from '../../../src/identity/graph.js';
import { Identity } from '../../../src/identity/identity.js';
import type { OwnEvent } from '../../../src/intake/encoder.js';
import { nodeHasher as hasher } from '../../../src/platform/hasher.js';
import { checkToken, type Verdict } from '../../../src/protocol/check.js';
import { keysOfToken, type TokenFacts } from '../../../src/protocol/token-keys.js';
import { dryRun, type Asked, type Blast } from '../../../src/revocation/dry-run.js';
import { foldEvent } from '../../../src/revocation/fold.js';
import { LIFECYCLE, readLifecycle } from '../../../src/revocation/lifecycle.js';
import { RevocationState } from '../../../src/revocation/state.js';
import { step, type StepSettings } from '../../../src/revocation/step.js';
import { Survey } from '../../../src/revocation/survey.js';
import type { Person, Policy } from '../../../src/revocation/world.js';
import { checkFoldOver } from '../fold-over.js';

const schemas = builtInSchemas();
const guardKey = Buffer.alloc(32, 3);
const STAMP = Buffer.alloc(16);
export const SETTINGS: StepSettings = { holdCount: 1000, holdShare: 1, holdUs: 900_000_000, tokenLifeUs: 1e15 };
/** Enough rounds for whatever these tests make up; more is a processor that never rests. */
const MAX_ROUNDS = 50;

export interface Said {
  readonly event: JsonObject;
  readonly producer: string;
}

export class SmallKeelson {
  /** Entries of lifecycle. */
  readonly #lifecycle: Uint8Array[] = [];
  readonly #persons = new Map<string, Person>();
  readonly #written = new Map<string, string>();
  readonly #reader = new EntryReader(schemas);
  readonly #graph = new Graph();
  /** Entries of activity, and how many of them the graph knows. */
  readonly #activity: Uint8Array[] = [];
  #folded = 0;
  /** Whether the graph folds activity as soon as it is committed. */
  isPrompt = true;
  #state = new RevocationState({ hasher, guardKey });
  #survey = this.#newSurvey();
  #term = 0n;
  nowUs = 1_800_000_000_000_000;

  constructor(
    private readonly policyOf: (producer: string) => Policy,
    private readonly settings: StepSettings = SETTINGS,
  ) {
    this.takeOver();
  }

  get state(): RevocationState {
    return this.#state;
  }

  get size(): number {
    return this.#lifecycle.length;
  }

  /** Somebody says something; it is committed and folded. Answers its id. */
  say({ event, producer }: Said): string {
    this.nowUs += 1_000_000;
    const isActivity = /^(token|session|decision)\./.test(event.type as string);
    const id = `${producer}/${this.#lifecycle.length}/${this.#activity.length}`;
    const entry = this.#entryOf(event, id, producer, 'native');
    if (!isActivity) this.#commit(entry);
    else if (this.#activity.push(entry) > 0 && this.isPrompt) this.foldActivity();
    return id;
  }

  /** The graph takes in what is committed to activity, or so many entries of it. */
  foldActivity(count = Infinity): void {
    for (const entry of this.#activity.slice(this.#folded, this.#folded + count)) {
      const { atUs, part } = this.#reader.read(entry);
      foldEntry(this.#graph, part!, { log: 2, index: BigInt(this.#folded++), atUs });
    }
  }

  /** Another process takes the next term and folds all there is; nothing else is left of the one before. */
  takeOver(): void {
    const state = this.refold();
    this.#state = state;
    this.#survey = this.#newSurvey();
    this.#term = state.table.term + 1n;
    this.write([
      { type: 'revocation.term', id: `term/${this.#term}`, event: { term: Number(this.#term), holder: 'p' } },
    ]);
    state.hearAll();
  }

  /** One look: what the processor would write now. */
  async look(): Promise<OwnEvent[]> {
    this.nowUs += 1000;
    const { subjects, things } = await this.#survey.changed();
    if (subjects === 'all') this.#state.hearAll();
    else this.#state.hear(subjects, things);
    const office = { state: this.#state, term: this.#term, nowUs: this.nowUs };
    const state = this.#state;
    const looked = step(office, { kind: 'look', reached: await this.#survey.reached(state) }, this.settings);
    const causes = looked.survey.map((order) => state.causes.get(order)!);
    const worlds = await this.#survey.ask({ state }, causes);
    const decided = causes.length === 0 ? [] : step(office, { kind: 'surveyed', worlds }, this.settings).publish;
    return [...decided, ...looked.publish];
  }

  /** The ledger takes records of Keelson's own; one whose name is there already is a repeat. */
  write(events: readonly OwnEvent[]): void {
    for (const { type, id, event } of events) {
      const text = JSON.stringify([type, event]);
      const before = this.#written.get(id);
      if (before !== undefined && before !== text) throw new Error(`two records of one name: ${before} and ${text}`);
      if (before !== undefined) continue;
      this.#written.set(id, text);
      const entry = this.#entryOf({ type, ...event }, id, 'keelson', 'internal');
      this.#commit(entry);
    }
  }

  /** Looks and writes until there is nothing left to do. */
  async settle(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const events = await this.look();
      this.write(events);
      if (events.length === 0 && this.#state.touched.size === 0) return;
    }
    throw new Error(`the processor does not come to rest: ${JSON.stringify([...this.#state.touched])}`);
  }

  /**
   * The process dies in the middle of a round: of what it was about to write, so much is committed before another one takes over, and the
   * rest after.
   */
  async die(written: number): Promise<void> {
    const events = await this.look();
    this.write(events.slice(0, written));
    this.takeOver();
    this.write(events.slice(written));
  }

  check(facts: TokenFacts): Verdict {
    return checkToken(this.#state.table, keysOfToken(hasher, guardKey, facts), facts.issuedAtUs, this.nowUs, 0);
  }

  /** The state that somebody folds who comes now: from the beginning, or from what was put away in between. */
  refold(): RevocationState {
    return checkFoldOver({ hasher, guardKey }, this.#lifecycle, fold);
  }

  /** What a dry run says of a request of `producer`. */
  dryRun(producer: string, asked: Asked): Promise<Blast> {
    const follower = { state: this.#state, size: BigInt(this.size), catchUp: () => Promise.resolve() };
    return dryRun(follower, this.#survey, this.#identity(), producer, asked);
  }

  /** The pseudonym of a person, in hex. */
  nameOf({ issuer, id }: Person): string {
    return this.#pseudonymOf(issuer, id).toString('hex');
  }

  #identity(): Identity {
    return new Identity({
      graph: this.#graph,
      positions: {
        get: (path: string) => BigInt(path === LIFECYCLE ? this.#lifecycle.length : this.#folded),
      } as ReadonlyMap<string, bigint>,
      waitUntil: () => Promise.resolve(),
      lastUse: () => Promise.resolve(null),
    });
  }

  #newSurvey(): Survey {
    return new Survey({
      identity: this.#identity(),
      identify: (pseudonyms) =>
        Promise.resolve(
          new Map(
            pseudonyms.flatMap((bytes) => {
              const name = Buffer.from(bytes).toString('hex');
              const person = this.#persons.get(name);
              return person === undefined ? [] : [[name, person] as const];
            }),
          ),
        ),
      sizes: () => Promise.resolve(new Map([['activity/0/g1', BigInt(this.#activity.length)]])),
      policyOf: (producer) => Promise.resolve(this.policyOf(producer)),
      logger: pino({ level: 'silent' }),
    });
  }

  #commit(entry: Uint8Array): void {
    const index = this.#lifecycle.push(entry) - 1;
    const { atUs, part } = this.#reader.read(entry);
    if (part !== undefined) foldEntry(this.#graph, part, { log: 1, index: BigInt(index), atUs });
    fold(this.#state, index, entry);
    this.#state.forgetChanges();
  }

  #entryOf(event: JsonObject, id: string, producer: string, protocol: string): Uint8Array {
    const schema = schemas.forType(event.type as string);
    const parts = separate({ timestamp: '2026-01-01T00:00:00Z', ...event }, schema);
    const record = encodeRecord(schema, {
      ...{ dedupe: STAMP, blind: STAMP, id, type: parts.type, occurredAtUs: parts.occurredAtUs, acceptedAtUs: 0n },
      ...{ producer, producerVerified: true, source: '', protocol, epoch: null, sequence: null, assigned: [] },
      persons: parts.persons.map(({ pointer, issuer, id }) => ({
        pointer,
        subject: this.#pseudonymOf(issuer ?? '', id),
      })),
      ...{ sealed: [], masked: [], originals: parts.originals, body: parts.body },
    });
    return encodeRecordEntry({ appendedAtUs: BigInt(this.nowUs), partition: 0, offset: 0n, place: 0 }, record);
  }

  #pseudonymOf(issuer: string, id: string): Buffer {
    const pseudonym = createHash('sha256').update(`${issuer}\0${id}`).digest().subarray(0, 16);
    this.#persons.set(pseudonym.toString('hex'), { issuer, id });
    return pseudonym;
  }
}

function fold(state: RevocationState, index: number, entry: Uint8Array): void {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(entry.length);
  const page = { firstIndex: BigInt(index), count: 1, entries: Buffer.concat([length, entry]) };
  for (const event of readLifecycle(BigInt(index), [page], schemas)) foldEvent(state, event);
}

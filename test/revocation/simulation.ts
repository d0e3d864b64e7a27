/** Lifecycle, the fold and `step` in memory: what the shell does, one round after another, with faults where a test wants them. */
import { encodeRecordEntry } from '../../src/core/entry.js';
import {
  builtInSchemas,
  dedupeKey,
  encodeRecord,
  makeOwnRecord,
  separate,
  type JsonObject,
} from '../../src/events/index.js';
import type { OwnEvent } from '../../src/intake/encoder.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { checkToken, type Verdict } from '../../src/protocol/check.js';
import { keysOfToken, type TokenFacts } from '../../src/protocol/token-keys.js';
import type { Cause } from '../../src/revocation/cause.js';
import { foldEvent } from '../../src/revocation/fold.js';
import type { Descendants, Human, Origin } from '../../src/identity/identity.js';
import type { Begun, Owned } from '../../src/identity/views.js';
import type { IdentityPort } from '../../src/revocation/identity-port.js';
import { readLifecycle } from '../../src/revocation/lifecycle.js';
import { RevocationState, type KeyMaterial } from '../../src/revocation/state.js';
import { step, type Input, type StepSettings } from '../../src/revocation/step.js';
import { Survey } from '../../src/revocation/survey.js';
import { NO_DESCENDANTS, type Person, type Policy } from '../../src/revocation/world.js';

const schemas = builtInSchemas();
export const MATERIAL: KeyMaterial = { hasher: nodeHasher, guardKey: Buffer.alloc(32, 7) };
export const IDP = 'https://idp.example';
const SKEW_US = 5_000_000;
const QUIET = { warn: () => undefined } as never;

/** A pseudonym that can be read. */
export const pseudonym = (name: string): string => Buffer.from(name.padEnd(16, '.')).toString('hex').slice(0, 32);

/** The graph as a test says it is. */
export class Graph implements IdentityPort {
  isHere = true;
  /** Lifecycle entries it claims to know; undefined: all. */
  size: bigint | undefined;
  fails = false;
  readonly humans: string[][] = [];
  readonly absent = new Map<string, string[]>();
  readonly owned = new Map<string, Owned[]>();
  /** By a token's name. */
  readonly grants = new Map<string, Begun[]>();
  /** By a pseudonym in hex, or `type:id`. */
  readonly below = new Map<string, Partial<Descendants>>();

  positions = (): ReadonlyMap<string, bigint> => new Map([['lifecycle/0/g1', this.size ?? 1n << 40n]]);
  waitForLifecycle = async (): Promise<boolean> => this.size === undefined;
  aliasesOf(subject: string): Human {
    if (this.fails) throw new Error('the graph is gone');
    const subjects = this.humans.find((human) => human.includes(subject)) ?? [subject];
    return { subjects, absentIssuers: subjects.flatMap((one) => this.absent.get(one) ?? []) };
  }
  ownedBy = (subjects: readonly string[]): Owned[] => subjects.flatMap((subject) => this.owned.get(subject) ?? []);
  descendantsOf(origins: readonly Origin[]): Descendants {
    const names = origins.flatMap((one) => ('subjects' in one ? one.subjects : [`${one.type}:${one.id}`]));
    const all = names.map((name) => ({ ...NO_DESCENDANTS, ...this.below.get(name) }));
    return {
      grants: all.flatMap(({ grants }) => grants),
      sessions: all.flatMap(({ sessions }) => sessions),
      delegations: all.flatMap(({ delegations }) => delegations),
      agents: all.flatMap(({ agents }) => agents),
      clients: all.flatMap(({ clients }) => clients),
      tokens: all.flatMap(({ tokens }) => tokens),
      sharedCount: all.reduce((sum, { sharedCount }) => sum + sharedCount, 0),
    };
  }
  grantsOf(origins: readonly Origin[]): Begun[] {
    return origins.flatMap((one) => ('subjects' in one ? [] : (this.grants.get(one.id) ?? [])));
  }
  reachOf = (): never => {
    throw new Error('not asked here');
  };
  changedSince = (): { mark: string; subjects: []; things: [] } => ({ mark: '', subjects: [], things: [] });
}

export class Simulation {
  readonly graph = new Graph();
  readonly persons = new Map<string, Person>();
  readonly policies = new Map<string, Policy>();
  readonly written: OwnEvent[] = [];
  readonly entries: Uint8Array[] = [];
  state = new RevocationState(MATERIAL);
  nowUs = 1_800_000_000_000_000;
  term = 1n;
  settings: StepSettings = { holdCount: 50, holdShare: 0.05, holdUs: 900e6, tokenLifeUs: 30 * 86_400e6 };
  readonly survey = this.#newSurvey();
  readonly #seen = new Set<string>();
  #events = 0;

  constructor() {
    this.takeTerm();
  }

  takeTerm(): void {
    if (this.entries.length > 0) this.term++;
    this.write({ type: 'revocation.term', id: `revocation.term/${this.term}`, event: { term: Number(this.term) } });
    this.state.hearAll();
  }

  /** A person known by an issuer; their pseudonym. */
  person(id: string, issuer = IDP): string {
    const subject = pseudonym(issuer === IDP ? id : `${id}@${issuer.slice(8, 11)}`);
    this.persons.set(subject, { issuer, id });
    return subject;
  }

  /** A producer's event, committed. Persons are pseudonyms. */
  say(producer: string, event: JsonObject, id = `e${this.#events}`): Cause {
    this.#events++;
    const type = event.type as string;
    const schema = schemas.forType(type);
    const whole = { timestamp: new Date(this.nowUs / 1000).toISOString(), ...event };
    const parts = separate(whole, schema);
    const record = encodeRecord(schema, {
      dedupe: dedupeKey(producer, '', id),
      blind: Buffer.alloc(16),
      id,
      type,
      occurredAtUs: parts.occurredAtUs,
      acceptedAtUs: BigInt(this.nowUs),
      producer,
      producerVerified: true,
      source: '',
      protocol: 'native',
      epoch: null,
      sequence: null,
      assigned: [],
      persons: parts.persons.map(({ pointer, id: subject }) => ({ pointer, subject: Buffer.from(subject, 'hex') })),
      sealed: [],
      masked: [],
      originals: parts.originals,
      body: parts.body,
    });
    this.#append(`${producer}/${id}`, record);
    return this.state.causes.get(this.state.orderOf(producer, id))!;
  }

  /** A record of Keelson's own, committed unless it is there. */
  write(own: OwnEvent): void {
    const record = makeOwnRecord(schemas, own.type, own.id, own.event, {
      blind: Buffer.alloc(16),
      nowUs: BigInt(this.nowUs),
    });
    this.written.push(own);
    this.#append(`keelson/${own.id}`, record);
  }

  #append(name: string, record: Uint8Array): void {
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    const index = this.entries.length;
    const header = { appendedAtUs: BigInt(this.nowUs), partition: 0, offset: BigInt(index), place: 0 };
    this.entries.push(encodeRecordEntry(header, record));
    this.#fold(this.state, index);
  }

  #fold(state: RevocationState, index: number): void {
    const entry = this.entries[index]!;
    const bytes = new Uint8Array(2 + entry.length);
    new DataView(bytes.buffer).setUint16(0, entry.length);
    bytes.set(entry, 2);
    const page = { firstIndex: BigInt(index), count: 1, entries: bytes };
    for (const event of readLifecycle(BigInt(index), [page], schemas)) foldEvent(state, event);
  }

  /** The state as somebody folds it who begins now. */
  refold(): RevocationState {
    const state = new RevocationState(MATERIAL);
    for (let index = 0; index < this.entries.length; index++) this.#fold(state, index);
    return state;
  }

  step(input: Input): ReturnType<typeof step> {
    return step({ state: this.state, term: this.term, nowUs: this.nowUs }, input, this.settings);
  }

  /** What is to be written now, without writing it. */
  async decide(): Promise<OwnEvent[]> {
    const looked = this.step({ kind: 'look', reached: await this.survey.reached(this.state) });
    if (looked.survey.length === 0) return [...looked.publish];
    const causes = looked.survey.map((order) => this.state.causes.get(order)!);
    const worlds = await this.survey.ask({ state: this.state }, causes);
    return [...looked.publish, ...this.step({ kind: 'surveyed', worlds }).publish];
  }

  #newSurvey(): Survey {
    return new Survey({
      identity: this.graph,
      identify: async (pseudonyms) =>
        new Map(
          pseudonyms.flatMap((bytes) => {
            const name = Buffer.from(bytes).toString('hex');
            const person = this.persons.get(name);
            return person === undefined ? [] : [[name, person] as const];
          }),
        ),
      sizes: async () => new Map(),
      policyOf: async (producer) => this.policies.get(producer) ?? { owns: [IDP], expects: [], groupless: [] },
      logger: QUIET,
    });
  }

  /** Rounds until there is nothing more to write. */
  async settle(maxRounds = 200): Promise<OwnEvent[]> {
    const written: OwnEvent[] = [];
    for (let round = 0; round < maxRounds; round++) {
      const events = await this.decide();
      if (events.length === 0) return written;
      for (const event of events) this.write(event);
      written.push(...events);
    }
    throw new Error('it never comes to rest');
  }

  pass(seconds: number): void {
    this.nowUs += seconds * 1e6;
  }

  check(facts: TokenFacts): Verdict {
    const keys = keysOfToken(nodeHasher, MATERIAL.guardKey, facts);
    return checkToken(this.state.table, keys, facts.issuedAtUs, this.nowUs, SKEW_US);
  }

  isRevoked(facts: TokenFacts): boolean {
    return this.check({ issuer: IDP, issuedAtUs: this.nowUs, ...facts }).revoked;
  }
}

export const typesOf = (events: readonly OwnEvent[]): string[] => events.map(({ type }) => type.slice(11));

/** An instance of an enforcement point: the shell around `GuardCore`, and the host that asks it. */
import { formatHex } from '../../src/core/bytes.js';
import type { Signer } from '../../src/core/signer.js';
import { check, KnownToken, KnownTool, type Decision } from '../../src/guard/check.js';
import { GuardCore, type Floor } from '../../src/guard/core.js';
import { step, type Effect, type Input } from '../../src/guard/step.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { parseAck, signAck } from '../../src/protocol/ack.js';
import { instanceOf } from '../../src/protocol/join.js';
import type { KeyType } from '../../src/protocol/keys.js';
import type { Dice } from '../chaos/dice.js';
import type { FeedProcess } from './feed-process.js';
import type { Happened, Life } from './happened.js';
import { digestOf, modelSigner, modelVerifier } from './keys.js';
import { Machine } from './machine.js';
import { GUARD_KEY, LEDGER, type Token } from './names.js';
import { Link, type Network } from './network.js';
import type { Schedule } from './schedule.js';
import { SKEW_US, type World } from './world.js';

const TICK_US = 1_000_000;
const KEY_TYPES: readonly KeyType[] = ['token', 'principal', 'agent', 'tool'];
/** Until an instance that was replaced is said to be gone. */
const GONE_US = 40_000_000;
const FETCH_US = 300_000;

/** What an instance needs of its surroundings. */
export interface Surroundings {
  readonly schedule: Schedule;
  readonly dice: Dice;
  readonly network: Network;
  readonly world: World;
  readonly feeds: readonly FeedProcess[];
  readonly rootKey: Uint8Array;
  keySet(): Uint8Array;
  /** Something is not as it must be. */
  violated(what: string): never;
  leased(): void;
  readonly happened: Happened;
  /** An instance of this name (32 hex digits) is there from now on. */
  joined(instance: string, life: Pick<Life, 'publicKey' | 'failOpen' | 'keyTypes'>): void;
}

/** How an instance is set up, by whoever sets it up; its two peculiarities it has only sometimes. */
export interface Setup {
  /** How stale a table may be for it, at most. */
  readonly maxStalenessUs?: number;
  readonly failOpen?: readonly string[];
  /** What it says that its mapping can't find, though it can. */
  readonly lacks?: KeyType;
}

export class Instance {
  readonly machine: Machine;
  /** Its name, 16 bytes. */
  #instance!: Uint8Array;
  #signer!: Signer;
  #joined = 0;
  /** To each feed process. */
  readonly links: Link[];
  core: GuardCore;
  acks = 0;
  /** The feed process that it listens to. */
  feed = 0;
  /** What it knew when it wrote its disk last. */
  readonly #disk: { floor: Floor; keySet?: Uint8Array; snapshot?: Uint8Array } = {
    floor: { seq: 0, keySetVersion: 0 },
  };
  #life = 0;
  #fetchedUs = -Infinity;
  /** How far it ever was, in this life or the one whose disk it read. */
  #greatest: Floor = { seq: 0, keySetVersion: 0 };
  readonly #tokens = new Map<Token, KnownToken>();
  readonly #tools = new Map<string, KnownTool>();
  /** State hashes that it proved, by seq. */
  readonly #proven = new Map<number, string>();

  constructor(
    private readonly on: Surroundings,
    readonly id: number,
    readonly setup: Setup,
  ) {
    this.machine = new Machine(on.schedule);
    this.#join();
    this.links = on.feeds.map(() => new Link());
    this.core = this.#makeCore();
    this.#connect();
    on.schedule.after(on.dice.between(1, TICK_US), () => this.#tickOn());
  }

  get greatestSeq(): number {
    return this.#greatest.seq;
  }

  /** How stale a table may be for it, at most. */
  get maxStalenessUs(): number | undefined {
    return this.setup.maxStalenessUs;
  }

  get name(): string {
    return formatHex(this.#instance);
  }

  /** The process ends and starts again. */
  restart(hasDisk: boolean): void {
    this.#life++;
    if (!hasDisk) {
      this.#disk.floor = { seq: 0, keySetVersion: 0 };
      delete this.#disk.keySet;
      delete this.#disk.snapshot;
    }
    this.#greatest = { seq: 0, keySetVersion: 0 };
    this.core = this.#makeCore();
    this.#tokens.clear();
    this.#tools.clear();
    this.#proven.clear();
    for (const bytes of [this.#disk.keySet, this.#disk.snapshot]) if (bytes !== undefined) this.hear(bytes);
    const life = this.#life;
    const { floor } = this.#disk;
    this.machine.whenAwake(() => {
      if (life !== this.#life) return;
      this.core.raise(floor);
      this.#greatest = { ...floor };
    });
    this.#connect();
  }

  /** It goes, and another one comes in its place, which has a name and a key of its own. */
  replace(): void {
    const { schedule, dice, happened } = this.on;
    const life = happened.life(this.name);
    if (dice.between(0, 1) === 0) schedule.after(GONE_US, () => (life.retired = 'silent'));
    // Of who fails open nothing else ever ends it.
    if (life.failOpen.length > 0) schedule.after(2 * GONE_US, () => (life.retired = 'asked'));
    this.#join();
    this.restart(false);
  }

  #join(): void {
    const name = `instance ${this.id}/${this.#joined++}`;
    this.#signer = modelSigner(name);
    const { publicKey } = this.#signer;
    this.#instance = instanceOf(hasher, LEDGER, publicKey);
    const [isOpen, isBlind] = [0, 1].map(() => this.on.dice.between(0, 2) === 0);
    this.on.joined(this.name, {
      publicKey,
      failOpen: isOpen ? (this.setup.failOpen ?? []) : [],
      keyTypes: KEY_TYPES.filter((type) => !isBlind || type !== this.setup.lacks),
    });
  }

  /** Attests a table that there is not. */
  lie(): void {
    const { seq } = this.core;
    const life = this.on.happened.life(this.name);
    life.hasLied = true;
    const summary = {
      mappingHash: digestOf('mapping'),
      keyTypes: life.keyTypes,
      aborted: 0,
      atUs: this.machine.wallUs(),
    };
    const ack = { instance: this.#instance, generation: 1, seq, stateHash: digestOf('another table'), ...summary };
    this.#send(signAck(this.#signer, LEDGER, ack));
  }

  /** Writes its disk. */
  save(snapshot?: Uint8Array): void {
    this.#disk.floor = { seq: this.core.seq, keySetVersion: this.core.keySetVersion };
    this.#disk.keySet = this.on.keySet();
    if (snapshot !== undefined) this.#disk.snapshot = snapshot;
  }

  hear(bytes: Uint8Array): void {
    const life = this.#life;
    this.machine.whenAwake(() => {
      if (life !== this.#life) return;
      this.#step({ kind: 'message', bytes });
    });
  }

  /** What the host is told. It must not be asleep. */
  ask(token: Token, tool: string | undefined): Decision {
    let known = this.#tokens.get(token);
    if (known === undefined) this.#tokens.set(token, (known = KnownToken.of(this.core, token.facts)));
    if (tool === undefined) return check(this.core, known, undefined);
    let knownTool = this.#tools.get(tool);
    if (knownTool === undefined) this.#tools.set(tool, (knownTool = new KnownTool(this.core, tool)));
    return check(this.core, known, knownTool);
  }

  #makeCore(): GuardCore {
    const core = new GuardCore({
      hasher,
      verifier: modelVerifier,
      membership: {
        instance: this.#instance,
        ledger: LEDGER,
        generation: 1,
        guardKey: GUARD_KEY,
        rootKey: this.on.rootKey,
        signer: this.#signer,
      },
      mapping: { hash: digestOf('mapping'), keyTypes: this.on.happened.life(this.name).keyTypes },
      clock: this.machine,
      skewUs: SKEW_US,
      ...(this.maxStalenessUs === undefined ? {} : { maxStalenessUs: this.maxStalenessUs }),
    });
    core.failOpen = new Set(this.on.happened.life(this.name).failOpen);
    return core;
  }

  #tickOn(): void {
    const { schedule, dice } = this.on;
    schedule.after(TICK_US, () => this.#tickOn());
    if (this.machine.isAsleep) return;
    const random = Uint8Array.from({ length: 16 }, () => dice.between(0, 255));
    this.#step({ kind: 'tick', random });
    if (dice.between(0, 199) === 0) this.#connect();
  }

  /** To some feed process; the one before may hear of it or not. */
  #connect(): void {
    const { dice, feeds, network } = this.on;
    if (dice.between(0, 1) === 0) feeds[this.feed]!.disconnect(this.id);
    this.feed = dice.between(0, feeds.length - 1);
    const [feed, link] = [feeds[this.feed]!, this.links[this.feed]!];
    const subscriber = {
      instance: this.name,
      publicKey: this.#signer.publicKey,
      send: (bytes: Uint8Array) => network.send(link, bytes, (arrived) => this.hear(arrived)),
    };
    const from = this.core.table?.seq ?? 0;
    network.send(link, new Uint8Array(1), () => {
      feed.machine.whenAwake(() => feed.connect(this.id, subscriber, this.on.keySet(), from));
    });
  }

  #step(input: Input): void {
    const before = this.core.table;
    const seqBefore = before?.seq ?? 0;
    const leaseBefore = this.core.lease;
    const effects = step(this.core, input);
    const isReplaced = effects.some(({ kind }) => kind === 'replaced');
    this.#checkState(before === this.core.table ? seqBefore : isReplaced ? this.#greatest.seq : 0);
    if (this.core.lease !== undefined && this.core.lease !== leaseBefore) this.on.leased();
    for (const effect of effects) this.#do(effect);
  }

  /** Of what it holds: never back, and what it takes for the table is the table. */
  #checkState(leastSeq: number): void {
    const { table, keySetVersion } = this.core;
    const { on } = this;
    if (keySetVersion < this.#greatest.keySetVersion) on.violated(`${this.id}: back to key set ${keySetVersion}`);
    if (table !== undefined && table.seq < leastSeq) on.violated(`${this.id}: back to seq ${table.seq}`);
    const seq = table?.seq ?? 0;
    if (table !== undefined && formatHex(table.head().stateHash) !== on.world.hashes[seq]) {
      on.violated(`${this.id}: another table at seq ${seq}`);
    }
    this.#greatest = { seq: Math.max(seq, this.#greatest.seq), keySetVersion };
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return effect.what === 'ack' ? this.#ack(effect.bytes) : this.#send(effect.bytes);
      case 'fetch':
        return this.#fetch(effect.what, effect.from);
      case 'ping':
        return this.#ping();
      case 'reconnect':
        return this.#connect();
      case 'probe':
        return this.#probe(effect.seq, effect.issuedAtUs);
      case 'rejected':
        // A set of feed keys was missed, perhaps; who connects is told.
        if (effect.code === 'bad_signature' && this.on.dice.between(0, 3) === 0) this.#connect();
        return;
      case 'changed':
      case 'replaced':
        return;
    }
  }

  #send(bytes: Uint8Array): void {
    const feed = this.on.feeds[this.feed]!;
    this.on.network.send(this.links[this.feed]!, bytes, (arrived) =>
      feed.machine.whenAwake(() => feed.hear(this.id, arrived)),
    );
  }

  #ping(): void {
    const [feed, link, life] = [this.on.feeds[this.feed]!, this.links[this.feed]!, this.#life];
    const answer = (): void =>
      this.machine.whenAwake(() => {
        if (life === this.#life) this.#step({ kind: 'alive' });
      });
    this.on.network.send(link, new Uint8Array(1), () =>
      feed.machine.whenAwake(() => {
        if (feed.hasConnected(this.id)) this.on.network.send(link, new Uint8Array(1), answer);
      }),
    );
  }

  #fetch(what: 'changes' | 'snapshot', from: number): void {
    const { schedule, network, feeds } = this.on;
    if (schedule.nowUs - this.#fetchedUs < FETCH_US) return;
    this.#fetchedUs = schedule.nowUs;
    const feed = feeds[this.feed]!;
    network.send(this.links[this.feed]!, new Uint8Array(1), () =>
      feed.machine.whenAwake(() => {
        if (what === 'changes') feed.fetch(this.id, from);
        else feed.fetch(this.id, Infinity);
      }),
    );
  }

  /** Shows a canary to the host's middleware: the token that a table of the last part refuses, and no earlier one. */
  #probe(seq: number, issuedAtUs: number): void {
    const { schedule, dice, world } = this.on;
    const parts = issuedAtUs - SKEW_US;
    if (parts !== world.parts[seq]) this.on.violated(`${this.id}: a canary of part ${parts} at seq ${seq}`);
    const life = this.#life;
    schedule.after(dice.between(100, 200_000), () =>
      this.machine.whenAwake(() => {
        if (life !== this.#life) return;
        const canary = KnownToken.ofKeys([this.core.canaryKey], issuedAtUs);
        const decision = check(this.core, canary, undefined);
        if (decision.allowed || decision.reason !== 'cutoff') return;
        const { table } = this.core;
        if (table?.seq === seq) this.#proven.set(seq, formatHex(table.head().stateHash));
        this.#step({ kind: 'canary_refused', seq });
      }),
    );
  }

  #ack(bytes: Uint8Array): void {
    const { seq, stateHash, atUs } = parseAck(bytes);
    const hash = formatHex(stateHash);
    if (this.#proven.get(seq) !== hash) this.on.violated(`${this.id}: an ack of seq ${seq} that it did not prove`);
    if (this.on.world.hashes[seq] !== hash) this.on.violated(`${this.id}: an ack of another table at seq ${seq}`);
    this.acks++;
    this.on.happened.life(this.name).attested.push({ seq, atUs });
    this.#send(bytes);
  }
}

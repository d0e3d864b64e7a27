/**
 * One run of everything by one seed: rounds of misfortune, rounds of calm, and after each round what must never be otherwise.
 */
import { KeelsonError } from '../../src/core/error.js';
import { signKeySet } from '../../src/protocol/key-set.js';
import { describeClosed } from '../../src/revocation/cases/entry.js';
import type { CaseOutcome } from '../../src/revocation/cases/outcome.js';
import { FENCED_AFTER_US, type OpenCase } from '../../src/revocation/cases/standing.js';
import { caseId } from '../../src/revocation/cases/step.js';
import { Dice } from '../chaos/dice.js';
import { CaseProcess } from './cases.js';
import { Certificates } from './certificates.js';
import { FeedProcess } from './feed-process.js';
import { Happened, type Life } from './happened.js';
import { Instance, type Setup, type Surroundings } from './instance.js';
import { modelSigner } from './keys.js';
import { DRIFT, EPOCH_US, type Rates } from './machine.js';
import { Misfortunes } from './misfortunes.js';
import { IDP, LEDGER, makeToken, TOOLS, type Token } from './names.js';
import { FaultCounts, Network, type Fault } from './network.js';
import { Orders } from './orders.js';
import { Processor } from './processor.js';
import { Schedule } from './schedule.js';
import { ModelStore, type ModelCase } from './store.js';
import { DEFAULT_STALENESS_US, World } from './world.js';

/** A sentence that was not kept, at which seed, round and time. */
export class Violation extends Error {}

export interface Report {
  readonly seed: number;
  readonly rounds: number;
  readonly faults: Record<Fault, number>;
  readonly leases: number;
  readonly orders: number;
  readonly acks: number;
  /** How cases ended. */
  readonly cases: Record<CaseOutcome['result'], number>;
  readonly certificates: number;
  readonly allowed: number;
  readonly refused: number;
  readonly violation?: string;
}

const FEEDS = 3;
const INSTANCES: readonly Setup[] = [
  {},
  { failOpen: ['mail'] },
  { maxStalenessUs: 20_000_000 },
  { maxStalenessUs: 40_000_000, lacks: 'tool' },
];
const BAD_ROUNDS = 110;
const BAD_ROUND_US = 2_000_000;
const CALM_ROUNDS = 70;
const CALM_ROUND_US = 3_000_000;
/** Links healthy and clocks right for so long: from then on nothing is refused without a reason for longer than `PATIENCE_US`. */
const SETTLED_US = 2 * DEFAULT_STALENESS_US;
const PATIENCE_US = 5_000_000;
const FOLD_US = 200_000;
const CASE_PROCESSES = 2;
/** Of so many times that something is allowed one is recorded. */
const RECORDED_EVERY = 16;
/** A case ends no later than this after every lease that is older than its order, or after everything is well again. */
const CASE_PATIENCE_US = 1_000_000;

export class Simulation implements Surroundings {
  readonly schedule = new Schedule();
  readonly dice: Dice;
  readonly faults = new FaultCounts();
  readonly network: Network;
  readonly world = new World();
  readonly happened = new Happened();
  readonly store = new ModelStore(() => this.schedule.nowUs, this.happened);
  readonly feeds: FeedProcess[];
  readonly instances: Instance[];
  readonly processor: Processor;
  readonly caseProcesses: CaseProcess[];
  readonly tokens: Token[] = [];
  readonly #root = modelSigner('root');
  readonly #feedKey = modelSigner('feed');
  readonly orders: Orders;
  readonly #misfortunes: Misfortunes;
  readonly rootKey = this.#root.publicKey;
  isFoldStalled = false;
  #keySetVersion = 1;
  #round = 0;
  #calmSinceUs = Infinity;
  #leases = 0;
  #count = { allowed: 0, refused: 0 };
  readonly #cases = { enforced: 0, fenced: 0, incomplete: 0 };
  /** Up to this change every case is closed, or a later one is. */
  #closedSeq = 0;
  readonly #certificates: Certificates;
  /** What was ordered, by the order's cause. */
  readonly #said = new Map<string, readonly string[]>();
  #now = '';
  /** Since when an instance refuses what it has no reason to refuse, by instance, token and tool. */
  readonly #waiting = new Map<string, number>();

  constructor(readonly seed: number) {
    this.dice = new Dice(seed);
    this.network = new Network(this.schedule, this.dice, this.faults);
    this.processor = new Processor(this.dice, this.faults, (entry) => {
      if (!this.store.commit(entry)) return false;
      this.world.commit(entry, this.schedule.nowUs);
      this.happened.seqs.set(entry.id, this.world.seq);
      if ('said' in entry) this.#said.set(entry.id, entry.said?.flatMap(({ names }) => names) ?? []);
      return true;
    });
    this.feeds = Array.from(
      { length: FEEDS },
      () =>
        new FeedProcess(this.schedule, this.dice, this.#feedKey, this.store.connect(), (bytes) =>
          this.store.commitAck(bytes),
        ),
    );
    this.instances = INSTANCES.map((setup, id) => new Instance(this, id, setup));
    this.caseProcesses = Array.from(
      { length: CASE_PROCESSES },
      () =>
        new CaseProcess(this.schedule, this.dice, this.store.connect(), (order, outcome, lookedUs) =>
          this.#closeCase(order, outcome, lookedUs),
        ),
    );
    this.#certificates = new Certificates(this.store.ledger, this.happened, (instance) =>
      this.store.enrolledAt(instance),
    );
    this.orders = new Orders(this);
    this.#misfortunes = new Misfortunes(this);
    for (let id = 0; id < 6; id++) this.#mint(this.wallUs - 3_600_000_000);
    this.tokens.push(makeToken(99, 'untouched', 'idle', this.wallUs));
    this.#foldOn();
  }

  /** A clock that is right. */
  get wallUs(): number {
    return EPOCH_US + this.schedule.nowUs;
  }

  keySet(): Uint8Array {
    const expiresUs = this.wallUs + 86_400_000_000;
    const publicKeys = [this.#feedKey.publicKey];
    return signKeySet(this.#root, LEDGER, { version: this.#keySetVersion, expiresUs, publicKeys });
  }

  renewKeySet(): void {
    this.#keySetVersion++;
  }

  leased(): void {
    this.#leases++;
  }

  joined(instance: string, life: Pick<Life, 'publicKey' | 'failOpen' | 'keyTypes'>): void {
    this.happened.join(instance, { ...life, joined: this.store.entries.length });
    this.store.join(instance);
  }

  violated(what: string): never {
    throw new Violation(`${what} (seed ${this.seed}, round ${this.#round}, ${this.#now})`);
  }

  /** A token, perhaps issued just when somebody's cutoff says. */
  mint(issuedAtUs: number | undefined): void {
    this.#mint(issuedAtUs);
  }

  run(rounds: number): Report {
    let violation: string | undefined;
    try {
      for (this.#round = 0; this.#round < rounds; this.#round++) this.#playRound();
    } catch (error) {
      if (!(error instanceof Violation)) {
        violation = `thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
      } else violation = error.message;
    }
    return {
      seed: this.seed,
      rounds: this.#round,
      faults: this.faults.counts,
      leases: this.#leases,
      orders: this.orders.count,
      acks: this.instances.reduce((sum, { acks }) => sum + acks, 0),
      cases: this.#cases,
      certificates: this.#certificates.count,
      ...this.#count,
      ...(violation === undefined ? {} : { violation }),
    };
  }

  #playRound(): void {
    const at = this.#round % (BAD_ROUNDS + CALM_ROUNDS);
    const isBad = at < BAD_ROUNDS;
    this.#now = 'calm';
    if (at === BAD_ROUNDS) this.#calmDown();
    if (isBad) {
      this.#calmSinceUs = Infinity;
      this.network.isBad = true;
      this.#now = this.#misfortunes.strike();
    }
    if (this.dice.between(0, 4) === 0) this.#mint(this.wallUs);
    if (this.dice.between(0, 3) === 0) this.#now += `, ${this.orders.say(isBad)}`;
    this.processor.retry(isBad);
    this.schedule.pass(this.dice.between(1, isBad ? BAD_ROUND_US : CALM_ROUND_US));
    this.#checkAll(isBad);
  }

  /** Links are healthy and clocks are right, from now on. */
  #calmDown(): void {
    this.#calmSinceUs = this.schedule.nowUs;
    this.network.isBad = false;
    this.isFoldStalled = false;
    for (const { links, machine } of this.instances) {
      machine.heal();
      for (const link of links) link.isCut = link.losesChanges = false;
    }
    for (const feed of this.feeds) {
      feed.machine.heal();
      feed.database.heal();
      feed.isStalled = false;
    }
    for (const one of this.caseProcesses) {
      one.machine.heal();
      one.database.heal();
    }
  }

  /** What closes a case is written; the first one counts. What it says must be so. */
  #closeCase(open: OpenCase, outcome: CaseOutcome, lookedUs: number): void {
    const { order, seq } = open;
    const { result, instances } = outcome;
    const one = this.store.cases.get(order)!;
    if (one.isClosed) return;
    one.isClosed = true;
    this.#cases[result]++;
    for (const { instance, standing } of instances) {
      if (standing !== 'acked') continue;
      // It may have lied since its ack was read.
      if (!this.happened.life(instance).readable.some((ack) => ack.seq >= seq)) {
        this.violated(`case of seq ${seq}: ${instance} is said to have attested it, and never did`);
      }
    }
    this.#requireInTime(one);
    this.#closedSeq = Math.max(this.#closedSeq, seq);
    this.#certify(one, outcome, lookedUs);
  }

  /** Its certificate can be made, and is true. */
  #certify(one: ModelCase, outcome: CaseOutcome, lookedUs: number): void {
    const { ledger, searched } = this.store;
    const closedUs = this.schedule.nowUs;
    const event = describeClosed(one, outcome, BigInt(Math.floor(this.wallUs)));
    const { index } = ledger.add('activity', 'case.closed', caseId(one), event);
    const names = this.#said.get(one.cause)!;
    const isKnown = names.every((name) => !name.startsWith('tool/'));
    const concerned = this.tokens.filter((token) => token.names.some((name) => names.includes(name)));
    const tokens = isKnown ? [...new Map(concerned.map((token) => [token.facts.jti, token])).values()] : undefined;
    const { result } = outcome;
    try {
      const wrong = this.#certificates.check({ one, result, index, lookedUs, closedUs, names, tokens, searched });
      if (wrong !== undefined) this.violated(`the certificate of seq ${one.seq} is not true: ${wrong}`);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.violated(`there is no certificate of seq ${one.seq}: ${error.message}`);
    }
  }

  /** Some of what is allowed is recorded, and now and then a use of another issuer's token of the same name. */
  #record(token: Token, tool: string | undefined): void {
    if (this.#count.allowed % RECORDED_EVERY > 0) return;
    const { ledger } = this.store;
    const others = ledger.size('decisions') % 8 === 7 ? ['https://other'] : [];
    for (const issuer of [IDP, ...others]) {
      const [agent, jti] = [token.facts.agents![0]!, token.facts.jti!];
      const { index } = ledger.add('decisions', 'decision.made', `use ${ledger.size('decisions')}`, {
        ...{ agent, decision: 'allow', token: { jti, issuer } },
        tool: tool ?? 'none',
      });
      this.happened.use(issuer, jti, { index, atUs: this.schedule.nowUs, agent, tool: tool ?? 'none' });
    }
  }

  #requireInTime({ order, committedUs }: ModelCase): void {
    const dueUs = Math.max(committedUs, this.#calmSinceUs) + FENCED_AFTER_US + CASE_PATIENCE_US;
    if (this.schedule.nowUs > dueUs) this.violated(`the case of ${order} goes on for too long`);
  }

  #checkAll(isBad: boolean): void {
    const { nowUs } = this.schedule;
    const isSettled = nowUs - this.#calmSinceUs > SETTLED_US;
    for (const one of this.store.cases.values()) if (!one.isClosed) this.#requireInTime(one);
    for (const instance of this.instances) {
      if (instance.machine.isAsleep) continue;
      // Somebody who is asked rarely reads the clocks rarely.
      if (isBad && instance.id % 2 === 1 && this.dice.between(0, 7) > 0) continue;
      for (const token of this.tokens) {
        for (const tool of [undefined, ...TOOLS]) this.#ask(instance, token, tool, isSettled);
      }
    }
  }

  #ask(instance: Instance, token: Token, tool: string | undefined, isSettled: boolean): void {
    const { nowUs } = this.schedule;
    const { world } = this;
    const decision = instance.ask(token, tool);
    const what = `${instance.id}, ${token.names.join(' ')}, ${tool ?? 'no tool'}`;
    this.#count[decision.allowed ? 'allowed' : 'refused']++;
    if (decision.allowed) {
      this.#waiting.delete(what);
      if (decision.unfenced !== undefined) {
        if (!this.happened.life(instance.name).failOpen.includes(tool!))
          this.violated(`allowed by nobody knows what: ${what}`);
        return;
      }
      const { allowedUs } = this.happened.life(instance.name);
      allowedUs.set(instance.core.table!.seq, nowUs);
      this.#record(token, tool);
      const maxUs = instance.maxStalenessUs ?? DEFAULT_STALENESS_US;
      if (!world.mayBeAllowed(token, tool, maxUs, nowUs)) this.violated(`allowed too late: ${what}`);
      if (instance.core.table!.seq < instance.greatestSeq) this.violated(`allowed by an old table: ${what}`);
      if (instance.core.table!.seq < this.#closedSeq)
        this.violated(`allowed by a table older than a closed case: ${what}`);
      return;
    }
    if (!isSettled || world.isRevoked(token, tool)) {
      this.#waiting.delete(what);
      return;
    }
    const sinceUs = this.#waiting.get(what) ?? nowUs;
    this.#waiting.set(what, sinceUs);
    if (nowUs - sinceUs > PATIENCE_US) this.violated(`refused as ${decision.reason}, without a reason: ${what}`);
  }

  #foldOn(): void {
    if (!this.isFoldStalled) this.store.fold();
    this.schedule.after(FOLD_US, () => this.#foldOn());
  }

  #mint(issuedAtUs: number | undefined): void {
    const id = this.tokens.length < 3 ? this.tokens.length : this.dice.between(3, 98);
    const persons = ['ana', 'bob', 'eve'];
    this.tokens.push(makeToken(id, this.dice.pick(persons), this.dice.pick(['crawler', 'writer']), issuedAtUs));
    // The first three and the untouched one stay.
    if (this.tokens.length > 10) this.tokens.splice(7, 1);
  }

  drift(): Rates {
    const rate = (): number => 1 + (this.dice.between(-99, 99) / 100) * DRIFT;
    return { monotonic: rate(), wall: rate(), uptime: rate() };
  }
}

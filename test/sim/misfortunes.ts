/** What goes wrong beside messages that get lost. */
import type { FeedProcess } from './feed-process.js';
import type { Instance } from './instance.js';
import type { Simulation } from './simulation.js';

const S = 1_000_000;
const HOUR_US = 3_600 * S;
/** Snapshots that can come back. */
const KEPT = 12;

export class Misfortunes {
  readonly #snapshots: { readonly seq: number; readonly bytes: Uint8Array }[] = [];
  readonly #kinds: readonly (readonly [string, (instance: Instance, feed: FeedProcess) => void])[];

  constructor(private readonly on: Simulation) {
    this.#kinds = [
      ['partition', (instance) => this.#partition(instance)],
      ['restart', (instance) => this.#restart(instance)],
      ['feed restart', (_, feed) => this.#restartFeed(feed)],
      ['sleep', (instance) => this.#sleep(instance)],
      ['feed sleep', (_, feed) => this.#sleepFeed(feed)],
      ['eclipse', (instance) => this.#eclipse(instance)],
      ['clock', (instance) => this.#setClock(instance)],
      ['sleep and clock', (instance) => this.#sleepAndSet(instance)],
      ['drift', (instance, feed) => this.#drift(instance, feed)],
      ['takeover', () => this.on.processor.takeOver()],
      ['stall', (_, feed) => this.#stall(feed)],
      ['stale snapshot', (instance) => this.#showSnapshot(instance)],
      ['database cut', (_, feed) => this.#cutDatabase(feed)],
      ['stale database', (_, feed) => this.#staleDatabase(feed)],
      ['replay', (instance) => this.#replay(instance)],
      ['key set', () => this.on.renewKeySet()],
      ['replace', (instance) => this.#replace(instance)],
      ['false ack', (instance) => this.#lie(instance)],
      ['database clock', () => this.#setDatabaseClock()],
      ['cases restart', () => this.#restartCases()],
      ['cases sleep', () => this.#sleepCases()],
      ['cases cut', () => this.#cutCases()],
      ['nothing', () => undefined],
    ];
  }

  /** One of them; which. */
  strike(): string {
    const { dice, instances, feeds } = this.on;
    const [name, happen] = dice.pick(this.#kinds);
    const instance = dice.pick(instances);
    if (dice.between(0, 5) === 0) this.#keepSnapshot(dice.pick(feeds), instance);
    happen(instance, dice.pick(feeds));
    return `${name} of ${instance.id}`;
  }

  /** So long, by lot: often short, sometimes longer than any lease. */
  #someTime(): number {
    const { dice } = this.on;
    return dice.between(100_000, dice.pick([2 * S, 20 * S, 90 * S]));
  }

  #later(us: number, happen: () => void): void {
    const { schedule } = this.on;
    schedule.after(us, happen);
  }

  #partition({ links }: Instance): void {
    const us = this.#someTime();
    const how = this.on.dice.pick(['isCut', 'losesChanges'] as const);
    for (const link of links) {
      if (this.on.dice.between(0, 5) === 0) continue;
      link[how] = true;
      this.#later(us, () => (link[how] = false));
    }
  }

  #restart(instance: Instance): void {
    this.on.faults.happened('instance restarted');
    instance.restart(this.on.dice.between(0, 4) > 0);
  }

  #restartFeed(feed: FeedProcess): void {
    this.on.faults.happened('feed restarted');
    feed.restart();
  }

  #sleep({ machine }: Instance): void {
    this.on.faults.happened('instance asleep');
    machine.sleep(this.#someTime());
  }

  #sleepFeed(feed: FeedProcess): void {
    this.on.faults.happened('feed asleep');
    if (this.on.dice.between(0, 1) === 0) feed.machine.sleep(this.#someTime());
    else feed.sleepsInReadUs = this.#someTime();
  }

  /** Nobody is left to an instance but one feed process, which sleeps in the middle of a read while something is ordered, and from which no changes come. */
  #eclipse(instance: Instance): void {
    const us = this.on.dice.between(30 * S, 90 * S);
    for (const [i, link] of instance.links.entries()) {
      const how = i === instance.feed ? 'losesChanges' : 'isCut';
      link[how] = true;
      this.#later(us, () => (link[how] = false));
    }
    this.on.faults.happened('feed asleep');
    this.on.feeds[instance.feed]!.sleepsInReadUs = this.on.dice.between(5 * S, 30 * S);
    for (const seconds of [8, 12]) this.#later(seconds * S, () => this.on.orders.block());
  }

  #setClock({ machine }: Instance): void {
    const { dice } = this.on;
    this.on.faults.happened('clock set');
    const byUs = dice.pick([40_000, 500_000, 30 * S, HOUR_US]);
    machine.stepWall(dice.pick([-1, 1]) * dice.between(byUs / 2, byUs));
  }

  /** A clock that is set back while it sleeps, by half of it: neither clock shows by itself how long it was. */
  #sleepAndSet(instance: Instance): void {
    const us = this.#someTime();
    this.on.faults.happened('instance asleep');
    this.on.faults.happened('clock set');
    instance.machine.sleep(us);
    instance.machine.stepWall(-Math.floor(us / 2));
  }

  #drift({ machine }: Instance, feed: FeedProcess): void {
    this.on.faults.happened('clock drifts');
    machine.setRates(this.on.drift());
    feed.machine.setRates(this.on.drift());
  }

  #stall(feed: FeedProcess): void {
    const { on } = this;
    on.faults.happened('fold stalled');
    if (on.dice.between(0, 3) === 0) {
      on.isFoldStalled = true;
      this.#later(this.#someTime(), () => (on.isFoldStalled = false));
    } else {
      feed.isStalled = true;
      this.#later(this.#someTime(), () => (feed.isStalled = false));
    }
  }

  #keepSnapshot(feed: FeedProcess, instance: Instance): void {
    const bytes = feed.snapshot();
    this.#snapshots[this.on.dice.between(0, KEPT - 1)] = { seq: feed.core.seq, bytes };
    instance.save(bytes);
  }

  #showSnapshot(instance: Instance): void {
    const kept = this.#snapshots[this.on.dice.between(0, KEPT - 1)];
    if (kept === undefined) return;
    if (kept.seq < instance.greatestSeq) this.on.faults.happened('stale snapshot');
    instance.hear(kept.bytes);
  }

  #cutDatabase({ database }: FeedProcess): void {
    this.on.faults.happened('feed cut off from the database');
    database.isCut = true;
    this.#later(this.#someTime(), () => (database.isCut = false));
  }

  #staleDatabase({ database }: FeedProcess): void {
    this.on.faults.happened('feed on a stale database');
    database.becomeReplica();
    this.#later(this.#someTime(), () => database.heal());
  }

  #replay(instance: Instance): void {
    const bytes = this.on.network.replay();
    if (bytes !== undefined) instance.hear(bytes);
  }

  #replace(instance: Instance): void {
    this.on.faults.happened('instance replaced');
    instance.replace();
  }

  #lie(instance: Instance): void {
    if (instance.machine.isAsleep) return;
    this.on.faults.happened('false ack');
    instance.lie();
  }

  #setDatabaseClock(): void {
    this.on.faults.happened('database clock set');
    this.on.store.clockErrorUs = this.on.dice.between(-5 * S, 5 * S);
  }

  #restartCases(): void {
    this.on.faults.happened('cases restarted');
    this.on.dice.pick(this.on.caseProcesses).restart();
  }

  #sleepCases(): void {
    this.on.faults.happened('cases asleep');
    this.on.dice.pick(this.on.caseProcesses).machine.sleep(this.#someTime());
  }

  #cutCases(): void {
    const { database } = this.on.dice.pick(this.on.caseProcesses);
    this.on.faults.happened('cases cut off from the database');
    database.isCut = true;
    this.#later(this.#someTime(), () => (database.isCut = false));
  }
}

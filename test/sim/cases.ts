/** A process that follows cases: the shell around `stepCases`, which may sleep between any two of its reads. */
import { KeelsonError } from '../../src/core/error.js';
import type { CaseOutcome } from '../../src/revocation/cases/outcome.js';
import { withLeases, type CaseInstance, type OpenCase } from '../../src/revocation/cases/standing.js';
import { CasesState, stepCases } from '../../src/revocation/cases/step.js';
import type { Dice } from '../chaos/dice.js';
import { Machine } from './machine.js';
import type { Schedule } from './schedule.js';
import type { Connection } from './store.js';

const LOOK_US = 250_000;
const READ_US = 50_000;
/** Nobody is called in a simulation. */
const NO_TIMERS = { warnUs: 0, retryUs: 0, callUs: 0, quarantineUs: 0 };

export class CaseProcess {
  readonly machine: Machine;
  #state = new CasesState(NO_TIMERS);
  #life = 0;

  /** @param close writes that a case is closed, by what was read from then on. */
  constructor(
    private readonly schedule: Schedule,
    private readonly dice: Dice,
    readonly database: Connection,
    private readonly close: (order: OpenCase, outcome: CaseOutcome, lookedUs: number) => void,
  ) {
    this.machine = new Machine(schedule);
    this.#lookOn();
  }

  restart(): void {
    this.#life++;
    this.#state = new CasesState(NO_TIMERS);
  }

  #lookOn(): void {
    this.#then(0, () => {
      const open = this.database.openCases();
      this.#read(() => {
        const instances = this.database.instances();
        const lookedUs = this.schedule.nowUs;
        this.#read(() => {
          const leasesEndUs = this.database.leasesEndUs(instances.map(({ instance }) => instance));
          this.#step(open, withLeases(instances, leasesEndUs), lookedUs);
        });
      });
    });
    this.schedule.after(LOOK_US, () => this.#lookOn());
  }

  #step(open: readonly OpenCase[], instances: readonly CaseInstance[], lookedUs: number): void {
    for (const effect of stepCases(this.#state, { kind: 'looked', open, instances }, this.machine.monotonicUs())) {
      if (effect.kind === 'close') this.close(effect.order, effect.outcome, lookedUs);
    }
  }

  #read(then: () => void): void {
    this.#then(this.dice.between(100, READ_US), then);
  }

  /** A process that was started again knows nothing of what it was about to do. */
  #then(us: number, happen: () => void): void {
    const life = this.#life;
    this.schedule.after(us, () =>
      this.machine.whenAwake(() => {
        if (life !== this.#life) return;
        try {
          happen();
        } catch (error) {
          if (!(error instanceof KeelsonError)) throw error;
        }
      }),
    );
  }
}

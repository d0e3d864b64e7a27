/** Long polls: those of instances that are to have no connection any more are ended, as their sockets are. */
import { KeelsonError } from '../core/error.js';
import type { Instance } from './instances.js';
import type { OutListener } from './points.js';
import { Turns } from './turns.js';

/** Polls of one instance at once: it needs one, and one that it gave up may still be here. */
const MAX_WAITING = 4;

export class Polls {
  readonly #turns = new Turns(MAX_WAITING);
  readonly #waiting = new Set<{ readonly instance: Instance; readonly out: AbortController }>();

  /** For `Points.onOut`. */
  readonly end: OutListener = (isOut, why) => {
    for (const { instance, out } of this.#waiting) if (isOut(instance)) out.abort(reasonOf(why));
  };

  /**
   * Waits as `wait` does, until its signal aborts.
   * @throws KeelsonError `overloaded`: this instance has enough of them; `unauthenticated`: it was retired meanwhile; `conflict`: what it was
   *   told is not attested
   */
  async take(instance: Instance, gone: AbortSignal, wait: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const waiting = { instance, out: new AbortController() };
    this.#waiting.add(waiting);
    try {
      await this.#turns.take(instance, () => wait(AbortSignal.any([gone, waiting.out.signal])));
    } finally {
      this.#waiting.delete(waiting);
    }
    waiting.out.signal.throwIfAborted();
  }
}

const reasonOf = (why: Parameters<OutListener>[1]): KeelsonError =>
  why === 'retired'
    ? new KeelsonError('unauthenticated', 'this instance was retired')
    : new KeelsonError('conflict', 'what was told is not attested: say the last ack again');

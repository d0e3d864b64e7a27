/** A column of times, microseconds since 1970; 0: none. Nearly all that tokens say are whole seconds, and take four bytes. */
import { Column } from './column.js';

const SECOND_US = 1_000_000;
/** Instead of seconds: the time is among the exact ones. */
const EXACT = 0xffff_ffff;

export class TimeColumn {
  readonly #seconds = new Column(Uint32Array);
  readonly #exact = new Map<number, number>();

  /** Makes room for indexes below `length`; what is new is 0. */
  reserve(length: number): void {
    this.#seconds.reserve(length);
  }

  get(index: number): number {
    const seconds = this.#seconds.array[index]!;
    return seconds === EXACT ? this.#exact.get(index)! : seconds * SECOND_US;
  }

  set(index: number, us: number): void {
    const seconds = us / SECOND_US;
    const isWhole = Number.isInteger(seconds) && seconds < EXACT;
    if (this.#seconds.array[index] === EXACT) this.#exact.delete(index);
    this.#seconds.array[index] = isWhole ? seconds : EXACT;
    if (!isWhole) this.#exact.set(index, us);
  }

  clear(index: number): void {
    this.set(index, 0);
  }

  get room(): number {
    return this.#seconds.room;
  }

  get bytes(): number {
    return this.#seconds.bytes;
  }
}

/** How much one instance may have under way, so that one that does as it likes takes no room from the others. */
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Instance } from './instances.js';

export class Turns {
  readonly #underWay = new Map<string, number>();

  /** @param most of one instance at once */
  constructor(private readonly most: number) {}

  /** @throws KeelsonError `overloaded`: it has enough under way */
  async take<T>(instance: Pick<Instance, 'id'>, work: () => Promise<T>): Promise<T> {
    const end = this.begin(instance);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** What is under way until it is told to have ended, once. @throws KeelsonError as `take` */
  begin({ id }: Pick<Instance, 'id'>): () => void {
    const name = formatHex(id);
    const before = this.#underWay.get(name) ?? 0;
    if (before >= this.most) {
      throw new KeelsonError('overloaded', 'this instance has enough under way', { retryAfterS: 1 });
    }
    this.#underWay.set(name, before + 1);
    return () => {
      const left = this.#underWay.get(name)! - 1;
      if (left === 0) this.#underWay.delete(name);
      else this.#underWay.set(name, left);
    };
  }
}

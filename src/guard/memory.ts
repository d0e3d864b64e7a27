/**
 * What an instance remembers over a restart, in a folder of its own: how far it had come (`floor`), which it never goes back behind, and
 * what the feed said (`feed`), which saves a download. Neither gives it time: after a start everything is refused until there is a grant.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuardCore } from './core.js';
import { FloorFile, readFloor } from './floor-file.js';
import { Journal } from './journal.js';
import { step, type Effect, type Input } from './step.js';

/** Of what the feed said: a table of two million keys. */
const MAX_JOURNAL_BYTES = 64 << 20;

export class Memory {
  readonly #journal: Journal;
  #floor: FloorFile | undefined;
  /** What signs the snapshot that comes next. */
  #keySet: Uint8Array | undefined;

  constructor(
    private readonly folder: string,
    private readonly core: GuardCore,
    private readonly onProblem: (error: Error) => void,
  ) {
    this.#journal = new Journal({ path: join(folder, 'feed'), maxBytes: MAX_JOURNAL_BYTES, onProblem });
  }

  /** Hears again what was heard before, and raises the guard to where it was. What is damaged is told of, and not used. */
  async load(): Promise<void> {
    const { folder, core, onProblem } = this;
    const { membership } = core.options;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      onProblem(new Error(`${folder} can't be made: nothing is remembered`, { cause: error }));
      return;
    }
    await this.#journal.replay((bytes) => {
      const effects = step(core, { kind: 'message', bytes });
      if (isKeySet(bytes)) this.#keySet = bytes.slice();
      return !effects.some(({ kind }) => kind === 'rejected');
    });
    const path = join(folder, 'floor');
    const floor = await readFloor(path, membership).catch((error: unknown) => {
      onProblem(error as Error);
      return undefined;
    });
    if (floor !== undefined) core.raise(floor);
    this.#floor = new FloorFile(path, membership, onProblem, floor);
    this.#floor.keep(core);
  }

  /** Takes note of what was heard, and what it changed. */
  remember(input: Input, effects: readonly Effect[]): void {
    if (input.kind !== 'message' || this.#floor === undefined) return;
    const { bytes } = input;
    if (effects.some(({ kind }) => kind === 'replaced')) {
      this.#journal.begin(this.#keySet === undefined ? [bytes] : [this.#keySet, bytes]);
    } else if (effects.some(({ kind }) => kind === 'changed')) this.#journal.add(bytes);
    else if (isKeySet(bytes) && !effects.some(({ kind }) => kind === 'rejected')) {
      if (this.#keySet === undefined || !Buffer.from(bytes).equals(this.#keySet)) {
        this.#keySet = Uint8Array.from(bytes);
        this.#journal.add(this.#keySet);
      }
    }
    this.#floor.keep(this.core);
  }

  async close(): Promise<void> {
    await Promise.all([this.#floor?.close(), this.#journal.close()]);
  }
}

const isKeySet = (bytes: Uint8Array): boolean => String.fromCharCode(...bytes.subarray(0, 4)) === 'KKS1';

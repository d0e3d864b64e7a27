/**
 * How far an instance had come, on disk, so that it never goes back behind it when it starts again. A few lines of text, replaced whole:
 *
 *     keelson-floor/1 ⏎ ledger ⏎ generation ⏎ seq ⏎ version of the feed keys ⏎ SHA-256 of all this, hex ⏎
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { KeelsonError } from '../core/error.js';
import { writeDurably } from '../platform/durable-file.js';
import type { Floor, Membership } from './core.js';

const MAGIC = 'keelson-floor/1';
const AGAIN_MS = 1_000;

/** What a floor is of: another ledger's or generation's says nothing. */
type Realm = Pick<Membership, 'ledger' | 'generation'>;

/**
 * The floor in a file; undefined where there is none, or it is of another ledger or generation.
 * @throws KeelsonError `tampered`: it is not what was written. Whoever goes on starts without.
 */
export async function readFloor(path: string, realm: Realm): Promise<Floor | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [, ledger = '', generation, seq, keySetVersion] = text.split('\n');
  const floor = { seq: Number(seq), keySetVersion: Number(keySetVersion) };
  const written = { ledger, generation: Number(generation) };
  if (text !== formatFloor(floor, written)) {
    throw new KeelsonError('tampered', `${path} is not what was written there: it is not used`);
  }
  return written.ledger === realm.ledger && written.generation === realm.generation ? floor : undefined;
}

/** Keeps the newest floor in a file: one write at a time, in the background. */
export class FloorFile {
  #wanted: Floor;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly path: string,
    private readonly realm: Realm,
    private readonly onProblem: (error: Error) => void,
    kept: Floor = { seq: 0, keySetVersion: 0 },
  ) {
    this.#wanted = kept;
  }

  /** Never lowers it. */
  keep({ seq, keySetVersion }: Floor): void {
    if (seq <= this.#wanted.seq && keySetVersion <= this.#wanted.keySetVersion) return;
    this.#wanted = {
      seq: Math.max(seq, this.#wanted.seq),
      keySetVersion: Math.max(keySetVersion, this.#wanted.keySetVersion),
    };
    this.#writing ??= this.#write();
  }

  /** Resolves when what was kept is on disk, as far as the disk takes it. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
  }

  async #write(): Promise<void> {
    let written: Floor | undefined;
    try {
      do {
        written = this.#wanted;
        await writeDurably(this.path, formatFloor(written, this.realm));
      } while (this.#wanted !== written);
    } catch (error) {
      this.onProblem(new Error('how far this guard has come could not be written', { cause: error }));
      this.#timer = setTimeout(() => {
        this.#writing ??= this.#write();
      }, AGAIN_MS).unref();
    }
    this.#writing = undefined;
  }
}

function formatFloor({ seq, keySetVersion }: Floor, { ledger, generation }: Realm): string {
  const text = `${[MAGIC, ledger, generation, seq, keySetVersion].join('\n')}\n`;
  return `${text}${createHash('sha256').update(text).digest('hex')}\n`;
}

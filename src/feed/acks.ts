/** Acks as they come in: checked, kept for a second, and written as one entry. An instance's newer ack replaces its older one. */
import { randomUUID } from 'node:crypto';
import { formatBase64, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Intake } from '../intake/intake.js';
import type { Logger } from '../platform/logger.js';
import { ACK_BYTES, parseAck } from '../protocol/ack.js';
import type { Realm } from '../protocol/signed.js';
import type { FeedCore } from './core.js';
import type { Instance } from './instances.js';
import type { FeedMetrics } from './metrics.js';
import { checkSignedBy } from './signatures.js';

export interface AcksOptions {
  readonly intake: Pick<Intake, 'publishOwn'>;
  readonly logger: Logger;
  readonly realm: Realm;
  readonly generation: number;
  readonly metrics: Pick<FeedMetrics, 'acked'>;
}

const COLLECT_MS = 1_000;
/** In one entry: what fits into one. */
const MAX_ACKS = 300;
/** Instances whose acks wait for the event log, at most. */
const MAX_WAITING = 100_000;

interface Waiting {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export class Acks {
  readonly #process = randomUUID();
  #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: AcksOptions) {}

  /**
   * Takes an ack that an instance sent.
   * @throws KeelsonError `malformed_message`, `bad_signature`; `forbidden`: of another instance; `out_of_range`: of a seq that there is not
   *   yet, or another generation; `overloaded`
   */
  async take(core: Pick<FeedCore, 'seq'>, instance: Instance, bytes: Uint8Array): Promise<void> {
    const ack = parseAck(bytes);
    if (!instance.id.equals(ack.instance)) throw new KeelsonError('forbidden', 'an ack of another instance');
    if (ack.generation !== this.options.generation || ack.seq > core.seq) {
      throw new KeelsonError('out_of_range', 'an ack of what was not told');
    }
    await checkSignedBy(instance, this.options.realm, 'ack', bytes);
    // It is said again over the next connection.
    if (this.#closed) return;
    const name = formatHex(ack.instance);
    this.options.metrics.acked();
    const before = this.#waiting.get(name);
    if (before !== undefined && before.seq > ack.seq) return;
    if (before === undefined && this.#waiting.size >= MAX_WAITING) {
      throw new KeelsonError('overloaded', 'too many acks wait to be written', { retryAfterS: 1 });
    }
    this.#waiting.set(name, { seq: ack.seq, bytes: Uint8Array.from(bytes) });
    this.#timer ??= setTimeout(() => this.#flush(), COLLECT_MS);
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#flush();
    await this.#writing;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = [...this.#waiting];
    this.#waiting = new Map();
    this.#writing = this.#writing.then(async () => {
      for (let i = 0; i < waiting.length; i += MAX_ACKS) await this.#write(waiting.slice(i, i + MAX_ACKS));
    });
  }

  async #write(some: readonly [string, Waiting][]): Promise<void> {
    const acks = new Uint8Array(some.length * ACK_BYTES);
    some.forEach(([, { bytes }], i) => acks.set(bytes, i * ACK_BYTES));
    const seqs = some.map(([, { seq }]) => seq);
    const event = {
      process: this.#process,
      generation: this.options.generation,
      count: some.length,
      from_seq: seqs.reduce((a, b) => Math.min(a, b)),
      to_seq: seqs.reduce((a, b) => Math.max(a, b)),
      acks: formatBase64(acks),
    };
    try {
      await this.options.intake.publishOwn([{ type: 'ack.collected', id: randomUUID(), event }]);
    } catch (error) {
      this.options.logger.warn({ err: error, count: some.length }, 'feed: acks wait for the event log');
      // What came meanwhile is newer.
      this.#waiting = new Map([...some, ...this.#waiting]);
      this.#timer ??= setTimeout(() => this.#flush(), COLLECT_MS);
    }
  }
}

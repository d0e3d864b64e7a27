/**
 * The folded state in the database, so that a start folds only what came after it. What is kept is a function of the committed entries
 * alone, so it does not matter who wrote it, nor whether they still fold. It counts only
 *
 * - to the program that wrote it: another release folds anew;
 * - where its MAC is right: whoever can write to the database alone can't make a state of their own;
 * - where its last entry is still the one that it was folded to.
 *
 * Anything else is told, and folded anew.
 */
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Pool, PoolClient } from 'pg';
import { readFoldBatch } from '../ledger/fold-batch.js';
import type { Log } from '../ledger/log.js';
import type { Logger } from '../platform/logger.js';
import { DUMP_FORM, dumpState, restoreState } from './state-dump.js';
import { RevocationState, type KeyMaterial } from './state.js';

/** Entries after which another one is worth its while: folding them takes about a second. */
const EVERY_ENTRIES = 20_000n;
/** Characters, before they are compressed; a larger one is not kept. */
const STATE_CHARS_MAX = 256 * 1024 * 1024;
/** Lines written before others have their turn. */
const TURN_LINES = 16;

type Queries = Pick<Pool | PoolClient, 'query'>;

export interface SnapshotOptions {
  readonly material: KeyMaterial;
  /** A key that nobody has but the installation. */
  readonly macKey: KeyObject;
  /** What this program calls itself. */
  readonly release: string;
  readonly logger: Logger;
  readonly everyEntries?: bigint;
}

export interface Folded {
  readonly state: RevocationState;
  /** Entries of lifecycle that it is folded to. */
  readonly size: bigint;
}

interface Row {
  readonly size: bigint;
  readonly release: string;
  readonly mac: Buffer;
  readonly state: Buffer;
}

export class Snapshots {
  readonly #release: string;

  constructor(private readonly options: SnapshotOptions) {
    this.#release = `${options.release}/${DUMP_FORM}`;
  }

  get material(): KeyMaterial {
    return this.options.material;
  }

  /** A state to fold on from: what is kept, if it can be used and is of no more than `size` entries; else one of none. */
  async load(db: Queries, log: Log, size: bigint): Promise<Folded> {
    const { material, logger } = this.options;
    const nothing = { state: new RevocationState(material), size: 0n };
    const { rows } = await db.query<Row>('select size, release, mac, state from keelson.revocation_snapshot');
    const [row] = rows;
    if (row === undefined) return nothing;
    const about = { release: row.release, size: row.size };
    try {
      const why = row.size > size ? 'it is of more entries' : await this.#refuses(db, log, row);
      if (why === undefined) return { state: await this.#restore(row.state), size: row.size };
      logger.warn({ ...about, why }, 'revocation: the snapshot is not used, everything is folded anew');
    } catch (error) {
      logger.error({ ...about, err: error }, 'revocation: the snapshot can not be read, everything is folded anew');
    }
    return nothing;
  }

  /**
   * Keeps a state, where enough was folded since the last one that was kept or loaded. Where it can't be, that is told: folding goes on without.
   * @returns of how many entries one is kept now, or need not be tried again.
   */
  async keep(db: Queries, log: Log, { state, size }: Folded, keptSize: bigint): Promise<bigint> {
    const { logger, everyEntries = EVERY_ENTRIES } = this.options;
    if (size - keptSize < everyEntries) return keptSize;
    try {
      const bytes = await packed(state);
      if (bytes === undefined) logger.warn({ size }, 'revocation: the state is too large for a snapshot');
      else await this.#write(db, log, size, bytes);
    } catch (error) {
      logger.warn({ size, err: error }, 'revocation: the snapshot can not be kept');
    }
    return size;
  }

  async #write(db: Queries, log: Log, size: bigint, bytes: Buffer): Promise<void> {
    const mac = await this.#macOf(db, log, size, bytes);
    await db.query(
      `insert into keelson.revocation_snapshot as s (size, release, mac, state) values ($1, $2, $3, $4)
       on conflict (only_one) do update
         set size = excluded.size, release = excluded.release, mac = excluded.mac, state = excluded.state`,
      [size, this.#release, mac, bytes],
    );
  }

  /** Forgets what is kept. */
  async clear(db: Queries): Promise<void> {
    await db.query('delete from keelson.revocation_snapshot');
  }

  async #refuses(db: Queries, log: Log, { release, size, mac, state }: Row): Promise<string | undefined> {
    if (release !== this.#release) return 'another release wrote it';
    return timingSafeEqual(mac, await this.#macOf(db, log, size, state)) ? undefined : 'its MAC is wrong';
  }

  /** Over release, size, the last entry and the state, each length-prefixed. */
  async #macOf(db: Queries, log: Log, size: bigint, state: Uint8Array): Promise<Buffer> {
    const { pages } = await readFoldBatch(db, log, size - 1n, size);
    const mac = createHmac('sha256', this.options.macKey);
    for (const part of [this.#release, String(size), pages[0]!.entries, state]) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(part));
      mac.update(length).update(part);
    }
    return mac.digest();
  }

  async #restore(bytes: Buffer): Promise<RevocationState> {
    const text = (await promisify(gunzip)(bytes)).toString('utf8');
    return restoreState(this.options.material, text.split('\n'));
  }
}

/** The lines of a state, compressed; undefined: they are too many. Whoever else waits for this thread goes between them. */
async function packed(state: RevocationState): Promise<Buffer | undefined> {
  const lines: string[] = [];
  let chars = 0;
  for (const line of dumpState(state)) {
    lines.push(line);
    chars += line.length + 1;
    if (chars > STATE_CHARS_MAX) return undefined;
    if (lines.length % TURN_LINES === 0) await turn();
  }
  return promisify(gzip)(lines.join('\n'), { level: 1 });
}

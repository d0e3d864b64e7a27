import type { PoolClient } from 'pg';
import type { Hasher } from '../../core/hasher.js';
import type { Verifier } from '../../core/signer.js';
import type { EventLog } from '../../eventlog/port.js';
import type { Database } from '../../platform/database.js';
import type { LogRecords } from '../log-records.js';
import type { Projection } from '../projection.js';
import type { LedgerReader } from '../reader.js';

/** Something that is not as it was written. */
export interface FsckFinding {
  /** The log's path, or a projection's name. */
  readonly log: string;
  readonly what:
    | 'log'
    | 'entry'
    | 'page'
    | 'tile'
    | 'checkpoint'
    | 'publication'
    | 'head'
    | 'dedupe'
    | 'schema'
    | 'refused'
    | 'memory'
    | 'projection';
  /** The first entry concerned. */
  readonly index?: bigint;
  /** For people. */
  readonly reason: string;
}

export interface FsckProgress {
  readonly log: string;
  readonly done: bigint;
  readonly size: bigint;
}

export interface FsckOptions {
  readonly database: Database;
  readonly reader: LedgerReader;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly kinds: LogRecords;
  /** The 32-byte Ed25519 key that signs every log. */
  readonly publicKey: Uint8Array;
  /** Compared with, where it is to be had: its memory of checkpoints, and the last message of each log. */
  readonly eventLog?: Pick<EventLog, 'checkpoints' | 'read'>;
  readonly projections?: readonly Projection[];
  /** As a role that may make a schema; needed for projections. Nothing it writes is ever committed. */
  readonly scratch?: Database;
  readonly onProgress?: (progress: FsckProgress) => void;
}

/** One moment of the database, in which everything is read, whatever is written meanwhile. */
export type Snapshot = Pick<PoolClient, 'query'>;

/** What was found in one log and not yet told. */
export class LogFindings {
  #found: FsckFinding[] = [];

  constructor(private readonly log: string) {}

  add(what: FsckFinding['what'], index: bigint, reason: string): void {
    this.#found.push({ log: this.log, what, index, reason });
  }

  /** What was found since the last call. */
  take(): FsckFinding[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }
}

import type { Hasher } from '../core/hasher.js';
import type { Verifier } from '../core/signer.js';
import type { EventLog } from '../eventlog/port.js';
import type { Database } from '../platform/database.js';
import type { Projection } from './projection.js';
import type { LedgerReader } from './reader.js';

/** Something that is not as it was written. */
export interface FsckFinding {
  /** The log's path, or a projection's name. */
  readonly log: string;
  readonly what: 'entry' | 'page' | 'tile' | 'checkpoint' | 'publication' | 'head' | 'dedupe' | 'memory' | 'projection';
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
  /** The 32-byte Ed25519 key that signs every log. */
  readonly publicKey: Uint8Array;
  /** Compared with, where it is to be had: its memory of checkpoints, and the last message of each log. */
  readonly eventLog?: Pick<EventLog, 'checkpoints' | 'read'>;
  readonly projections?: readonly Projection[];
  /** As a role that may make a schema; needed for projections. Nothing it writes is ever committed. */
  readonly scratch?: Database;
  readonly onProgress?: (progress: FsckProgress) => void;
}

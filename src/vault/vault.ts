import type { KeyObject } from 'node:crypto';
import type { Database } from '../platform/database.js';
import { Blobs } from './blobs.js';
import { Quarantine } from './quarantine.js';
import { Subjects } from './subjects.js';

export interface VaultOptions {
  readonly database: Database;
  /** The keyring's key-encryption key (AES-256): lives outside database and backups. */
  readonly encryptionKey: KeyObject;
  /** The keyring's MAC key for `lookup`. */
  readonly lookupKey: KeyObject;
  /** `KEELSON_SUBJECT_CACHE` */
  readonly cachedSubjects: number;
  /** `KEELSON_QUARANTINE_DAYS` */
  readonly quarantineDays: number;
}

/** What must stay forgettable: subjects and their keys, blobs, quarantine originals. */
export class Vault extends Subjects {
  readonly blobs: Blobs;
  readonly quarantine: Quarantine;

  constructor({ quarantineDays, ...options }: VaultOptions) {
    super(options);
    this.blobs = new Blobs(options.database);
    this.quarantine = new Quarantine(options.database, options.encryptionKey, quarantineDays);
  }
}

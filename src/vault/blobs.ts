import { hash } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import type { Database } from '../platform/database.js';

/** Ciphertexts too big for an entry, by their SHA-256. They hold nothing that can be read without a subject's key. */
export class Blobs {
  constructor(private readonly database: Database) {}

  /**
   * Keeps ciphertexts: durable when it resolves, and any number of times the same.
   * @throws KeelsonError `database_unavailable`
   */
  async put(blobs: readonly { readonly sha256: Uint8Array; readonly ciphertext: Uint8Array }[]): Promise<void> {
    if (blobs.length === 0) return;
    await this.database.query(
      `insert into keelson.blob (sha256, ciphertext)
       select sha256, ciphertext from unnest($1::bytea[], $2::bytea[]) as given (sha256, ciphertext) order by sha256
       on conflict do nothing`,
      [blobs.map(({ sha256 }) => sha256), blobs.map(({ ciphertext }) => ciphertext)],
    );
  }

  /**
   * Ciphertexts by SHA-256 in hex; what is not there is not in the answer.
   * @throws KeelsonError `database_unavailable`, `tampered`: the bytes under an address are others.
   */
  async get(addresses: Iterable<Uint8Array>): Promise<Map<string, Buffer>> {
    const wanted = [...addresses];
    if (wanted.length === 0) return new Map();
    const { rows } = await this.database.query<{ sha256: Buffer; ciphertext: Buffer }>(
      'select sha256, ciphertext from keelson.blob where sha256 = any($1::bytea[])',
      [wanted],
    );
    return new Map(
      rows.map(({ sha256, ciphertext }) => {
        const address = sha256.toString('hex');
        if (hash('sha256', ciphertext) !== address) throw new KeelsonError('tampered', `blob ${address} was changed`);
        return [address, ciphertext];
      }),
    );
  }
}

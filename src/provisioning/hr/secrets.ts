/** The secrets that senders of webhooks sign with: wrapped in the database, two of a producer good at once at most. */
import { randomBytes, type KeyObject } from 'node:crypto';
import { StaleCache } from '../../access/stale-cache.js';
import { KeelsonError } from '../../core/error.js';
import type { Clock } from '../../platform/clock.js';
import type { Database } from '../../platform/database.js';
import { lengthPrefixed } from '../../vault/bytes.js';
import { decrypt, encrypt } from '../../vault/wrap.js';

/** What may be known of a secret. Times are microseconds since 1970 UTC. */
export interface SecretRow {
  readonly id: string;
  readonly createdAtUs: bigint;
  /** When it ends, where another took its place. */
  readonly expiresAtUs: bigint | null;
}

interface Secret extends SecretRow {
  readonly text: string;
}

export interface SecretsOptions {
  readonly database: Database;
  readonly encryptionKey: KeyObject;
  readonly clock: Clock;
  /** `KEELSON_TOKEN_FRESH_MS`, `KEELSON_TOKEN_GRACE_MS`: as API tokens. */
  readonly freshMs: number;
  readonly graceMs: number;
}

const PATIENCE_MS = 500;
const SOURCES_MAX = 1_000;

export class WebhookSecrets {
  readonly #known: StaleCache<readonly Secret[]>;

  constructor(private readonly options: SecretsOptions) {
    const { clock, freshMs, graceMs } = options;
    this.#known = new StaleCache({
      clock,
      freshMs,
      graceMs,
      patienceMs: PATIENCE_MS,
      maxEntries: SOURCES_MAX,
      load: (producer) => this.#load(producer),
    });
  }

  /** Those that are good now. @throws KeelsonError `database_unavailable` */
  async of(producer: string): Promise<string[]> {
    const nowUs = this.options.clock.nowUs();
    const known = (await this.#known.get(producer)) ?? [];
    return known.filter(({ expiresAtUs }) => expiresAtUs === null || expiresAtUs > nowUs).map(({ text }) => text);
  }

  /** Keeps a new secret. The one before it stays good for `keepS` seconds, what was before that no longer. */
  async add(producer: string, text: string, keepS: number): Promise<SecretRow> {
    const { database, encryptionKey, clock } = this.options;
    const id = randomBytes(8).toString('hex');
    const nowUs = clock.nowUs();
    const wrapped = encrypt(encryptionKey, Buffer.from(text), aboutSecret(producer, id));
    await database.transaction(async (tx) => {
      await tx.query('select from keelson.producer where id = $1 for no key update', [producer]);
      await tx.query(
        `update keelson.webhook_secret set expires_at_us = case when id =
             (select id from keelson.webhook_secret where producer = $1 order by created_at_us desc, id limit 1)
           then least(coalesce(expires_at_us, $3), $3) else least(coalesce(expires_at_us, $2), $2) end
         where producer = $1`,
        [producer, nowUs, nowUs + BigInt(keepS) * 1_000_000n],
      );
      await tx.query('delete from keelson.webhook_secret where producer = $1 and expires_at_us <= $2', [
        producer,
        nowUs,
      ]);
      await tx.query(
        'insert into keelson.webhook_secret (id, producer, wrapped, created_at_us) values ($1, $2, $3, $4)',
        [id, producer, wrapped, nowUs],
      );
    });
    this.#known.delete(producer);
    return { id, createdAtUs: nowUs, expiresAtUs: null };
  }

  /** Newest first; also those that have ended since the last was added. */
  async list(producer: string): Promise<SecretRow[]> {
    const { rows } = await this.options.database.query<SecretRow>(
      `select id, created_at_us as "createdAtUs", expires_at_us as "expiresAtUs" from keelson.webhook_secret
       where producer = $1 order by created_at_us desc, id`,
      [producer],
    );
    return rows;
  }

  /** Ends a secret: here at once, in other processes within seconds. @throws KeelsonError `not_found` */
  async remove(producer: string, id: string): Promise<void> {
    const { rowCount } = await this.options.database.query(
      'delete from keelson.webhook_secret where producer = $1 and id = $2',
      [producer, id],
    );
    this.#known.delete(producer);
    if (rowCount === 0) throw new KeelsonError('not_found', 'this producer has no such secret');
  }

  async #load(producer: string): Promise<readonly Secret[] | undefined> {
    const { database, encryptionKey } = this.options;
    const { rows } = await database.query<SecretRow & { wrapped: Buffer }>(
      `select id, wrapped, created_at_us as "createdAtUs", expires_at_us as "expiresAtUs" from keelson.webhook_secret
       where producer = $1`,
      [producer],
    );
    if (rows.length === 0) return undefined;
    return rows.map(({ wrapped, ...row }) => ({
      ...row,
      text: decrypt(encryptionKey, wrapped, aboutSecret(producer, row.id)).toString(),
    }));
  }
}

const aboutSecret = (producer: string, id: string): Buffer => lengthPrefixed('webhook-secret', producer, id);

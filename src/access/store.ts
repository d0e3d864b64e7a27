/** The SQL of tokens and producers. */
import type { Holder, Scope } from '../http/caller.js';
import type { Database } from '../platform/database.js';
import type { Producer, ProducerConfig } from './producer.js';

/** A token as everyone with the scope `admin` may see it. Times in microseconds since 1970. */
export interface TokenRow {
  readonly id: string;
  readonly producer: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAtUs: bigint;
  readonly createdBy: string;
  readonly expiresAtUs: bigint | null;
  readonly revokedAtUs: bigint | null;
  readonly lastUsedAtUs: bigint | null;
  readonly holder: Holder | null;
}

const COLUMNS = `id, producer, name, scopes, created_at_us as "createdAtUs", created_by as "createdBy",
  expires_at_us as "expiresAtUs", revoked_at_us as "revokedAtUs", last_used_at_us as "lastUsedAtUs",
  case when holder_id is null then null else jsonb_build_object('issuer', holder_issuer, 'id', holder_id) end as holder`;

export class AccessStore {
  constructor(private readonly database: Database) {}

  async findToken(hash: Buffer): Promise<TokenRow | undefined> {
    const { rows } = await this.database.query<TokenRow>(`select ${COLUMNS} from keelson.api_token where hash = $1`, [
      hash,
    ]);
    return rows[0];
  }

  /** Oldest first, after the given position. */
  async listTokens(after: { createdAtUs: bigint; id: string }, limit: number): Promise<TokenRow[]> {
    const { rows } = await this.database.query<TokenRow>(
      `select ${COLUMNS} from keelson.api_token where (created_at_us, id) > ($1, $2) order by created_at_us, id limit $3`,
      [after.createdAtUs, after.id, limit],
    );
    return rows;
  }

  /** Inserts token and, where it is new, its producer. Answers false where that very token is already there. */
  async insertToken(token: TokenRow, hash: Buffer): Promise<boolean> {
    return this.database.transaction(async (client) => {
      await client.query(
        `insert into keelson.producer (id, config, created_at_us, updated_at_us) values ($1, '{}', $2, $2)
         on conflict (id) do nothing`,
        [token.producer, token.createdAtUs],
      );
      const { rowCount } = await client.query(
        `insert into keelson.api_token (id, hash, producer, name, scopes, created_at_us, created_by, expires_at_us,
           holder_issuer, holder_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (hash) do nothing`,
        [
          token.id,
          hash,
          token.producer,
          token.name,
          token.scopes,
          token.createdAtUs,
          token.createdBy,
          token.expiresAtUs,
          token.holder?.issuer ?? null,
          token.holder?.id ?? null,
        ],
      );
      return rowCount === 1;
    });
  }

  /** The hash of the token, now revoked; undefined where there is no such id. Revoking twice keeps the first time. */
  async revokeToken(id: string, atUs: bigint): Promise<Buffer | undefined> {
    const { rows } = await this.database.query<{ hash: Buffer }>(
      `update keelson.api_token set revoked_at_us = coalesce(revoked_at_us, $2) where id = $1 returning hash`,
      [id, atUs],
    );
    return rows[0]?.hash;
  }

  /** Notes when tokens were last used; never backwards. */
  async touchTokens(used: ReadonlyMap<string, bigint>): Promise<void> {
    await this.database.query(
      `update keelson.api_token t set last_used_at_us = greatest(t.last_used_at_us, u.at_us)
       from unnest($1::text[], $2::int8[]) as u (id, at_us) where t.id = u.id`,
      [[...used.keys()], [...used.values()]],
    );
  }

  /** Whether some token with the scope `admin` works at this time. */
  async hasAdmin(atUs: bigint): Promise<boolean> {
    const { rows } = await this.database.query<{ found: boolean }>(
      `select exists (select from keelson.api_token where 'admin' = any (scopes) and revoked_at_us is null
         and (expires_at_us is null or expires_at_us > $1)) as found`,
      [atUs],
    );
    return rows[0]!.found;
  }

  async findProducer(id: string): Promise<Producer | undefined> {
    const { rows } = await this.database.query<Producer>(`select id, config from keelson.producer where id = $1`, [id]);
    return rows[0];
  }

  /** Every issuer that a producer's persons are known under; the empty one, of producers without, included. */
  async listIssuers(): Promise<string[]> {
    const { rows } = await this.database.query<{ issuer: string }>(
      `select distinct coalesce(config ->> 'issuer', '') as issuer from keelson.producer`,
    );
    return rows.map(({ issuer }) => issuer);
  }

  /** Makes the producer, or replaces its configuration. */
  async putProducer(id: string, config: ProducerConfig, atUs: bigint): Promise<void> {
    await this.database.query(
      `insert into keelson.producer (id, config, created_at_us, updated_at_us) values ($1, $2, $3, $3)
       on conflict (id) do update set config = excluded.config, updated_at_us = excluded.updated_at_us`,
      [id, JSON.stringify(config), atUs],
    );
  }
}

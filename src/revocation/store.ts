/** The SQL of the projection: what a fold changed, written in its transaction. */
import type { PoolClient } from 'pg';
import { formatHex } from '../core/bytes.js';
import { FACT_BYTES, flagsOf, parseFact, type Fact } from '../protocol/fact.js';
import { KEY_BYTES } from '../protocol/keys.js';
import { STATE_HASH_BYTES } from '../protocol/state-hash.js';
import type { Cause } from './cause.js';
import type { KeyChange, RevocationState } from './state.js';

/** Told when more of lifecycle is folded into the tables. */
export const FOLDED_CHANNEL = 'keelson_revocation';

/** Tables that are folded, without the term. */
export const TABLES = ['cause', 'key', 'fact', 'change', 'head'] as const;

/** Writes everything that changed since the last time, and forgets it. */
export async function writeChanges(tx: PoolClient, schema: string, state: RevocationState): Promise<void> {
  const causes = [...state.changed].map((order) => state.causes.get(order)!);
  if (causes.length > 0) await writeCauses(tx, schema, causes);
  if (state.keyChanges.length > 0) await writeKeys(tx, schema, state.keyChanges);
  if (state.tableChanges.length > 0) await writeFacts(tx, schema, state);
  await writeHead(tx, schema, state);
  // Whoever tells others of it need not look all the time.
  if (schema === 'keelson') await tx.query(`select pg_notify('${FOLDED_CHANNEL}', '')`);
  state.forgetChanges();
}

async function writeCauses(tx: PoolClient, schema: string, causes: readonly Cause[]): Promise<void> {
  const rows = causes.map(({ order, index, state, kind, producer, dueUs, subjects, ...more }) => ({
    order_name: order,
    index,
    state,
    kind,
    producer,
    due_us: dueUs,
    subjects,
    doc: more,
  }));
  await tx.query(
    `insert into ${schema}.revocation_cause (order_name, index, state, kind, producer, due_us, subjects, doc)
     select order_name, index, state, kind, producer, due_us, subjects, doc from jsonb_to_recordset($1::jsonb)
       as given (order_name text, index bigint, state text, kind text, producer text, due_us bigint, subjects text[], doc jsonb)
     on conflict (order_name) do update
       set state = excluded.state, due_us = excluded.due_us, subjects = excluded.subjects, doc = excluded.doc`,
    [JSON.stringify(rows)],
  );
}

async function writeKeys(tx: PoolClient, schema: string, changes: readonly KeyChange[]): Promise<void> {
  // Of several changes of one key the last counts.
  const last = new Map(changes.map((change) => [`${change.order} ${change.key}`, change]));
  const lost = [...last.values()].filter(({ type }) => type === undefined);
  const got = [...last.values()].filter(({ type }) => type !== undefined);
  if (lost.length > 0) {
    await tx.query(
      `delete from ${schema}.revocation_key k using unnest($1::text[], $2::text[]) as lost (order_name, key)
       where k.order_name = lost.order_name and k.key = decode(lost.key, 'hex')`,
      [lost.map(({ order }) => order), lost.map(({ key }) => key)],
    );
  }
  if (got.length > 0) {
    await tx.query(
      `insert into ${schema}.revocation_key (order_name, key, type, change)
       select order_name, decode(key, 'hex'), type, change
       from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as got (order_name, key, type, change)
       on conflict (order_name, key) do update set type = excluded.type, change = excluded.change`,
      [
        got.map(({ order }) => order),
        got.map(({ key }) => key),
        got.map(({ type }) => type),
        got.map(({ change }) => change),
      ],
    );
  }
}

interface FactChange extends Fact {
  readonly seq: number;
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly stateHash: Uint8Array;
}

async function writeFacts(tx: PoolClient, schema: string, { tableChanges }: RevocationState): Promise<void> {
  const changes: FactChange[] = [];
  for (const { index, facts, stateHashes, seq } of tableChanges) {
    const count = facts.length / FACT_BYTES;
    for (let i = 0; i < count; i++) {
      const bytes = facts.subarray(i * FACT_BYTES, (i + 1) * FACT_BYTES);
      const stateHash = stateHashes.subarray(i * STATE_HASH_BYTES, (i + 1) * STATE_HASH_BYTES);
      changes.push({ ...parseFact(bytes)!, index, bytes, stateHash, seq: seq - count + 1 + i });
    }
  }
  if (changes.length === 0) return;
  await tx.query(
    `insert into ${schema}.revocation_change (seq, index, fact, state_hash)
     select seq, index, decode(fact, 'hex'), decode(state_hash, 'hex')
     from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as given (seq, index, fact, state_hash)`,
    [
      changes.map(({ seq }) => seq),
      changes.map(({ index }) => index),
      changes.map(({ bytes }) => formatHex(bytes)),
      changes.map(({ stateHash }) => formatHex(stateHash)),
    ],
  );
  const last = [...new Map(changes.map((change) => [formatHex(change.key), change]))];
  const isGone = ([, fact]: [string, FactChange]): boolean => flagsOf(fact) === 0;
  const gone = last.filter(isGone).map(([key]) => key);
  const there = last.filter((one) => !isGone(one));
  if (gone.length > 0) {
    await tx.query(
      `delete from ${schema}.revocation_fact f using unnest($1::text[]) as gone (key) where f.key = decode(gone.key, 'hex')`,
      [gone],
    );
  }
  await tx.query(
    `insert into ${schema}.revocation_fact (key, blocked, cutoff_us, staleness_us, seq)
     select decode(key, 'hex'), blocked, cutoff_us, staleness_us, seq
     from unnest($1::text[], $2::boolean[], $3::bigint[], $4::bigint[], $5::bigint[])
       as given (key, blocked, cutoff_us, staleness_us, seq)
     on conflict (key) do update set blocked = excluded.blocked, cutoff_us = excluded.cutoff_us,
       staleness_us = excluded.staleness_us, seq = excluded.seq`,
    [
      there.map(([key]) => key),
      there.map(([, { blocked }]) => blocked),
      there.map(([, { cutoffUs }]) => cutoffUs ?? null),
      there.map(([, { stalenessUs }]) => stalenessUs ?? null),
      there.map(([, { seq }]) => seq),
    ],
  );
}

async function writeHead(tx: PoolClient, schema: string, { table, holder }: RevocationState): Promise<void> {
  const { seq, chainHash, stateHash } = table.head();
  await tx.query(
    `insert into ${schema}.revocation_head (term, holder, seq, chain_hash, state_hash) values ($1, $2, $3, $4, $5)
     on conflict (only_one) do update set term = excluded.term, holder = excluded.holder, seq = excluded.seq,
       chain_hash = excluded.chain_hash, state_hash = excluded.state_hash`,
    [table.term, holder ?? null, seq, Buffer.from(chainHash), Buffer.from(stateHash)],
  );
}

/** What the table says of some keys, as it was committed last, and by which order each is blocked. */
export interface FactRow {
  readonly key: Buffer;
  readonly blocked: boolean;
  readonly cutoff_us: bigint | null;
  readonly seq: bigint;
  readonly order_name: string | null;
}

export async function readFacts(tx: Pick<PoolClient, 'query'>, keys: readonly Uint8Array[]): Promise<FactRow[]> {
  if (keys.some((key) => key.length !== KEY_BYTES)) throw new Error('a key of another length');
  const { rows } = await tx.query<FactRow>(
    `select f.key, f.blocked, f.cutoff_us, f.seq, o.order_name from keelson.revocation_fact f
     left join lateral (
       select k.order_name from keelson.revocation_key k join keelson.revocation_cause c using (order_name)
       where k.key = f.key and (k.change = 'block') = f.blocked order by c.index limit 1) o on true
     where f.key = any($1::bytea[])`,
    [keys.map((key) => Buffer.from(key))],
  );
  return rows;
}

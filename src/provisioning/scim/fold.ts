/**
 * Folding lifecycle entries into what is provisioned. Of an entry only what its own producer sent over SCIM counts: nobody provisions
 * for another source. An entry with a `version` carries the whole resource; others say what changed beside it.
 */
import type { ClientBase, PoolClient } from 'pg';
import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import {
  decodeRecord,
  type Body,
  type DecodedRecord,
  type JsonObject,
  type SchemaRegistry,
} from '../../events/index.js';
import { splitPage } from '../../ledger/page.js';
import type { Fold, FoldBatch } from '../../ledger/projection.js';
import { learnFrom } from '../../ledger/schemas.js';
import { openAttributes, sealingSubject, type OpeningVault } from './attributes.js';
import { namesOf, type NameDigest } from './names.js';
import type { Kind } from './schema.js';

export interface FoldOptions {
  readonly schema: string;
  readonly schemas: SchemaRegistry;
  readonly vault: OpeningVault;
  readonly digest: NameDigest;
}

/** As it stands in records of what came over SCIM. */
export const SCIM_PROTOCOL = 'scim';

interface Provisioned {
  readonly index: bigint;
  readonly record: DecodedRecord;
  readonly bytes: Buffer;
  readonly source: string;
  readonly resource: string;
  readonly version: bigint | null;
  readonly active: boolean | null;
  readonly deleted: boolean;
  readonly group: string | null;
}

interface Membership {
  readonly source: string;
  readonly group: string;
  readonly user: string;
}

export class ScimFold implements Fold {
  constructor(private readonly options: FoldOptions) {}

  async fold(tx: PoolClient, batch: FoldBatch): Promise<void> {
    if (batch.log.at.topic !== 'lifecycle') return;
    const entries = this.#read(batch);
    const carriers = entries.filter(({ version }) => version !== null);
    const opened = await openAttributes(
      carriers.map(({ record }) => record),
      this.options.vault,
    );
    const resources = new Map(carriers.map((entry, i) => [entry, opened[i]]));
    for (let at = 0; at < entries.length;) {
      const change = membershipChange(entries[at]!);
      if (change === undefined) {
        await this.#foldOne(tx, entries[at]!, resources.get(entries[at]!));
        at++;
        continue;
      }
      // Groups come and go by thousands of members: those of one kind in one statement.
      const run: Membership[] = [];
      while (at < entries.length && membershipChange(entries[at]!) === change) run.push(membershipOf(entries[at++]!));
      if (change === 'added') await addMembers(tx, this.options.schema, run);
      else await removeMembers(tx, this.options.schema, run);
    }
  }

  #read(batch: FoldBatch): Provisioned[] {
    const found: Provisioned[] = [];
    let index = batch.from;
    for (const page of batch.pages) {
      for (const bytes of splitPage(page)) {
        const entry = this.#readEntry(index++, bytes);
        if (entry !== undefined) found.push(entry);
      }
    }
    return found;
  }

  #readEntry(index: bigint, bytes: Uint8Array): Provisioned | undefined {
    const entry = parseEntry(bytes);
    if (entry.kind !== 'record') return undefined;
    let record: DecodedRecord;
    try {
      record = decodeRecord(entry.record, this.options.schemas);
    } catch (error) {
      // The ledger holds it all the same; a projection that stopped at it would stop for ever.
      if (error instanceof KeelsonError) return undefined;
      throw error;
    }
    if (record.type === 'log.schema') learnFrom(entry.record, this.options.schemas);
    if (record.protocol !== SCIM_PROTOCOL || !record.producerVerified) return undefined;
    return describe(index, record, Buffer.from(entry.record));
  }

  async #foldOne(tx: PoolClient, entry: Provisioned, resource: JsonObject | undefined): Promise<void> {
    const { schema } = this.options;
    const { record, source, resource: id } = entry;
    if (record.type === 'principal.linked') await addAliases(tx, schema, source, id, aliasesIn(record));
    if (record.type === 'principal.unlinked') await removeAliases(tx, schema, source, id, aliasesIn(record));
    if (entry.version === null) return;
    const kind = record.type.startsWith('group.') ? 'Group' : 'User';
    if (!(await putResource(tx, schema, kind, entry))) return;
    if (entry.deleted) {
      const column = kind === 'Group' ? 'group_id' : 'user_id';
      await tx.query(`delete from ${schema}.scim_member where source = $1 and ${column} = $2`, [source, id]);
    }
    await this.#putNames(tx, kind, entry, resource);
  }

  /** What was erased has no names any more; what is deleted keeps them, so that whoever comes back is known. */
  async #putNames(
    tx: PoolClient,
    kind: Kind,
    { source, resource: id, record }: Provisioned,
    resource: JsonObject | undefined,
  ): Promise<void> {
    const { schema, digest } = this.options;
    const subject = sealingSubject(record);
    await tx.query(`delete from ${schema}.scim_name where source = $1 and kind = $2 and id = $3`, [source, kind, id]);
    if (resource === undefined || subject === undefined) return;
    const names = namesOf(kind, resource);
    await tx.query(
      `insert into ${schema}.scim_name (source, kind, id, attribute, digest, subject)
       select $1, $2, $3, attribute, digest, s.pseudonym
       from unnest($4::text[], $5::bytea[]) as name (attribute, digest), keelson.subject s where s.pseudonym = $6`,
      [
        source,
        kind,
        id,
        names.map(({ attribute }) => attribute),
        names.map(({ attribute, value }) => digest(source, kind, attribute, value)),
        subject,
      ],
    );
  }
}

function describe(index: bigint, record: DecodedRecord, bytes: Buffer): Provisioned | undefined {
  const provisioned = record.body.provisioned as Body | null | undefined;
  if (!/^(principal|group)\./.test(record.type) || !provisioned) return undefined;
  const { resource, version, active, deleted, group } = provisioned;
  if (typeof resource !== 'string') return undefined;
  if (record.type.startsWith('principal.') && subjectIn(record) === undefined) return undefined;
  return {
    index,
    record,
    bytes,
    source: record.producer,
    resource,
    version: typeof version === 'bigint' && version > 0n ? version : null,
    active: typeof active === 'boolean' ? active : null,
    deleted: deleted === true,
    group: typeof group === 'string' ? group : null,
  };
}

const subjectIn = (record: DecodedRecord): Buffer | undefined =>
  record.persons.find(({ pointer }) => pointer === '/principal')?.subject;

const aliasesIn = (record: DecodedRecord): Buffer[] =>
  record.persons.filter(({ pointer }) => pointer.startsWith('/aliases/')).map(({ subject }) => subject);

/** A change of members alone; a group that only got another name in tokens lost and added nobody. */
function membershipChange({ record, group, version }: Provisioned): 'added' | 'removed' | undefined {
  if (record.type !== 'principal.moved' || group === null || version !== null) return undefined;
  const count = (member: string): number => {
    const value = record.body[member];
    return Array.isArray(value) ? value.length : 0;
  };
  const [added, removed] = [count('groups_added'), count('groups_removed')];
  if (added > 0 === removed > 0) return undefined;
  return added > 0 ? 'added' : 'removed';
}

const membershipOf = ({ source, group, resource }: Provisioned): Membership => ({
  source,
  group: group!,
  user: resource,
});

/** False where a later version was there already. */
async function putResource(tx: ClientBase, schema: string, kind: Kind, entry: Provisioned): Promise<boolean> {
  const { record } = entry;
  const claim = record.body.group;
  const { rowCount } = await tx.query(
    `insert into ${schema}.scim_resource as r
       (source, kind, id, version, active, deleted, subject, claim, record, created_at_us, modified_at_us, made_at_index)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
     on conflict (source, kind, id) do update set version = excluded.version, active = excluded.active,
       deleted = excluded.deleted, subject = excluded.subject, claim = excluded.claim, record = excluded.record,
       modified_at_us = excluded.modified_at_us
     where r.version < excluded.version`,
    [
      entry.source,
      kind,
      entry.resource,
      entry.version,
      kind === 'User' ? entry.active !== false : null,
      entry.deleted,
      kind === 'User' ? subjectIn(record) : null,
      kind === 'Group' ? (typeof claim === 'string' ? claim : '') : null,
      entry.bytes,
      record.occurredAtUs,
      entry.index,
    ],
  );
  return rowCount === 1;
}

async function addAliases(
  tx: ClientBase,
  schema: string,
  source: string,
  id: string,
  subjects: readonly Buffer[],
): Promise<void> {
  await tx.query(
    `insert into ${schema}.scim_alias (source, id, subject) select $1, $2, unnest($3::bytea[]) on conflict do nothing`,
    [source, id, subjects],
  );
}

async function removeAliases(
  tx: ClientBase,
  schema: string,
  source: string,
  id: string,
  subjects: readonly Buffer[],
): Promise<void> {
  await tx.query(`delete from ${schema}.scim_alias where source = $1 and id = $2 and subject = any ($3::bytea[])`, [
    source,
    id,
    subjects,
  ]);
}

const columnsOf = (run: readonly Membership[]): [string[], string[], string[]] => [
  run.map(({ source }) => source),
  run.map(({ group }) => group),
  run.map(({ user }) => user),
];

async function addMembers(tx: ClientBase, schema: string, run: readonly Membership[]): Promise<void> {
  await tx.query(
    `insert into ${schema}.scim_member (source, group_id, user_id)
     select source, group_id, user_id from unnest($1::text[], $2::text[], $3::text[]) as m (source, group_id, user_id)
     where not exists (select from ${schema}.scim_resource r
       where r.source = m.source and r.deleted and ((r.kind, r.id) = ('User', m.user_id) or (r.kind, r.id) = ('Group', m.group_id)))
     on conflict do nothing`,
    columnsOf(run),
  );
}

async function removeMembers(tx: ClientBase, schema: string, run: readonly Membership[]): Promise<void> {
  await tx.query(
    `delete from ${schema}.scim_member m
     using unnest($1::text[], $2::text[], $3::text[]) as gone (source, group_id, user_id)
     where m.source = gone.source and m.group_id = gone.group_id and m.user_id = gone.user_id`,
    columnsOf(run),
  );
}

/** Reads of the projection. */
import type { Database } from '../../platform/database.js';
import type { Kind } from './schema.js';

export interface ResourceRow {
  readonly kind: Kind;
  readonly id: string;
  readonly version: bigint;
  /** Null for groups. */
  readonly active: boolean | null;
  readonly deleted: boolean;
  /** The pseudonym of a user; null for groups. */
  readonly subject: Buffer | null;
  /** What tokens call a group; null for users. */
  readonly claim: string | null;
  readonly record: Buffer;
  readonly createdAtUs: bigint;
  readonly modifiedAtUs: bigint;
}

const COLUMNS = `r.kind, r.id, r.version, r.active, r.deleted, r.subject, r.claim, r.record,
  r.created_at_us as "createdAtUs", r.modified_at_us as "modifiedAtUs"`;

export class ScimStore {
  constructor(private readonly database: Database) {}

  /** Deleted ones included. */
  async find(source: string, kind: Kind, id: string): Promise<ResourceRow | undefined> {
    return (await this.findAll(source, kind, [id]))[0];
  }

  /** Those of these ids that there are, in the order of lists; deleted ones included. */
  async findAll(source: string, kind: Kind, ids: readonly string[]): Promise<ResourceRow[]> {
    const { rows } = await this.database.query<ResourceRow & { made_at_index: bigint }>(
      `select ${COLUMNS} from keelson.scim_resource r
       where r.source = $1 and r.kind = $2 and r.id = any ($3::text[]) order by r.made_at_index`,
      [source, kind, ids],
    );
    return rows;
  }

  /** Whoever has this name, the newest first; deleted ones included. */
  async findNamed(source: string, kind: Kind, attribute: string, digest: Buffer): Promise<ResourceRow[]> {
    const { rows } = await this.database.query<ResourceRow>(
      `select ${COLUMNS} from keelson.scim_name n
       join keelson.scim_resource r on (r.source, r.kind, r.id) = (n.source, n.kind, n.id)
       where n.source = $1 and n.kind = $2 and n.attribute = $3 and n.digest = $4 order by r.made_at_index desc`,
      [source, kind, attribute, digest],
    );
    return rows;
  }

  /** Groups that are called so in tokens. */
  async findClaim(source: string, claim: string): Promise<ResourceRow[]> {
    const { rows } = await this.database.query<ResourceRow>(
      `select ${COLUMNS} from keelson.scim_resource r
       where r.source = $1 and r.kind = 'Group' and not r.deleted and r.claim = $2`,
      [source, claim],
    );
    return rows;
  }

  async count(source: string, kind: Kind): Promise<number> {
    const { rows } = await this.database.query<{ count: bigint }>(
      `select count(*) from keelson.scim_resource where source = $1 and kind = $2 and not deleted`,
      [source, kind],
    );
    return Number(rows[0]!.count);
  }

  async list(source: string, kind: Kind, offset: number, limit: number): Promise<ResourceRow[]> {
    const { rows } = await this.database.query<ResourceRow>(
      `select ${COLUMNS} from keelson.scim_resource r where r.source = $1 and r.kind = $2 and not r.deleted
       order by r.made_at_index, r.id offset $3 limit $4`,
      [source, kind, offset, limit],
    );
    return rows;
  }

  async membersOf(source: string, group: string): Promise<string[]> {
    const { rows } = await this.database.query<{ user_id: string }>(
      `select user_id from keelson.scim_member where source = $1 and group_id = $2 order by user_id`,
      [source, group],
    );
    return rows.map(({ user_id }) => user_id);
  }

  /** By user, the groups they are in. */
  async groupsOf(source: string, users: readonly string[]): Promise<Map<string, string[]>> {
    const { rows } = await this.database.query<{ user_id: string; group_id: string }>(
      `select user_id, group_id from keelson.scim_member where source = $1 and user_id = any ($2::text[])
       order by user_id, group_id`,
      [source, users],
    );
    const groups = new Map<string, string[]>(users.map((user) => [user, []]));
    for (const { user_id, group_id } of rows) groups.get(user_id)?.push(group_id);
    return groups;
  }

  /** Pseudonyms that a source has linked to a user. */
  async aliasesOf(source: string, id: string): Promise<Buffer[]> {
    const { rows } = await this.database.query<{ subject: Buffer }>(
      `select subject from keelson.scim_alias where source = $1 and id = $2`,
      [source, id],
    );
    return rows.map(({ subject }) => subject);
  }

  /** Which users a source has linked these pseudonyms to. */
  async aliasHolders(
    source: string,
    subjects: readonly Buffer[],
  ): Promise<{ readonly subject: Buffer; readonly id: string }[]> {
    const { rows } = await this.database.query<{ subject: Buffer; id: string }>(
      `select subject, id from keelson.scim_alias where source = $1 and subject = any ($2::bytea[])`,
      [source, subjects],
    );
    return rows;
  }
}

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { KeelsonError } from '../core/error.js';

/** Owns schema and tables, can't log in: migrations become it. */
export const OWNER_ROLE = 'keelson_owner';
/** The service. May do what the migrations grant, and nothing else. */
export const WRITER_ROLE = 'keelson_writer';

/** `keelson` holds everything but the tables of projections, which the service makes, and may drop, by itself. */
const SCHEMAS = ['keelson', 'keelson_search', 'keelson_identity'] as const;

const VERSION_MIN = 150_000;

/**
 * Makes the two roles and the schema where they are missing, and ends as the owner role (`set role`). Needs a superuser, or a role that
 * may create roles and schemas, the first time; afterwards a member of `keelson_owner`.
 *
 * @param writerPassword given to `keelson_writer` only when the role is made here; otherwise the role is left as it is.
 * @throws KeelsonError `database_too_old`, `invalid_config` (this role may not do that).
 */
export async function prepareRoles(client: pg.Client, writerPassword?: string): Promise<void> {
  await requireVersion(client);
  try {
    await makeRole(client, OWNER_ROLE, 'nologin');
    const login = writerPassword === undefined ? 'nologin' : `login password '${scramVerifier(writerPassword)}'`;
    await makeRole(client, WRITER_ROLE, login);
    for (const schema of SCHEMAS) {
      const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema]);
      if (!rowCount) await client.query(`create schema ${schema} authorization ${OWNER_ROLE}`);
    }
    await client.query(`set role ${OWNER_ROLE}`);
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    throw new KeelsonError(
      'invalid_config',
      `the role of KEELSON_MIGRATION_URL may not prepare this database (${(error as Error).message}). Use a superuser for the first start, ` +
        `or run as one: create role ${OWNER_ROLE} nologin; create role ${WRITER_ROLE} login password '…'; ` +
        SCHEMAS.map((schema) => `create schema ${schema} authorization ${OWNER_ROLE}; `).join('') +
        `grant ${OWNER_ROLE} to <your migration role>`,
      { cause: error },
    );
  }
}

async function requireVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  );
  const version = rows[0]!.version;
  if (version < VERSION_MIN) {
    throw new KeelsonError(
      'database_too_old',
      `PostgreSQL ${Math.floor(version / 10_000)} is too old: Keelson needs 15 or newer`,
    );
  }
}

/** Roles belong to the whole cluster, so another database's migration may be making the same one now. */
async function makeRole(client: pg.Client, role: string, attributes: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
  if (rowCount) return;
  try {
    await client.query(`create role ${role} ${attributes}`);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== '42710' && code !== '23505') throw error;
    return;
  }
  // A superuser needs no membership; another creator was given the right to grant it.
  await client.query(
    `do $$ begin if not (select rolsuper from pg_roles where rolname = current_user) then
       execute format('grant ${role} to %I', current_user); end if; end $$`,
  );
}

/**
 * What Postgres stores of a password (RFC 5803, SCRAM-SHA-256): sent instead of the password, so that it appears in no statement log.
 * The password must be ASCII, for which SASLprep (RFC 4013) changes nothing.
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16), iterations = 4096): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

/**
 * The service must not be able to change what is for ever: refuses a superuser and the owner of the tables.
 *
 * @throws KeelsonError `invalid_config`, saying what to do.
 */
export async function requireWriterRole(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  const { rows } = await client.query<{ role: string; superuser: boolean; owner: boolean }>(
    `select current_user as role, rolsuper as superuser, pg_has_role(current_user, '${OWNER_ROLE}', 'member') as owner
     from pg_roles where rolname = current_user`,
  );
  const { role, superuser, owner } = rows[0]!;
  if (!superuser && !owner) return;
  throw new KeelsonError(
    'invalid_config',
    `KEELSON_DATABASE_URL logs in as ${role}, ${superuser ? 'a superuser' : 'which may become the owner of the tables'}: ` +
      `then Postgres could not keep the ledger append-only. Log in as ${WRITER_ROLE} (alter role ${WRITER_ROLE} login password '…'), ` +
      'and give the stronger role to KEELSON_MIGRATION_URL only',
  );
}

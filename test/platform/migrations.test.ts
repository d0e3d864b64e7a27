import { hash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { migrate, requireMigrated } from '../../src/platform/migrations.js';
import { requireWriterRole, scramVerifier } from '../../src/platform/roles.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { describeSchema } from './schema-text.js';

const opened: TestDatabase[] = [];
async function open(options?: { migrated?: boolean }): Promise<TestDatabase> {
  const database = await createDatabase(options);
  opened.push(database);
  return database;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.drop()));
});

const names = (await readdir(new URL('../../migrations', import.meta.url)))
  .filter((name) => name.endsWith('.sql'))
  .map((name) => name.slice(0, -4))
  .sort();

describe('migrations', () => {
  test('concurrent starts run each migration once', async () => {
    const { adminUrl: url, database } = await open({ migrated: false });
    const runs = await Promise.all(Array.from({ length: 5 }, () => migrate({ url })));
    expect(runs.map((run) => run.length).sort()).toEqual([0, 0, 0, 0, names.length]);
    const { rows } = await database.query<{ name: string }>('select name from keelson.migration order by id');
    expect(rows.map(({ name }) => name)).toEqual(names);
  });

  test('refuse a database that a newer version has used', async () => {
    const { adminUrl: url, database, tamper } = await open();
    await tamper(`insert into keelson.migration (name, run_on) values ('9999_future', now())`);
    await expect(migrate({ url })).rejects.toMatchObject({ code: 'database_too_new' });
    await expect(requireMigrated(database.pool)).rejects.toMatchObject({ code: 'database_too_new' });
  });

  test('a service that may not migrate says that it should be done', async () => {
    const behind = await open();
    await behind.tamper('delete from keelson.migration where name = $1', [names.at(-1)]);
    await expect(requireMigrated(behind.database.pool)).rejects.toMatchObject({ code: 'database_too_old' });
    const empty = await open({ migrated: false });
    await expect(requireMigrated(empty.database.pool)).rejects.toMatchObject({ code: 'database_too_old' });
    const current = await open();
    await expect(requireMigrated(current.database.pool)).resolves.toBeUndefined();
  });

  test('a role without the right to is told, and nothing is left behind', async () => {
    const { url, tamper } = await open({ migrated: false });
    await expect(migrate({ url })).rejects.toMatchObject({ code: 'invalid_config' });
    const { rows } = await tamper(`select from pg_namespace where nspname = 'keelson'`);
    expect(rows).toEqual([]);
  });

  test('a role of one’s own that may become the owner is enough', async () => {
    const { adminUrl, tamper, name } = await open({ migrated: false });
    const role = `migrator_${name}`;
    await tamper(
      `create role ${role} login password 'm'; grant keelson_owner to ${role}; create schema keelson authorization keelson_owner; create schema keelson_search authorization keelson_owner; create schema keelson_identity authorization keelson_owner`,
    );
    const url = new URL(adminUrl);
    url.username = role;
    url.password = 'm';
    expect(await migrate({ url: url.href })).toEqual(names);
    await tamper(`drop role ${role}`);
  });

  test('are never edited once released: a database that ran one does not run it again', async () => {
    const file = new URL('./snapshots/migrations.json', import.meta.url);
    const released = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
    for (const [name, sha256] of Object.entries(released)) {
      const text = await readFile(new URL(`../../migrations/${name}.sql`, import.meta.url));
      expect(hash('sha256', text), name).toBe(sha256);
    }
  });

  test('make the schema that the snapshot shows (UPDATE_SNAPSHOTS=1 writes it)', async () => {
    const { adminUrl } = await open();
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    const text = await describeSchema(client).finally(() => client.end());
    const file = new URL('./snapshots/schema.txt', import.meta.url);
    if (process.env.UPDATE_SNAPSHOTS) await writeFile(file, text);
    expect(text).toBe(await readFile(file, 'utf8'));
  });

  test('leave nothing of keelson’s to everybody, and everything to the owner role', async () => {
    const { tamper } = await open();
    const { rows } = await tamper(
      `select relname, relowner::regrole::text as owner, relacl::text as acl from pg_class
       where relnamespace = 'keelson'::regnamespace and relkind in ('r', 'p', 'S', 'v', 'm')`,
    );
    expect(rows.length).toBeGreaterThan(1);
    for (const { owner, acl } of rows as { owner: string; acl: string | null }[]) {
      expect(owner).toBe('keelson_owner');
      expect(acl ?? '').not.toMatch(/[{,]=/);
    }
  });
});

describe('roles', () => {
  test('the service refuses to run as superuser or as one who may become the owner', async () => {
    const { adminUrl, database, open: more, tamper, name } = await open();
    await expect(requireWriterRole(database.pool)).resolves.toBeUndefined();
    await expect(requireWriterRole(more({ url: adminUrl }).pool)).rejects.toMatchObject({ code: 'invalid_config' });
    const role = `owner_${name}`;
    await tamper(`create role ${role} login password 'o' in role keelson_owner`);
    const url = new URL(adminUrl);
    url.username = role;
    url.password = 'o';
    await expect(requireWriterRole(more({ url: url.href }).pool)).rejects.toMatchObject({ code: 'invalid_config' });
    await tamper(`alter role ${role} nologin`);
  });

  test('a password is sent as its SCRAM verifier, with which Postgres lets in', async () => {
    // As PostgreSQL makes it for the password "pencil" and this salt.
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    expect(scramVerifier('pencil', salt)).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
    const { adminUrl, open: more, tamper, name } = await open();
    const role = `login_${name}`;
    await tamper(`create role ${role} login password '${scramVerifier('open sesame')}'`);
    const url = new URL(adminUrl);
    url.username = role;
    url.password = 'open sesame';
    expect((await more({ url: url.href }).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await tamper(`drop role ${role}`).catch(() => tamper(`alter role ${role} nologin`));
  });
});

describe('the installation row', () => {
  test('can be written once and never changed', async () => {
    const { database, tamper } = await open();
    const values = `('x', 'g1', '${'0'.repeat(64)}', '${'0'.repeat(32)}', '${'0'.repeat(32)}', 1, 1, 0)`;
    const columns =
      '(ledger_name, generation, signing_public_key, encryption_key_fingerprint, mac_key_fingerprint, decisions_partitions, activity_partitions, made_at_us)';
    const insert = `insert into keelson.installation ${columns} values ${values}`;
    await database.query(insert);
    await expect(database.query(insert)).rejects.toMatchObject({ code: '23505' });
    await expect(database.query(`update keelson.installation set ledger_name = 'y'`)).rejects.toMatchObject({
      code: '42501',
    });
    for (const change of [
      `update keelson.installation set ledger_name = 'y'`,
      'delete from keelson.installation',
      'truncate keelson.installation',
    ]) {
      await expect(tamper(`set session_replication_role = replica; ${change}`)).rejects.toMatchObject({
        code: '42501',
      });
    }
  });
});

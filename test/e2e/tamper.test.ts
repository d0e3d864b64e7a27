import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { runKeelson, startServer, type Ran, type ServerProcess } from '../support/server.js';

const LOG = 'decisions/0/g1';
const EVENTS = 700;

let database: TestDatabase;
let server: ServerProcess;
let folder: string;
let kept: string;
let env: Record<string, string>;
let log: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-tamper-'));
  kept = join(folder, 'kept.txt');
  database = await createDatabase({ migrated: false });
  env = { KEELSON_DATABASE_URL: database.url, KEELSON_MIGRATION_URL: database.adminUrl };
  server = await startServer({ env });
  const admin = await Api.admin(server);
  env = { ...env, KEELSON_URL: server.url, KEELSON_TOKEN: admin.token, KEELSON_DATA: server.dataFolder };
  const events = Array.from({ length: EVENTS }, (_, n) => ({
    id: `e${n}`,
    timestamp: '2026-11-23T10:00:00Z',
    decision: 'allow',
  }));
  for (const part of [events.slice(0, 650), events.slice(650)]) {
    const { body } = await admin.post<{ items: Json[] }>('/v1/decisions', part, { prefer: 'wait=30' });
    expect(body.items.every(({ log, index }) => log === LOG && index !== undefined)).toBe(true);
  }
  const { rows } = await database.tamper('select id from keelson.log where path = $1', [LOG]);
  log = (rows as { id: number }[])[0]!.id;
  const clean = await verify('--keep', kept);
  expect(clean.code, clean.stdout + clean.stderr).toBe(0);
  expect((await fsck()).code).toBe(0);
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

const verify = async (...args: string[]): Promise<Ran> => {
  const key = await runKeelson(['keys', '--ledger'], { env });
  return runKeelson(['verify', '--key', key.stdout.trim(), '--json', ...args], { env });
};
const fsck = (): Promise<Ran> => runKeelson(['fsck', '--json'], { env });

/** Changes the ledger as only a superuser can; the triggers are back afterwards. */
async function change(table: string, sql: string, values: unknown[]): Promise<void> {
  await database.tamper(`alter table keelson.${table} disable trigger all`);
  try {
    const { rowCount } = await database.tamper(sql, values);
    expect(rowCount).toBeGreaterThan(0);
  } finally {
    await database.tamper(`alter table keelson.${table} enable trigger all`);
  }
}

interface Row {
  first_index: bigint;
  entries: Buffer;
}

async function pageOf(index: bigint): Promise<{ firstIndex: bigint; entries: Buffer }> {
  const { rows } = await database.tamper(
    'select first_index::int8, entries from keelson.page where log = $1 and first_index <= $2 order by first_index desc limit 1',
    [log, index],
  );
  const [{ first_index, entries }] = rows as [Row];
  return { firstIndex: BigInt(first_index), entries };
}

const putPage = (firstIndex: bigint, entries: Buffer): Promise<void> =>
  change('page_0', 'update keelson.page_0 set entries = $3 where log = $1 and first_index = $2', [
    log,
    firstIndex,
    entries,
  ]);

/** The entries of a page with their length prefixes. */
function split(entries: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < entries.length;) {
    const end = at + 2 + entries.readUInt16BE(at);
    parts.push(entries.subarray(at, end));
    at = end;
  }
  return parts;
}

interface Place {
  log?: string;
  index?: number | string;
  code?: string;
  tile?: string;
}

/** Both checks fail, and each names what and where. */
async function expectFound(place: Place, code: string, fsckIndex = place.index): Promise<void> {
  const verified = await verify('--since', kept);
  expect(verified.code, verified.stdout + verified.stderr).toBe(1);
  const { findings } = JSON.parse(verified.stdout) as { findings: Place[] };
  expect(findings).toContainEqual(expect.objectContaining({ ...place, code }));

  const checked = await fsck();
  expect(checked.code, checked.stdout + checked.stderr).toBe(1);
  const { findings: found } = JSON.parse(checked.stdout) as { findings: Place[] };
  const expected = { log: place.log, ...(fsckIndex === undefined ? {} : { index: fsckIndex }) };
  expect(found).toContainEqual(expect.objectContaining(expected));
}

describe('a superuser who changes', () => {
  it('one byte of an entry', async () => {
    const { firstIndex, entries } = await pageOf(300n);
    const parts = split(entries);
    const target = parts[Number(300n - firstIndex)]!;
    const changed = Buffer.from(entries);
    changed[target.byteOffset - entries.byteOffset + target.length - 1]! ^= 1;
    await putPage(firstIndex, changed);
    try {
      await expectFound({ log: LOG, index: 300 }, 'entry_changed');
    } finally {
      await putPage(firstIndex, entries);
    }
  });

  it('the order of two entries', async () => {
    const { firstIndex, entries } = await pageOf(400n);
    const parts = split(entries);
    [parts[1], parts[2]] = [parts[2]!, parts[1]!];
    await putPage(firstIndex, Buffer.concat(parts));
    try {
      await expectFound({ log: LOG, index: Number(firstIndex) + 1 }, 'entry_moved');
    } finally {
      await putPage(firstIndex, entries);
    }
  });

  it('one byte of a tile', async () => {
    const flip = (): Promise<void> =>
      change(
        'tile',
        'update keelson.tile set hashes = set_byte(hashes, 100, get_byte(hashes, 100) # 1) where log = $1 and level = 0 and number = 1',
        [log],
      );
    await flip();
    try {
      await expectFound({ log: LOG, index: 259, tile: 'tile/0/001' }, 'tile_changed', 256);
    } finally {
      await flip();
    }
  });

  it('one byte of a checkpoint', async () => {
    const { rows } = await database.tamper(
      'select size, note from keelson.publication where log = $1 order by size desc limit 1',
      [log],
    );
    const [{ size, note }] = rows as [{ size: string; note: string }];
    const root = note.split('\n')[2]!;
    const other = (root.startsWith('A') ? 'B' : 'A') + root.slice(1);
    const put = (text: string): Promise<void> =>
      change('publication', 'update keelson.publication set note = $3 where log = $1 and size = $2', [log, size, text]);
    await put(note.replace(root, other));
    try {
      await expectFound({ log: LOG }, 'bad_signature', Number(size));
    } finally {
      await put(note);
    }
  });

  it('the last entries away', async () => {
    const { firstIndex } = await pageOf(BigInt(EVENTS));
    const saved = await save(firstIndex);
    await drop(firstIndex);
    try {
      await expectFound({ log: LOG, index: 512 }, 'tile_missing', Number(firstIndex));
    } finally {
      await putBack(saved);
    }
  });

  it('nothing leaves both checks clean', async () => {
    expect((await verify('--since', kept, '--only-new')).code).toBe(0);
    expect((await fsck()).code).toBe(0);
  });

  it('everything back to a state that once was, with its own signed checkpoint', async () => {
    const { rows } = await database.tamper(
      `select p.size::text, c.next_offset::text from keelson.publication p join keelson.checkpoint c using (log, size)
       where log = $1 order by p.size desc offset 1 limit 1`,
      [log],
    );
    const [before] = rows as [{ size: string; next_offset: string }];
    for (const [table, what] of [
      ['publication', 'size > $2'],
      ['page_0', 'first_index >= $2'],
      ['tile', '(number + 1) * 256 > $2'],
    ] as const) {
      await change(table, `with gone as (delete from keelson.${table} where log = $1 and ${what}) select 1`, [
        log,
        before.size,
      ]);
    }
    await change(
      'head',
      'update keelson.head set size = $2, next_offset = $3, last_offset = null, last_hash = null where log = $1',
      [log, before.size, before.next_offset],
    );
    await change('checkpoint', 'delete from keelson.checkpoint where log = $1 and size > $2', [log, before.size]);
    await expectFound({ log: LOG, index: Number(before.size) }, 'log_shrunk');
  });
});

const save = async (from: bigint): Promise<unknown[][]> => {
  const { rows } = await database.tamper(
    'select first_index, count, log, entries from keelson.page_0 where log = $1 and first_index >= $2',
    [log, from],
  );
  return (rows as Record<string, unknown>[]).map((row) => [row.first_index, row.count, row.log, row.entries]);
};
const drop = (from: bigint): Promise<void> =>
  change('page_0', 'delete from keelson.page_0 where log = $1 and first_index >= $2', [log, from]);
const putBack = async (rows: unknown[][]): Promise<void> => {
  for (const row of rows) {
    await change(
      'page_0',
      'insert into keelson.page_0 (first_index, count, log, entries) values ($1, $2, $3, $4)',
      row,
    );
  }
};

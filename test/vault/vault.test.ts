import { createSecretKey, hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Vault } from '../../src/vault/index.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let db: TestDatabase;
const encryptionKey = createSecretKey(randomBytes(32));
const lookupKey = createSecretKey(randomBytes(32));
const open = (database = db.database, key = encryptionKey): Vault =>
  new Vault({ database, encryptionKey: key, lookupKey, cachedSubjects: 1_000, quarantineDays: 30 });
const person = (id: string, issuer = 'hr'): { issuer: string; id: string } => ({ issuer, id });

beforeAll(async () => {
  db = await createDatabase();
});
afterAll(() => db.drop());

async function count(table: string): Promise<number> {
  const { rows } = await db.tamper(`select count(*)::int as n from keelson.${table}`);
  return (rows[0] as { n: number }).n;
}

describe('subjects', () => {
  test('a person is one subject, in every process and after a restart; issuers and ids are byte-exact', async () => {
    const persons = [
      person('ann'),
      person('bob'),
      person('ann'),
      person('ann', 'idp'),
      person('Ann'),
      person('r', 'han'),
    ];
    const subjects = await open().subjectsFor(persons);
    expect(subjects[2]).toEqual(subjects[0]);
    expect(new Set(subjects.map(({ pseudonym }) => pseudonym.toString('hex'))).size).toBe(5);
    expect(await open().subjectsFor(persons)).toEqual(subjects);
  });

  test('many who make the same persons at once get the same subjects, and nothing is left over', async () => {
    const before = await count('subject');
    const vaults = Array.from({ length: 8 }, () => open());
    const names = Array.from({ length: 40 }, (_, i) => person(`racer ${i}`));
    const answers = await Promise.all(
      vaults.map(async (vault, i) => {
        const turned = i % 2 === 0 ? names : [...names].reverse();
        const subjects = await vault.subjectsFor(turned);
        return new Map(turned.map(({ id }, j) => [id, subjects[j]!.pseudonym.toString('hex')]));
      }),
    );
    for (const answer of answers) expect(answer.get('racer 7')).toBe(answers[0]!.get('racer 7'));
    for (const answer of answers) expect([...answer].sort()).toEqual([...answers[0]!].sort());
    expect((await count('subject')) - before).toBe(40);
  });

  test('keys come back by pseudonym; a deleted subject has none, and is somebody new when it appears again', async () => {
    const [kept, gone] = (await open().subjectsFor([person('kept'), person('gone')])) as [
      { pseudonym: Buffer; key: Buffer },
      { pseudonym: Buffer; key: Buffer },
    ];
    await db.tamper('delete from keelson.subject where pseudonym = $1', [gone.pseudonym]);
    const keys = await open().keysOf([kept.pseudonym, gone.pseudonym]);
    expect([...keys]).toEqual([[kept.pseudonym.toString('hex'), kept.key]]);
    expect(await open().lookup('hr', 'gone')).toBeUndefined();
    const [own] = await open().newSubjects(1);
    const names = await open().identify([kept.pseudonym, gone.pseudonym, own!.pseudonym]);
    expect([...names]).toEqual([[kept.pseudonym.toString('hex'), person('kept')]]);
    const [again] = await open().subjectsFor([person('gone')]);
    expect(again!.pseudonym.equals(gone.pseudonym)).toBe(false);
  });

  test('a person whom an earlier version made without an identifier gets it when met again', async () => {
    const [old] = await open().subjectsFor([person('old')]);
    await db.tamper('alter table keelson.subject drop constraint subject_identifier_check');
    await db.tamper('update keelson.subject set identifier = null where pseudonym = $1', [old!.pseudonym]);
    await db.tamper(
      `alter table keelson.subject
         add constraint subject_identifier_check check ((identifier is null) = (kind = 'record')) not valid`,
    );
    expect(await open().identify([old!.pseudonym])).toEqual(new Map());
    const [again, other] = await open().subjectsFor([person('old'), person('new')]);
    expect(again).toEqual(old);
    const names = await open().identify([old!.pseudonym, other!.pseudonym]);
    expect([...names.values()].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([person('new'), person('old')]);
  });

  test('records of their own get subjects that nothing looks up', async () => {
    const vault = open();
    const lookups = await count('subject_lookup');
    const subjects = await Promise.all(Array.from({ length: 50 }, () => vault.newSubject()));
    expect(new Set(subjects.map(({ pseudonym }) => pseudonym.toString('hex'))).size).toBe(50);
    expect(await count('subject_lookup')).toBe(lookups);
    const keys = await open().keysOf(subjects.map(({ pseudonym }) => pseudonym));
    for (const { pseudonym, key } of subjects) expect(keys.get(pseudonym.toString('hex'))).toEqual(key);
  });

  test('look-ups find by issuer, and by any of several', async () => {
    const [hr, idp] = await open().subjectsFor([person('cleo'), person('cleo', 'idp')]);
    for (const vault of [open()]) {
      expect(await vault.lookup('hr', 'cleo')).toEqual(hr!.pseudonym);
      expect(await vault.lookup('hr', 'nobody')).toBeUndefined();
      const any = await vault.lookupAny(['hr', 'idp', 'other'], 'cleo');
      expect(any.map((p) => p.toString('hex')).sort()).toEqual(
        [hr, idp].map((s) => s!.pseudonym.toString('hex')).sort(),
      );
    }
  });

  test('neither names nor keys stand in the database', async () => {
    const [subject] = await open().subjectsFor([person('very-personal-name')]);
    const { rows } = await db.tamper(
      `select l::text || s::text as text from keelson.subject_lookup l join keelson.subject s using (pseudonym) where pseudonym = $1`,
      [subject!.pseudonym],
    );
    const { text } = rows[0] as { text: string };
    expect(text).toContain(subject!.pseudonym.toString('hex'));
    expect(text).not.toContain(Buffer.from('very-personal-name').toString('hex'));
    expect(text).not.toContain(subject!.key.toString('hex'));
  });

  test('another key-encryption key opens nothing', async () => {
    const [subject] = await open().subjectsFor([person('dora')]);
    const stranger = open(db.database, createSecretKey(randomBytes(32)));
    await expect(stranger.keysOf([subject!.pseudonym])).rejects.toMatchObject({ code: 'tampered' });
  });

  test('a wrapped key that was moved to another subject does not open', async () => {
    const [a, b] = await open().subjectsFor([person('move a'), person('move b')]);
    await db.tamper(
      `update keelson.subject set wrapped_key = (select wrapped_key from keelson.subject where pseudonym = $1) where pseudonym = $2`,
      [a!.pseudonym, b!.pseudonym],
    );
    await expect(open().keysOf([b!.pseudonym])).rejects.toMatchObject({ code: 'tampered' });
  });

  test('while the database is down, those in memory go on and others are refused', async () => {
    const database = db.open();
    const vault = open(database);
    const known = await vault.subjectsFor([person('eve')]);
    await vault.keysOf([known[0]!.pseudonym]);
    database.query = () => Promise.reject(Object.assign(new Error('down'), { code: 'database_unavailable' }));
    expect(await vault.subjectsFor([person('eve')])).toEqual(known);
    expect((await vault.keysOf([known[0]!.pseudonym])).size).toBe(1);
    await expect(vault.subjectsFor([person('eve'), person('new')])).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    await expect(Promise.all([vault.newSubject(), vault.newSubject()])).rejects.toMatchObject({
      code: 'database_unavailable',
    });
  });

  test('the service cannot change a subject, only make and delete it', async () => {
    await expect(db.database.query(`update keelson.subject set kind = 'record'`)).rejects.toMatchObject({
      code: '42501',
    });
  });
});

test('blobs are kept by content, once, and a changed one is noticed', async () => {
  const vault = open();
  const blobs = [1, 2].map(() => {
    const ciphertext = randomBytes(100_000);
    return { sha256: hash('sha256', ciphertext, 'buffer'), ciphertext };
  });
  await Promise.all([vault.blobs.put(blobs), vault.blobs.put([...blobs].reverse())]);
  const addresses = blobs.map(({ sha256 }) => sha256);
  const got = await vault.blobs.get([...addresses, randomBytes(32)]);
  expect([...got.values()].sort((a, b) => a.compare(b))).toEqual(
    blobs.map(({ ciphertext }) => ciphertext).sort((a, b) => a.compare(b)),
  );
  await db.tamper(
    `update keelson.blob set ciphertext = set_byte(ciphertext, 5, get_byte(ciphertext, 5) # 1) where sha256 = $1`,
    [addresses[0]],
  );
  await expect(vault.blobs.get(addresses)).rejects.toMatchObject({ code: 'tampered' });
});

describe('quarantine', () => {
  const refusal = (original: string, receivedAtUs: bigint, producer = 'gateway') => ({
    original: Buffer.from(original),
    reason: 'malformed_json',
    pointer: '/a\0b',
    producer,
    protocol: 'native',
    receivedAtUs,
  });

  test('originals come back by id, listed newest first in pages, encrypted meanwhile', async () => {
    const { quarantine } = open();
    const kept = await quarantine.put([
      refusal('{"first', 10n),
      refusal('{"second', 30n),
      refusal('{"third', 20n, 'other'),
    ]);
    expect(kept.map(({ digest }) => digest.toString('hex'))).toContain(hash('sha256', '{"second'));
    expect((await quarantine.get(kept[1]!.id)).original.toString()).toBe('{"second');
    expect(await quarantine.get(kept[1]!.id)).toMatchObject({ ...kept[1], pointer: '/a\ufffdb' });

    const first = await quarantine.list({ limit: 2 });
    expect(first.map(({ id }) => id)).toEqual([kept[1]!.id, kept[2]!.id]);
    expect((await quarantine.list({ limit: 2, after: first[1]! })).map(({ id }) => id)).toEqual([kept[0]!.id]);
    expect((await quarantine.list({ limit: 9, producer: 'other' })).map(({ id }) => id)).toEqual([kept[2]!.id]);
    expect(await quarantine.list({ limit: 9, reason: 'conflict' })).toEqual([]);

    const { rows } = await db.tamper('select original from keelson.quarantine where id = $1', [kept[0]!.id]);
    expect((rows[0] as { original: Buffer }).original.includes('first')).toBe(false);
  });

  test('what expired is deleted, and nothing else', async () => {
    const { quarantine } = open();
    const [old, young] = await quarantine.put([refusal('old', 1_000n), refusal('young', 2_000n)]);
    expect(await quarantine.purge(old!.expiresAtUs)).toBeGreaterThan(0);
    await expect(quarantine.get(old!.id)).rejects.toMatchObject({ code: 'not_found' });
    expect((await quarantine.get(young!.id)).original.toString()).toBe('young');
    await expect(quarantine.get('no uuid')).rejects.toMatchObject({ code: 'not_found' });
  });
});

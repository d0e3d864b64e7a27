import { afterAll, beforeAll, expect, it } from 'vitest';
import { boolArray, int2Array, int4Array, int8Array, textArray, uuidArray } from '../../src/platform/binary-array.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createDatabase();
});
afterAll(() => test.drop());

/** What the database reads, as text. */
async function read(type: string, array: Buffer): Promise<(string | null)[]> {
  const { rows } = await test.database.query<{ item: string | null }>(
    `select item::text from unnest($1::${type}[]) with ordinality as u (item, place) order by place`,
    [array],
  );
  return rows.map(({ item }) => item);
}

const texts = (items: readonly (number | bigint | null)[]): (string | null)[] =>
  items.map((item) => (item === null ? null : String(item)));

it('is read as it was meant, to the ends of each type, with and without nulls', async () => {
  const int8 = [
    0,
    1,
    -1,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    2 ** 53 - 1,
    -(2 ** 53),
    null,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ];
  const int4 = [0, -1, 2 ** 31 - 1, -(2 ** 31)];
  const int2 = [null, 32_767, -32_768];
  const text = ['', 'a"b\\c{},NULL', 'é😀', null, 'x'.repeat(70_000)];
  expect(await read('int8', int8Array(int8))).toEqual(texts(int8));
  expect(await read('int4', int4Array(int4))).toEqual(texts(int4));
  expect(await read('int2', int2Array(int2))).toEqual(texts(int2));
  expect(await read('bool', boolArray([true, null, false]))).toEqual(['true', null, 'false']);
  expect(await read('text', textArray(text))).toEqual(text);
  const uuid = '00112233-4455-6677-8899-aabbccddeeff';
  expect(await read('uuid', uuidArray([null, Buffer.from(uuid.replaceAll('-', ''), 'hex')]))).toEqual([null, uuid]);
});

it('may be empty', async () => {
  expect(await read('int8', int8Array([]))).toEqual([]);
  expect(await read('text', textArray([]))).toEqual([]);
});

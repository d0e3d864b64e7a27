import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Type } from 'typebox';
import { describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/platform/environment.js';

const schema = Type.Object({
  KEELSON_COUNT: Type.Integer({ default: 3, minimum: 1, maximum: 9 }),
  KEELSON_FLAG: Type.Boolean({ default: false }),
  KEELSON_KIND: Type.Union([Type.Literal('red'), Type.Literal('green')], { default: 'red' }),
  KEELSON_NAME: Type.Optional(Type.String({ pattern: '^[a-z]+$' })),
  KEELSON_PASSWORD: Type.Optional(Type.String({ secret: true, minLength: 3 })),
  KEELSON_NEEDED: Type.String(),
});
const needed = { KEELSON_NEEDED: 'x' };

describe('readEnvironment', () => {
  test('fills in defaults and leaves what is optional away', () => {
    expect(readEnvironment(schema, needed)).toEqual({
      values: { KEELSON_COUNT: 3, KEELSON_FLAG: false, KEELSON_KIND: 'red', KEELSON_NEEDED: 'x' },
      problems: [],
    });
  });

  test('converts', () => {
    const { values } = readEnvironment(schema, {
      ...needed,
      KEELSON_COUNT: '9',
      KEELSON_FLAG: '1',
      KEELSON_KIND: 'green',
      KEELSON_NAME: 'abc',
      HOME: '/root',
    });
    expect(values).toMatchObject({ KEELSON_COUNT: 9, KEELSON_FLAG: true, KEELSON_KIND: 'green', KEELSON_NAME: 'abc' });
  });

  test.each([
    ['KEELSON_COUNT', '10'],
    ['KEELSON_COUNT', '0'],
    ['KEELSON_COUNT', '3.5'],
    ['KEELSON_COUNT', '0x3'],
    ['KEELSON_COUNT', ' 3'],
    ['KEELSON_FLAG', 'yes'],
    ['KEELSON_KIND', 'blue'],
    ['KEELSON_NAME', 'ABC'],
    ['KEELSON_PASSWORD', 'ab'],
  ])('%s=%s is a problem that names it', (name, value) => {
    const { problems } = readEnvironment(schema, { ...needed, [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
  });

  test('tells all problems at once, and no secret', () => {
    const { problems } = readEnvironment(schema, { KEELSON_COUNT: 'many', KEELSON_PASSWORD: 'zq', KEELSON_CUONT: '4' });
    expect(problems).toHaveLength(4);
    expect(problems.join()).not.toContain('zq');
  });

  test('an empty variable is an absent one', () => {
    expect(readEnvironment(schema, { ...needed, KEELSON_COUNT: '', KEELSON_NAME: '' }).problems).toEqual([]);
  });

  test('an unknown variable is told, with the nearest name', () => {
    const { problems } = readEnvironment(
      schema,
      { ...needed, KEELSON_CUONT: '4', KEELSON_OTHER: 'x', KEELSON_MINE: '' },
      ['KEELSON_OTHER'],
    );
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain('KEELSON_COUNT');
  });

  test('a secret may come from a file, but not twice; other settings may not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-environment-'));
    const file = join(folder, 'password');
    await writeFile(file, 'from-file\n');
    expect(readEnvironment(schema, { ...needed, KEELSON_PASSWORD_FILE: file }).values.KEELSON_PASSWORD).toBe(
      'from-file',
    );
    const twice = { ...needed, KEELSON_PASSWORD_FILE: file, KEELSON_PASSWORD: 'direct' };
    expect(readEnvironment(schema, twice).problems).toHaveLength(1);
    expect(readEnvironment(schema, { ...needed, KEELSON_PASSWORD_FILE: join(folder, 'no') }).problems).toHaveLength(1);
    expect(readEnvironment(schema, { ...needed, KEELSON_NAME_FILE: file }).problems).toHaveLength(1);
    await rm(folder, { recursive: true });
  });
});

import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { formatSettings, readConfig, SETTINGS } from '../../src/config.js';

describe('the configuration', () => {
  test('needs nothing, and can not be changed', () => {
    const config = readConfig({});
    expect(config).toMatchObject({ KEELSON_HOST: '127.0.0.1', KEELSON_PORT: 8420 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('tells every problem at once', () => {
    const wrong = {
      KEELSON_PORT: 'http',
      KEELSON_PROT: '1',
      KEELSON_MIGRATION_URL: 'postgresql://x',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '3',
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
    };
    let message = '';
    try {
      readConfig(wrong);
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_config' });
      message = (error as Error).message;
    }
    expect(message.split('\n')).toHaveLength(4);
  });

  test('has no setting twice, and describes each', () => {
    const names = SETTINGS.flatMap(([, schema]) => Object.entries(schema.properties));
    expect(new Set(names.map(([name]) => name)).size).toBe(names.length);
    for (const [name, property] of names) {
      expect((property as { description?: string }).description, name).toMatch(/\S/);
    }
  });

  test('is what docs/settings.md says (npm run settings writes it)', async () => {
    expect(await readFile(new URL('../../docs/settings.md', import.meta.url), 'utf8')).toBe(formatSettings());
  });
});

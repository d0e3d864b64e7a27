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

  test('refuses limits under which a single upload would never be taken', () => {
    const uploads = { KEELSON_INTAKE_BODY_BYTES: '1048576', KEELSON_INTAKE_DECODED_BYTES: '1048576' };
    const memory = { KEELSON_HTTP_MEMORY_BYTES: '4194304' };
    expect(() => readConfig({ ...uploads, ...memory })).toThrow(/^KEELSON_HTTP_MEMORY_BYTES .* may take 12337152/);
    expect(() => readConfig({ ...uploads, ...memory, KEELSON_INTAKE_MAX_ITEMS: '1000' })).not.toThrow();
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

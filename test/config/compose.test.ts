import { access, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config.js';

interface Compose {
  services: Record<string, { environment: Record<string, string | number>; depends_on?: Record<string, unknown> }>;
  volumes: Record<string, unknown>;
}

const root = new URL('../../', import.meta.url);
const text = await readFile(new URL('docker-compose.yml', root), 'utf8');
const dockerfile = await readFile(new URL('.ci/Dockerfile', root), 'utf8');
const compose = parse(text) as Compose;

describe('docker-compose.yml', () => {
  test('names settings that exist, with values that are accepted', () => {
    const environment = Object.entries(compose.services['keelson']!.environment).map(([name, value]) => [
      name,
      String(value).replace(/\$\{\w+[^}]*\}/g, 'x'),
    ]);
    const config = readConfig(Object.fromEntries(environment) as Record<string, string>);
    // Compared with the parsed file, so that a setting that was renamed shows.
    for (const [name] of environment) expect(config).toHaveProperty(name!);
  });

  test('points them at the other services', () => {
    const { environment, depends_on } = compose.services['keelson']!;
    const hosts = [environment['KEELSON_DATABASE_URL'], environment['KEELSON_MIGRATION_URL']].map(
      (url) => new URL(String(url).replace(/\$\{\w+[^}]*\}/g, 'x')).hostname,
    );
    hosts.push(String(environment['KEELSON_KAFKA_BROKERS']).split(':')[0]!);
    for (const host of hosts) {
      expect(Object.keys(compose.services)).toContain(host);
      expect(Object.keys(depends_on!)).toContain(host);
    }
  });

  test('holds no secret', () => {
    for (const { environment } of Object.values(compose.services)) {
      for (const [name, value] of Object.entries(environment)) {
        if (/PASSWORD|_URL$/.test(name)) expect(String(value)).toMatch(/\$\{\w+:\?/);
      }
    }
  });
});

describe('the Dockerfile', () => {
  test('runs as a plain user and sets only settings that exist', () => {
    const lastUser = [...dockerfile.matchAll(/^USER (\S+)/gm)].at(-1)?.[1];
    expect(lastUser).toBe('node');
    const names = [...dockerfile.matchAll(/\b(KEELSON_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]);
    expect(names.length).toBeGreaterThan(0);
    expect(() => readConfig(Object.fromEntries(names) as Record<string, string>)).not.toThrow();
  });

  test('copies only what is in the repository', async () => {
    const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list]) => list!.split(' '));
    expect(sources.length).toBeGreaterThan(3);
    for (const source of sources) await access(new URL(source, root));
  });
});

/** The file that says whose evidence is believed: every problem named, and read again when anything of it changes. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigurationFile } from '../../../src/identity/registration/configuration-file.js';
import { readConfiguration } from '../../../src/identity/registration/configuration.js';
import { Evidence } from '../../../src/identity/registration/evidence.js';
import { systemClock } from '../../../src/platform/clock.js';
import { certificatePem, TrustDomain } from './authority.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-configuration-'));
  path = join(folder, 'registration.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (document: unknown, to = path): void =>
  writeFileSync(to, typeof document === 'string' ? document : JSON.stringify(document));

const pemOf = (type: 'ed25519' | 'x25519'): string =>
  (type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519')).publicKey
    .export({ type: 'spki', format: 'pem' })
    .toString();

it('is read as a whole', async () => {
  const domain = await TrustDomain.make('example.org');
  write(domain.bundle(), join(folder, 'bundle.json'));
  write(pemOf('ed25519'), join(folder, 'release.pem'));
  write(certificatePem(domain.root), join(folder, 'ca.pem'));
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  write({
    audiences: ['keelson.example'],
    trust_domains: { 'example.org': { bundle: 'bundle.json' } },
    signers: { release: { keys: [{ pem_file: 'release.pem' }, { jwk: { ...jwk, kid: 'k' } }], tools: ['a*'] } },
    clients: {
      ids: ['ci'],
      metadata_documents: ['https://a.example/*'],
      allow_networks: ['10.0.0.0/8', 'fd00::/8'],
      ca_file: 'ca.pem',
    },
    require: ['agent', 'tool'],
  });
  const read = readConfiguration(path);
  expect(read.bundles.get('example.org')!.authorities).toHaveLength(1);
  expect(read.signers.get('release')!.keys.map(({ kid, algorithm }) => [kid, algorithm])).toEqual([
    [undefined, 'EdDSA'],
    ['k', 'ES256'],
  ]);
  expect(read.clients!.networks.check('10.1.1.1')).toBe(true);
  expect([...read.required]).toEqual(['agent', 'tool']);
  expect(read.files).toEqual(
    ['registration.json', 'bundle.json', 'release.pem', 'ca.pem'].map((name) => join(folder, name)),
  );
});

it('may be empty', () => {
  write({});
  expect(readConfiguration(path)).toMatchObject({ clients: undefined, audiences: undefined });
});

describe('names every problem', () => {
  const problemsOf = (document: unknown): string => {
    write(document);
    try {
      readConfiguration(path);
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_config' });
      return (error as Error).message;
    }
    throw new Error('there was none');
  };

  it('that there is', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    write(pemOf('x25519'), join(folder, 'x25519.pem'));
    write('{', join(folder, 'broken.json'));
    const problems = problemsOf({
      trust_domains: { 'EXAMPLE.org': { bundle: 'nowhere.json' }, 'b.example': { bundle: 'broken.json' } },
      signers: {
        one: { keys: [{ jwk: privateKey.export({ format: 'jwk' }) }, { kid: 'neither' }] },
        two: { keys: [{ pem_file: 'x25519.pem' }, { jwk: { kty: 'oct', k: 'AAAA' } }] },
      },
      clients: {
        metadata_documents: ['http://a.example/', 'https://a.example'],
        allow_networks: ['10.0.0.0/33', 'here'],
        ca_file: 'no.pem',
      },
    }).split('\n');
    for (const at of [
      '/trust_domains/EXAMPLE.org: not the name',
      '/trust_domains/EXAMPLE.org: ENOENT',
      '/trust_domains/b.example',
      '/signers/one/keys/0: a private key',
      '/signers/one/keys/1',
      '/signers/two/keys/0',
      '/signers/two/keys/1',
      '/clients/metadata_documents/0',
      '/clients/metadata_documents/1',
      '/clients/allow_networks/0',
      '/clients/allow_networks/1',
      '/clients/ca_file',
    ]) {
      expect(
        problems.filter((problem) => problem.includes(at)),
        at,
      ).toHaveLength(1);
    }
    expect(problems).toHaveLength(12);
  });

  it.each<[string, unknown]>([
    ['no JSON', '{'],
    ['a member that is there twice', '{"require":[],"require":[]}'],
    ['no object', '[]'],
    ['an unknown member', { trustdomains: {} }],
    ['a member of another type', { clients: { ids: 'ci' } }],
    ['a requirement that nothing can meet', { require: ['agent'] }],
    [
      'an algorithm that is not the key’s',
      {
        signers: {
          s: { keys: [{ alg: 'RS256', jwk: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) }] },
        },
      },
    ],
    [
      'a short RSA key',
      {
        signers: {
          s: {
            keys: [{ jwk: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }) }],
          },
        },
      },
    ],
  ])('%s', (_, document) => expect(problemsOf(document)).toContain(path));

  it('a file that is not there', () => {
    expect(() => readConfiguration(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'invalid_config' }));
  });
});

describe('is read again', () => {
  const said: string[] = [];
  const logger = pino(
    { level: 'info' },
    {
      write: (line: string) => void said.push((JSON.parse(line) as { level: number }).level === 50 ? 'error' : 'info'),
    },
  );
  let metrics: Registry;
  const isValid = async (): Promise<number> =>
    (await metrics.getSingleMetric('keelson_registration_configuration_valid')!.get()).values[0]!.value;

  const open = (): ConfigurationFile => {
    said.length = 0;
    metrics = new Registry();
    return new ConfigurationFile({ path, logger, metrics });
  };

  it('when a bundle is swapped: the old key counts until then, the new one from then on', async () => {
    const [before, after] = [await TrustDomain.make('example.org'), await TrustDomain.make('example.org')];
    write(before.bundle(), join(folder, 'bundle.json'));
    write({ trust_domains: { 'example.org': { bundle: 'bundle.json' } } });
    const configuration = open();
    const evidence = new Evidence({ configuration, ledgerName: 'keelson.example', clock: systemClock, logger });
    const codeOf = async (domain: TrustDomain): Promise<unknown> => {
      const jwt = await domain.jwt('bot', 'keelson.example');
      const event = { type: 'agent.registered', agent: domain.id('bot'), agent_identity: { jwt_svid: jwt } };
      return (await evidence.check(event))!.code;
    };
    expect([await codeOf(before), await codeOf(after)]).toEqual([undefined, 'bad_signature']);
    // As a volume of Kubernetes does it: another file takes the name.
    write(after.bundle(), join(folder, 'next.json'));
    renameSync(join(folder, 'next.json'), join(folder, 'bundle.json'));
    await configuration.look();
    expect([await codeOf(before), await codeOf(after)]).toEqual(['bad_signature', undefined]);
  });

  it('and a broken one changes nothing, and is said once', async () => {
    write({ clients: { ids: ['ci'] } });
    const configuration = open();
    await configuration.look();
    write({ clients: { ids: ['ci', 'more'] }, oops: 1 });
    await configuration.look();
    await configuration.look();
    expect([...configuration.current.clients!.ids]).toEqual(['ci']);
    expect(said).toEqual(['error']);
    expect(await isValid()).toBe(0);
    rmSync(path);
    await configuration.look();
    expect(said).toEqual(['error', 'error']);
    write({ clients: { ids: ['more'] } });
    await configuration.look();
    expect([...configuration.current.clients!.ids]).toEqual(['more']);
    expect(await isValid()).toBe(1);
    expect(said).toEqual(['error', 'error', 'info']);
  });

  it('by itself', async () => {
    write({ clients: { ids: ['ci'] } });
    metrics = new Registry();
    const configuration = new ConfigurationFile({ path, logger, metrics, lookMs: 5 });
    configuration.start();
    try {
      write({ clients: { ids: ['other'] } });
      await expect.poll(() => [...configuration.current.clients!.ids]).toEqual(['other']);
    } finally {
      await configuration.close();
    }
  });
});

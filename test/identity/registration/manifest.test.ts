/** Manifests: signed as a JWS or alone, by whom may, over what the event says. */
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactSign, FlattenedSign } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Algorithm, Signer } from '../../../src/identity/registration/configuration.js';
import { findingOf, type Finding } from '../../../src/identity/registration/finding.js';
import { methodOf, verifyManifest, type Manifest } from '../../../src/identity/registration/manifest.js';

interface Key {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const ec = (namedCurve = 'P-256'): Key => generateKeyPairSync('ec', { namedCurve });
const keys: Record<Algorithm, Key> = {
  ES256: ec(),
  ES384: ec('P-384'),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
};
const signers = new Map<string, Signer>([
  ...Object.entries(keys).map(([algorithm, { publicKey }]): [string, Signer] => [
    algorithm,
    { keys: [{ kid: `kid-${algorithm}`, algorithm: algorithm as Algorithm, key: publicKey }], tools: undefined },
  ]),
  ['bound', { keys: [{ kid: 'bound-1', algorithm: 'ES256', key: ec().publicKey }], tools: ['read_*', 'exactly'] }],
]);

const MANIFEST = Buffer.from('{"name":"deploy","description":"deploys"}');
const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;

const check = (manifest: Partial<Manifest> & { signature: string }): Promise<Finding> =>
  findingOf(
    methodOf(manifest.signature),
    (known) => verifyManifest({ tool: 'deploy', digest: DIGEST, signer: undefined, ...manifest }, signers, known),
    (bug) => {
      throw bug;
    },
  );

const jws = (payload: Uint8Array, algorithm: Algorithm = 'ES256', header: object = {}): Promise<string> =>
  new CompactSign(payload)
    .setProtectedHeader({ alg: algorithm, kid: `kid-${algorithm}`, ...header })
    .sign(keys[algorithm].privateKey);

/** RFC 7515, appendix F. */
const withoutPayload = (whole: string): string => whole.replace(/\.[^.]*\./, '..');

describe('a JWS', () => {
  it.each(Object.keys(keys) as Algorithm[])(
    'holds with %s: over the manifest, its digest, or without a payload',
    async (algorithm) => {
      const good = { method: 'jws', keyId: `kid-${algorithm}`, manifestDigest: DIGEST };
      expect(await check({ signature: await jws(MANIFEST, algorithm) })).toEqual(good);
      expect(await check({ signature: await jws(Buffer.from(DIGEST), algorithm) })).toEqual(good);
      expect(await check({ signature: withoutPayload(await jws(Buffer.from(DIGEST), algorithm)) })).toEqual(good);
      expect(await check({ signature: await jws(MANIFEST, algorithm), digest: undefined })).toEqual(good);
      expect(await check({ signature: await jws(MANIFEST, algorithm), signer: algorithm })).toEqual(good);
    },
  );

  it('of another manifest', async () => {
    expect(await check({ signature: await jws(Buffer.from('{}')) })).toMatchObject({ code: 'wrong_digest' });
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(await check({ digest, signature: withoutPayload(await jws(Buffer.from(DIGEST))) })).toMatchObject({
      code: 'bad_signature',
    });
  });

  it('of another key, of another signer’s key, of none', async () => {
    const forged = await new CompactSign(MANIFEST)
      .setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256' })
      .sign(ec().privateKey);
    expect(await check({ signature: forged })).toMatchObject({ code: 'bad_signature' });
    expect(await check({ signature: await jws(MANIFEST), signer: 'RS256' })).toMatchObject({ code: 'unknown_key' });
    expect(await check({ signature: await jws(MANIFEST), signer: 'nobody' })).toMatchObject({ code: 'unknown_signer' });
    expect(await check({ signature: await jws(MANIFEST, 'ES256', { kid: undefined }) })).toMatchObject({
      code: 'unknown_key',
    });
  });

  it('with alg none, or with an HMAC under the public key', async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const none = `${part({ alg: 'none', kid: 'kid-ES256' })}.${MANIFEST.toString('base64url')}.`;
    expect(await check({ signature: none })).toMatchObject({ code: 'algorithm_not_allowed' });
    const secret = keys.RS256.publicKey.export({ type: 'spki', format: 'pem' });
    const hmac = await new CompactSign(MANIFEST)
      .setProtectedHeader({ alg: 'HS256', kid: 'kid-RS256' })
      .sign(Buffer.from(secret));
    expect(await check({ signature: hmac })).toMatchObject({ code: 'algorithm_not_allowed' });
  });

  it('with a payload that is not encoded (RFC 7797) is none of these', async () => {
    const { protected: head, signature } = await new FlattenedSign(Buffer.from(DIGEST))
      .setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256', b64: false, crit: ['b64'] })
      .sign(keys.ES256.privateKey);
    expect(await check({ signature: `${head!}..${signature}` })).toHaveProperty('code');
  });

  it.each(['.', '..', 'a.b', 'a.b.c', 'e30.e30.e30', '....', 'é.é.é'])('that is none: %s', async (signature) => {
    expect(await check({ signature })).toHaveProperty('code');
  });
});

describe('a signature alone', () => {
  const alone = (algorithm: Algorithm, text = DIGEST): string => {
    const hash = { RS256: 'sha256', PS256: 'sha256', ES256: 'sha256', ES384: 'sha384', EdDSA: null }[algorithm];
    const padding = algorithm === 'PS256' ? { padding: 6 } : {};
    return sign(hash, Buffer.from(text), { key: keys[algorithm].privateKey, ...padding }).toString('base64');
  };

  it.each(Object.keys(keys) as Algorithm[])('holds with %s', async (algorithm) => {
    expect(await check({ signature: alone(algorithm), signer: algorithm })).toEqual({
      method: 'detached',
      keyId: `kid-${algorithm}`,
      manifestDigest: DIGEST,
    });
  });

  it('as OpenSSL makes it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-openssl-'));
    try {
      writeFileSync(join(folder, 'digest'), DIGEST);
      const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { cwd: folder });
      openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'key.pem');
      openssl('pkey', '-in', 'key.pem', '-pubout', '-out', 'public.pem');
      const signature = openssl('dgst', '-sha256', '-sign', 'key.pem', 'digest').toString('base64');
      const key = createPublicKey(readFileSync(join(folder, 'public.pem')));
      const theirs = new Map([
        ['release', { keys: [{ kid: undefined, algorithm: 'ES256' as const, key }], tools: undefined }],
      ]);
      const known: { keyId?: string } = {};
      await verifyManifest({ tool: 'deploy', digest: DIGEST, signature, signer: 'release' }, theirs, known);
      expect(known.keyId).toBe('release');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('that does not hold', async () => {
    expect(await check({ signature: alone('ES256'), signer: 'RS256' })).toMatchObject({ code: 'bad_signature' });
    expect(await check({ signature: alone('ES256', 'sha256:'), signer: 'ES256' })).toMatchObject({
      code: 'bad_signature',
    });
    expect(await check({ signature: alone('ES256') })).toMatchObject({ code: 'unknown_signer' });
    expect(await check({ signature: alone('ES256'), signer: 'ES256', digest: undefined })).toMatchObject({
      code: 'malformed',
    });
    expect(await check({ signature: alone('ES256'), signer: 'ES256', digest: 'md5:00' })).toMatchObject({
      code: 'malformed',
    });
    expect(await check({ signature: 'no base64!', signer: 'ES256' })).toMatchObject({ code: 'malformed' });
    expect(await check({ signature: '', signer: 'ES256' })).toMatchObject({ code: 'malformed' });
  });
});

it('a signer signs the tools that are theirs', async () => {
  const signature = 'AAAA';
  const of = async (tool: string): Promise<unknown> => (await check({ tool, signature, signer: 'bound' })).code;
  expect([await of('read_mail'), await of('exactly')]).toEqual(['bad_signature', 'bad_signature']);
  expect([await of('deploy'), await of('exactly_not'), await of('*')]).toEqual(Array(3).fill('signer_not_allowed'));
  // Also where nobody is named, and the key says whose it is.
  const named = await new CompactSign(MANIFEST)
    .setProtectedHeader({ alg: 'ES256', kid: 'bound-1' })
    .sign(ec().privateKey);
  expect(await check({ signature: named })).toMatchObject({ code: 'signer_not_allowed' });
});

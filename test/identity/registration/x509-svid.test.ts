/** X.509-SVIDs: real chains, and everything that one may be instead. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseBundle, type Bundle } from '../../../src/identity/registration/bundle.js';
import { findingOf, type Finding } from '../../../src/identity/registration/finding.js';
import { verifyX509Svid } from '../../../src/identity/registration/x509-svid.js';
import { issue, KEY_USAGE, makePair, TrustDomain, type CertificateOptions, type Issued } from './authority.js';

let domain: TrustDomain;
let other: TrustDomain;
let bundles: Map<string, Bundle>;

beforeAll(async () => {
  domain = await TrustDomain.make('example.org');
  other = await TrustDomain.make('other.example');
  bundles = new Map([
    ['example.org', parseBundle(Buffer.from(domain.bundle()))],
    ['other.example', parseBundle(Buffer.from(other.bundle()))],
  ]);
});

const check = (
  chain: readonly string[],
  spiffeId = 'spiffe://example.org/bot',
  atMs = Date.now(),
  trusted: ReadonlyMap<string, Bundle> = bundles,
): Promise<Finding> =>
  findingOf(
    'x509_svid',
    (known) => verifyX509Svid(chain, { bundles: trusted, spiffeIds: [spiffeId], atMs }, known),
    (bug) => {
      throw bug;
    },
  );

const leaf = (options: Partial<CertificateOptions> = {}): Promise<Issued> => domain.leaf('bot', options);

describe('holds', () => {
  it('straight under the authority', async () => {
    const { x5c, certificate } = await leaf();
    expect(await check([x5c])).toEqual({
      method: 'x509_svid',
      detail: 'spiffe://example.org/bot',
      trustDomain: 'example.org',
      certificateFingerprint: hash('sha256', Buffer.from(x5c, 'base64'), 'hex'),
      expiresUs: BigInt(certificate.notAfter.value.getTime()) * 1000n,
    });
  });

  it('below intermediate ones, with or without the authority at the end', async () => {
    const upper = await domain.intermediate({ name: 'upper', pathLength: 1 });
    const lower = await domain.intermediate({
      name: 'lower',
      issuer: upper,
      pathLength: 0,
      uris: ['spiffe://example.org'],
    });
    const { x5c } = await leaf({ issuer: lower });
    expect(await check([x5c, lower.x5c, upper.x5c])).not.toHaveProperty('code');
    expect(await check([x5c, lower.x5c, upper.x5c, domain.root.x5c])).not.toHaveProperty('code');
  });

  it('below an authority that is one of a thousand of the same name', async () => {
    const twins = await Promise.all(
      Array.from({ length: 20 }, async () => issue({ name: domain.root.name, ca: true, pair: await makePair() })),
    );
    const keys = Array.from({ length: 999 }, (_, i) => ({ use: 'x509-svid', kty: 'EC', x5c: [twins[i % 20]!.x5c] }));
    const crowded = parseBundle(
      Buffer.from(JSON.stringify({ keys: [...keys, { use: 'x509-svid', kty: 'EC', x5c: [domain.root.x5c] }] })),
    );
    const { x5c } = await leaf();
    const finding = await check([x5c], undefined, undefined, new Map([['example.org', crowded]]));
    expect(finding).not.toHaveProperty('code');
  });

  it('as OpenSSL makes them, RSA and ECDSA', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-openssl-'));
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    try {
      for (const [kind, make] of [
        ['rsa', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
        ['ec', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']],
      ] as const) {
        openssl(...make, '-out', 'ca.key');
        openssl(...make, '-out', 'leaf.key');
        openssl(
          'req',
          '-x509',
          '-new',
          '-key',
          'ca.key',
          '-subj',
          `/O=${kind}`,
          '-days',
          '2',
          '-out',
          'ca.pem',
          '-addext',
          'basicConstraints=critical,CA:TRUE',
          '-addext',
          'keyUsage=critical,keyCertSign,cRLSign',
          '-addext',
          'subjectAltName=URI:spiffe://example.org',
        );
        openssl('req', '-new', '-key', 'leaf.key', '-subj', '/O=bot', '-out', 'leaf.csr');
        writeFileSync(
          join(folder, 'ext'),
          'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:spiffe://example.org/bot\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
        );
        openssl(
          'x509',
          '-req',
          '-in',
          'leaf.csr',
          '-CA',
          'ca.pem',
          '-CAkey',
          'ca.key',
          '-CAcreateserial',
          '-days',
          '1',
          '-extfile',
          'ext',
          '-out',
          'leaf.pem',
        );
        const der = (file: string): string =>
          new X509Certificate(readFileSync(join(folder, file))).raw.toString('base64');
        const made = parseBundle(
          Buffer.from(JSON.stringify({ keys: [{ use: 'x509-svid', kty: 'RSA', x5c: [der('ca.pem')] }] })),
        );
        const finding = await check([der('leaf.pem')], undefined, undefined, new Map([['example.org', made]]));
        expect(finding).toMatchObject({ trustDomain: 'example.org' });
        expect(finding, kind).not.toHaveProperty('code');
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the certificate', () => {
  const HOUR = 3_600_000;
  it.each<[string, Partial<CertificateOptions>, string]>([
    ['has expired', { notAfter: new Date(Date.now() - HOUR / 2) }, 'expired'],
    ['is not valid yet', { notBefore: new Date(Date.now() + HOUR / 2) }, 'not_yet_valid'],
    ['has two URI names', { uris: ['spiffe://example.org/bot', 'spiffe://example.org/root'] }, 'not_an_svid'],
    ['has two extensions of names', { moreNames: ['spiffe://example.org/root'] }, 'not_an_svid'],
    ['has no URI name', { uris: [] }, 'not_an_svid'],
    ['is an authority', { ca: true }, 'not_an_svid'],
    ['may sign certificates', { keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign }, 'not_an_svid'],
    ['may sign revocation lists', { keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.cRLSign }, 'not_an_svid'],
    ['may not sign', { keyUsage: 0x20 }, 'not_an_svid'],
    ['has no key usage', { keyUsage: undefined }, 'not_an_svid'],
    ['is for one side of TLS', { extended: ['1.3.6.1.5.5.7.3.1'] }, 'not_an_svid'],
    ['has an unknown critical extension', { critical: '1.3.6.1.4.1.99999.1' }, 'not_an_svid'],
    ['names the trust domain itself', { uris: ['spiffe://example.org'] }, 'not_an_svid'],
    ['has a path that SPIFFE does not allow', { uris: ['spiffe://example.org/../bot'] }, 'not_an_svid'],
    ['has a user in its name', { uris: ['spiffe://me@example.org/bot'] }, 'not_an_svid'],
    ['has capitals in its trust domain', { uris: ['spiffe://EXAMPLE.org/bot'] }, 'not_an_svid'],
    ['names no SPIFFE ID', { uris: ['https://example.org/bot'] }, 'not_an_svid'],
    ['is of an unknown trust domain', { uris: ['spiffe://unknown.example/bot'] }, 'unknown_trust_domain'],
    ['is of another trust domain than its issuer', { uris: ['spiffe://other.example/bot'] }, 'no_path'],
    ['is somebody else’s', { uris: ['spiffe://example.org/somebody'] }, 'wrong_subject'],
    ['is signed with SHA-1', { hash: 'SHA-1' }, 'algorithm_not_allowed'],
  ])('that %s', async (_, options, code) => {
    const { x5c } = await leaf(options);
    expect(await check([x5c])).toMatchObject({ code });
  });

  it('that another key signed', async () => {
    const { x5c } = await leaf({ forgedBy: await makePair() });
    expect(await check([x5c])).toMatchObject({ code: 'no_path' });
  });

  it('of which one bit was flipped, wherever', async () => {
    const { x5c } = await leaf();
    const der = Buffer.from(x5c, 'base64');
    for (let at = 0; at < der.length; at += 7) {
      const flipped = Buffer.from(der);
      flipped[at]! ^= 1 << (at % 8);
      expect(await check([flipped.toString('base64')]), `byte ${at}`).toHaveProperty('code');
    }
  });

  it.each([[''], ['!'], ['AAAA'], [Buffer.alloc(30_000, 0x30).toString('base64')]])(
    'that is none: %#',
    async (text) => {
      expect(await check([text])).toMatchObject({ code: 'malformed' });
    },
  );
});

describe('the chain', () => {
  it('has no certificate, a thousand, or 10 MB', async () => {
    const { x5c } = await leaf();
    expect(await check([])).toMatchObject({ code: 'malformed' });
    expect(await check(Array.from({ length: 1_000 }, () => x5c))).toMatchObject({ code: 'too_large' });
    expect(await check(['A'.repeat(10_000_000)])).toMatchObject({ code: 'too_large' });
  });

  it('names a certificate twice', async () => {
    const { x5c } = await leaf();
    expect(await check([x5c, x5c])).toMatchObject({ code: 'malformed' });
  });

  it('ends in an authority that is nobody’s', async () => {
    const root = await issue({ name: domain.root.name, ca: true });
    const { x5c } = await leaf({ issuer: root });
    expect(await check([x5c, root.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('goes over a certificate that may not sign', async () => {
    const upper = await leaf({ name: 'upper' });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('goes over one whose key may not sign certificates', async () => {
    const upper = await domain.intermediate({ keyUsage: KEY_USAGE.digitalSignature });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('goes over one with an unknown critical extension', async () => {
    const upper = await domain.intermediate({ critical: '1.3.6.1.4.1.99999.1' });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'not_an_svid' });
  });

  it('goes over one that has expired', async () => {
    const upper = await domain.intermediate({ notAfter: new Date(Date.now() - 1000) });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'expired' });
  });

  it('goes over one of another trust domain', async () => {
    const upper = await domain.intermediate({ uris: ['spiffe://other.example'] });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('is longer than a certificate in it allows', async () => {
    const upper = await domain.intermediate({ name: 'upper', pathLength: 0 });
    const lower = await domain.intermediate({ name: 'lower', issuer: upper });
    const { x5c } = await leaf({ issuer: lower });
    expect(await check([x5c, lower.x5c, upper.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('is under a name constraint of another trust domain', async () => {
    const upper = await domain.intermediate({ permitted: 'other.example' });
    const { x5c } = await leaf({ issuer: upper });
    expect(await check([x5c, upper.x5c])).toMatchObject({ code: 'no_path' });
    const fitting = await domain.intermediate({ permitted: 'example.org' });
    expect(await check([(await leaf({ issuer: fitting })).x5c, fitting.x5c])).not.toHaveProperty('code');
  });

  it('lacks a certificate, or has them in another order', async () => {
    const upper = await domain.intermediate({ name: 'upper' });
    const lower = await domain.intermediate({ name: 'lower', issuer: upper });
    const { x5c } = await leaf({ issuer: lower });
    expect(await check([x5c, lower.x5c])).toMatchObject({ code: 'no_path' });
    expect(await check([x5c, upper.x5c, lower.x5c])).toMatchObject({ code: 'no_path' });
  });

  it('ends in an authority that has expired', async () => {
    const root = await issue({ name: 'old', ca: true, notAfter: new Date(Date.now() - 1000) });
    const keys = [{ use: 'x509-svid', kty: 'EC', x5c: [root.x5c] }];
    const old = new Map([['example.org', parseBundle(Buffer.from(JSON.stringify({ keys })))]]);
    const { x5c } = await leaf({ issuer: root });
    expect(await check([x5c], undefined, undefined, old)).toMatchObject({ code: 'no_path' });
  });

  it('runs in a circle: two that signed each other', async () => {
    const [a, b] = [await makePair(), await makePair()];
    const underB = await issue({ name: 'a', pair: a, ca: true, issuer: { name: 'b', pair: b } as Issued });
    const underA = await issue({ name: 'b', pair: b, ca: true, issuer: { name: 'a', pair: a } as Issued });
    const { x5c } = await leaf({ issuer: underB });
    expect(await check([x5c, underB.x5c, underA.x5c])).toMatchObject({ code: 'no_path' });
  });
});

it('is judged by the time it was taken, not by that of now', async () => {
  const now = Date.now();
  const { x5c } = await leaf({ notAfter: new Date(now - 600_000) });
  expect(await check([x5c], undefined, now - 1_200_000)).not.toHaveProperty('code');
  expect(await check([x5c], undefined, now)).toMatchObject({ code: 'expired' });
});

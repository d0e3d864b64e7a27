import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  compileMasks,
  formatMask,
  parseJsonText,
  scrubSecrets,
  scrubText,
  stringifyJson,
  type JsonObject,
} from '../../src/events/index.js';

const digest = (secret: string): Buffer => createHmac('sha256', 'key').update(secret).digest();
const mark = (rule: string, secret: string): string => formatMask(rule, digest(secret));
const scrub = (value: unknown, pointers: string[] = []) => {
  const event = parseJsonText(JSON.stringify(value)) as JsonObject;
  const masked = scrubSecrets(event, digest, compileMasks(pointers));
  return {
    event: JSON.parse(stringifyJson(event)) as unknown,
    masked: masked.map(({ pointer, rule }) => [pointer, rule]),
  };
};
// Put together here, so that no scanner takes this file for a leak.
const of = (...parts: string[]): string => parts.join('');
const a = (n: number): string => 'aB3dE5gH'.repeat(Math.ceil(n / 8)).slice(0, n);

const JWT = of('eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiIxIn0', '.c2lnbmF0dXJl');
const PEM = of('-----BEGIN RSA PRIVATE', ' KEY-----\nMIIEow+/=\n-----END RSA PRIVATE', ' KEY-----');
const SECRETS: [rule: string, secret: string][] = [
  ['jwt', JWT],
  ['jwt', of('eyJhbGciOiJub25lIn0', '.eyJzdWIiOiIxIn0', '.')],
  ['jwt', of('ewogICJhbGciOiAiSFMyNTYiCn0', '.e30', '.c2ln')],
  ['jwt', of('eyJhbGciOiJSU0EtT0FFUCJ9', '.key.iv.text.tag')],
  ['pem', PEM],
  ['pem', of('-----BEGIN PRIVATE', ' KEY-----\nMIIEvg cut off')],
  ['aws', of('AKIA', 'IOSFODNN7EXAMPLE'.replaceAll(/[018]/g, 'A').slice(0, 16))],
  ['github', of('gh', 'p_', a(36))],
  ['github', of('github', '_pat_', a(60))],
  ['gitlab', of('gl', 'pat-', a(20))],
  ['slack', of('xo', 'xb-', '123456789012-', a(24))],
  ['stripe', of('sk', '_live_', a(24))],
  ['google', of('AI', 'za', a(35))],
  ['sk', of('sk', '-ant-api03-', a(40))],
  ['sk', of('sk', '-proj-', a(40))],
  ['npm', of('np', 'm_', a(36))],
  ['keelson', of('kl', 's_', a(49))],
  ['vault', of('hv', 's.', a(24))],
  ['age', of('AGE-SECRET', '-KEY-1', 'QPZRY9X8'.repeat(8).slice(0, 58))],
  ['atlassian', of('ATA', 'TT3', a(60), '=', a(8))],
  ['databricks', of('da', 'pi', '0123456789abcdef'.repeat(2))],
  ['docker', of('dckr', '_pat_', a(27))],
  ['grafana', of('gl', 'sa_', a(32), '_0a1b2c3d')],
  ['linear', of('lin', '_api_', a(40))],
  ['shopify', of('sh', 'pat_', '0123456789abcdef'.repeat(2))],
];

describe('scrubSecrets', () => {
  test.each(SECRETS)('%s: alone, in a text, in an array, in a name', (rule, secret) => {
    const m = mark(rule, secret);
    expect(scrub({ v: secret }).event).toEqual({ v: m });
    if (!secret.endsWith('cut off'))
      expect(scrub({ v: `before "${secret}" after` }).event).toEqual({ v: `before "${m}" after` });
    expect(scrub({ x: { 'a/b': [1, secret, { y: secret }] } })).toEqual({
      event: { x: { 'a/b': [1, m, { y: m }] } },
      masked: [
        ['/x/a~1b/1', rule],
        ['/x/a~1b/2/y', rule],
      ],
    });
    expect(scrub({ [secret]: { t: secret } }).event).toEqual({ [m]: { t: m } });
  });

  test('a secret in a name takes what was masked below it along', () => {
    const name = mark('jwt', JWT);
    expect(scrub({ o: { [JWT]: { t: JWT } } }).masked).toEqual([
      [`/o/${name}/t`, 'jwt'],
      [`/o/${name}`, 'jwt'],
    ]);
  });

  test('what configured pointers masked below a secret name goes along, too', () => {
    const name = mark('jwt', JWT);
    expect(scrub({ [JWT]: { pin: 1234 } }, ['/*/pin']).masked).toEqual([
      [`/${name}/pin`, 'configured'],
      [`/${name}`, 'jwt'],
    ]);
  });

  test('two names that differ in nothing but a secret and its mask are refused: one member would be lost', () => {
    const twice = { o: { [`of ${JWT}`]: 1, [`of ${mark('jwt', JWT)}`]: 2 } };
    expect(() => scrub(twice)).toThrow(
      expect.objectContaining({ code: 'duplicate_member', pointer: `/o/of ${JWT}` }) as Error,
    );
  });

  test('many secret names in one object: each is looked at once', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => of('Bearer ', a(24), String(i)));
    let looks = 0;
    const event = parseJsonText(JSON.stringify(Object.fromEntries(names.map((name) => [name, name])))) as JsonObject;
    const masked = scrubSecrets(event, (secret) => (looks++, digest(secret)));
    expect(masked).toHaveLength(40_000);
    expect(looks).toBe(40_000);
    expect(masked.every(({ pointer }) => pointer.startsWith('/Bearer [masked:'))).toBe(true);
  });

  test('credentials lose their secret part only', () => {
    expect(scrub({ h: `Authorization: Bearer ${a(32)}, x` }).event).toEqual({
      h: `Authorization: Bearer ${mark('bearer', a(32))}, x`,
    });
    expect(scrub({ h: `bearer ${JWT}` }).event).toEqual({ h: `bearer ${mark('jwt', JWT)}` });
    const basic = Buffer.from('user:pass').toString('base64');
    expect(scrub({ h: `Basic ${basic}` }).event).toEqual({ h: `Basic ${mark('basic', basic)}` });
    expect(scrub({ h: 'postgres://me:hunter2@db:5432/x' }).event).toEqual({
      h: `postgres://me:${mark('url', 'hunter2')}@db:5432/x`,
    });
  });

  test('private members of a JSON Web Key go, public ones stay', () => {
    const { event, masked } = scrub({ jwk: { kty: 'EC', x: 'x', d: 'secret' } });
    expect(event).toEqual({ jwk: { kty: 'EC', x: 'x', d: mark('jwk', 'secret') } });
    expect(masked).toEqual([['/jwk/d', 'jwk']]);
  });

  test('several in one text are each listed', () => {
    const key = of('gh', 'o_', a(36));
    expect(scrub({ t: `${JWT} and ${key}` })).toEqual({
      event: { t: `${mark('jwt', JWT)} and ${mark('github', key)}` },
      masked: [
        ['/t', 'jwt'],
        ['/t', 'github'],
      ],
    });
  });

  test.each([
    'The bearer of bad news uses basic authentication',
    'Basic training in a framework',
    'spiffe://company.com/agent/deploy-bot',
    'https://user@example.com/a:b',
    'risk-management-system-of-the-company',
    'sk-some-region-2-customer-bucket-name',
    '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----',
    'eyJhbGciOiJIUzI1NiJ9 is a header alone',
    '0190b5a4-7c3e-7d2f-8b1a-3c5d7e9f1a2b',
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  ])('%j is left alone', (text) =>
    expect(scrub({ text, [text]: 1 })).toEqual({ event: { text, [text]: 1 }, masked: [] }),
  );

  test('nothing is masked twice', () => {
    const once = scrub({ t: `x://u:${JWT}@h ${PEM} Bearer ${a(40)}` }).event as JsonObject;
    expect(scrub(once)).toEqual({ event: once, masked: [] });
  });

  test('configured pointers mask whatever is there', () => {
    const event = {
      a: { b: [{ pin: 1234 }, { pin: 'x' }, { other: 1 }, null] },
      c: 'plain',
      'd/e': { f: [1] },
      n: null,
    };
    expect(scrub(event, ['/a/b/*/pin', '/d~1e/*', '/missing/x', '/n', '/a/b/length', '/c/d'])).toEqual({
      event: {
        a: { b: [{ pin: mark('configured', '1234') }, { pin: mark('configured', 'x') }, { other: 1 }, null] },
        c: 'plain',
        'd/e': { f: mark('configured', '[1]') },
        n: null,
      },
      masked: [
        ['/a/b/0/pin', 'configured'],
        ['/a/b/1/pin', 'configured'],
        ['/d~1e/f', 'configured'],
      ],
    });
  });

  test('an id that travels alone is looked at, too', () => {
    const masked: Parameters<typeof scrubText>[3] = [];
    expect(scrubText(`id-${JWT}`, '/id', digest, masked)).toBe(`id-${mark('jwt', JWT)}`);
    expect(masked).toEqual([{ pointer: '/id', rule: 'jwt', digest: digest(JWT) }]);
  });

  // Any rule that were quadratic would need minutes for one of these.
  test('texts made to be slow are not', () => {
    const starts = [
      'eyJ',
      'eyJ.',
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN ',
      'Bearer ',
      'Basic a',
      '://a:',
      '://',
      'AKIA',
      'sk-',
      'sk-A',
      'gh',
      'ghp_',
      'xoxb-',
      'hooks.slack.com/services/',
      'SecretAccessKey = ',
      'SG.',
      'AIza',
      '-',
      ' ',
      'a',
      '://:',
      'eyJa.b.c.',
    ];
    for (const start of starts) {
      const text = start.repeat(Math.ceil(1_000_000 / start.length));
      scrub({ text });
      scrub({ text: `Bearer ://${text}` });
    }
  });
});

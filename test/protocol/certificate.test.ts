/** The file of a certificate: how it is written, to the byte, and that nothing else is read. What it proves: test/verify. */
import { describe, expect, it } from 'vitest';
import { formatBase64 } from '../../src/core/bytes.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import {
  looksLikeCertificate,
  openCertificate,
  readCertificateLedger,
  writeCertificate,
  type Certificate,
} from '../../src/protocol/certificate.js';
import { sign, SIGNATURE_BYTES } from '../../src/protocol/signed.js';
import { seed } from '../guard/support.js';

const LEDGER = 'ledger.example';
const signer = nodeSigner(seed('ledger'));
const hash = (name: string): string => formatBase64(seed(name));
const id = '0123456789abcdef'.repeat(2);

const full: Certificate = {
  ...{ ledger: LEDGER, order: id, issuedAt: '2026-11-28T08:00:00.123456Z', result: 'fenced', seq: 3 },
  cause: { log: 'lifecycle/0/g1', index: 0 },
  records: [
    { log: 'lifecycle/0/g1', index: 1 },
    { log: 'lifecycle/0/g1', index: 2 },
  ],
  closed: { log: 'activity/0/g1', index: 7 },
  reopened: [{ log: 'activity/0/g1', index: 9 }],
  instances: [
    { instance: id, point: 'gateway', status: 'acked', enrolled: { log: 'e', index: 4 }, ack: { log: 'a', index: 5 } },
    { instance: id, point: 'é "\u0001', status: 'absent' },
  ],
  tokens: {
    count: 2,
    shown: [
      { issuer: 'https://idp', token: 't-1', use: { log: 'd', index: 6 } },
      { issuer: '', token: 't-2' },
    ],
    asOf: [{ log: 'decisions/0/g1', size: 8 }],
  },
  watched: [{ log: 'decisions/0/g1', from: 1, size: 9 }],
  logs: [
    {
      log: 'lifecycle/0/g1',
      checkpoint: 'a note\n',
      entries: [
        { index: 0, entry: seed('entry').slice(0, 7), proof: [seed('a'), seed('b')] },
        { index: 1, entry: new Uint8Array(0), proof: [] },
      ],
    },
  ],
  says: { proved: ['p', 'q'], attested: ['a'], fenced: [], stated: ['s'] },
};

/** Members in order of their names, as they stand in the file. */
const document = {
  cause: { index: 0, log: 'lifecycle/0/g1' },
  closed: { index: 7, log: 'activity/0/g1' },
  format: 'keelson-certificate-v1',
  instances: [
    { ack: { index: 5, log: 'a' }, enrolled: { index: 4, log: 'e' }, instance: id, point: 'gateway', status: 'acked' },
    { instance: id, point: 'é "\u0001', status: 'absent' },
  ],
  issued_at: '2026-11-28T08:00:00.123456Z',
  ledger: LEDGER,
  logs: [
    {
      checkpoint: 'a note\n',
      entries: [
        { entry: formatBase64(seed('entry').slice(0, 7)), index: 0, proof: [hash('a'), hash('b')] },
        { entry: '', index: 1, proof: [] },
      ],
      log: 'lifecycle/0/g1',
    },
  ],
  order: id,
  records: [
    { index: 1, log: 'lifecycle/0/g1' },
    { index: 2, log: 'lifecycle/0/g1' },
  ],
  reopened: [{ index: 9, log: 'activity/0/g1' }],
  result: 'fenced',
  says: { attested: ['a'], fenced: [], proved: ['p', 'q'], stated: ['s'] },
  seq: 3,
  tokens: {
    as_of: [{ log: 'decisions/0/g1', size: 8 }],
    count: 2,
    shown: [
      { issuer: 'https://idp', token: 't-1', use: { index: 6, log: 'd' } },
      { issuer: '', token: 't-2' },
    ],
  },
  watched: [{ from: 1, log: 'decisions/0/g1', size: 9 }],
};

type Tree = Record<string, unknown>;
const OPTIONAL = /^\/(tokens|watched|instances\/\d\/(ack|enrolled)|tokens\/shown\/\d\/use)$/;

/** The file of a document, signed whatever it is. */
function fileOf(json: unknown): Uint8Array {
  const signed = sign(signer, 'certificate', LEDGER, Buffer.from(JSON.stringify(json)));
  const signature = formatBase64(signed.subarray(-SIGNATURE_BYTES));
  const members = Object.entries({ ...(json as Tree), signature }).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(`${JSON.stringify(Object.fromEntries(members))}\n`);
}

const open = (bytes: Uint8Array): Certificate => openCertificate({ ledger: LEDGER, verifier }, signer.publicKey, bytes);
const malformed = (pointer: string): unknown =>
  expect.objectContaining({ name: 'KeelsonError', code: 'malformed_certificate', pointer });

/** Every place of a document, and how to change it in a copy. */
function* placesOf(value: unknown, at = ''): Generator<[pointer: string, value: unknown]> {
  if (at !== '') yield [at, value];
  if (typeof value !== 'object' || value === null) return;
  for (const [name, one] of Object.entries(value)) yield* placesOf(one, `${at}/${name}`);
}
function changed(pointer: string, change: (parent: Tree, name: string) => void): Tree {
  const copy = structuredClone(document) as Tree;
  const names = pointer.split('/').slice(1);
  let parent = copy;
  for (const name of names.slice(0, -1)) parent = parent[name] as Tree;
  change(parent, names.at(-1)!);
  return copy;
}
const replaced = (pointer: string, value: unknown): Tree =>
  changed(pointer, (parent, name) => {
    parent[name] = value;
  });

describe('a certificate', () => {
  it('is its document in canonical JSON, signed without the signature, and a line break', () => {
    const file = writeCertificate(signer, full);
    expect(Buffer.from(file).toString()).toBe(Buffer.from(fileOf(document)).toString());
    expect(open(file)).toEqual(full);
    expect([looksLikeCertificate(file), readCertificateLedger(file)]).toEqual([true, LEDGER]);
    expect([new Uint8Array(0), Buffer.from('[]')].map(looksLikeCertificate)).toEqual([false, false]);
  });

  it('may say nothing of tokens and decisions, and hold nothing', () => {
    const { tokens, watched, ...rest } = full;
    const none = { ...rest, records: [], reopened: [], instances: [], logs: [] };
    expect(open(writeCertificate(signer, none))).toStrictEqual(none);
    const empty = { ...none, tokens: { ...tokens!, shown: [], asOf: [] }, watched: watched!.slice(1) };
    expect(open(writeCertificate(signer, empty))).toStrictEqual(empty);
  });

  it('is refused where anything is missing, and says what', () => {
    for (const [pointer] of placesOf(document)) {
      const without = changed(pointer, (parent, name) => {
        if (!Array.isArray(parent)) delete parent[name];
      });
      if (/\/\d+$/.test(pointer)) continue;
      if (OPTIONAL.test(pointer)) expect(open(fileOf(without)), pointer).toBeDefined();
      else expect(() => open(fileOf(without)), pointer).toThrow(malformed(pointer));
    }
  });

  it('is refused where anything is of another kind, and says what', () => {
    for (const [pointer, value] of placesOf(document)) {
      const isList = Array.isArray(value);
      const others = [null, true, 'é', 7, [value], {}].filter((one) =>
        isList ? !Array.isArray(one) : typeof one !== typeof value || one === null || Array.isArray(one),
      );
      for (const other of others)
        expect(() => open(fileOf(replaced(pointer, other))), pointer).toThrow(malformed(pointer));
    }
  });

  it('is refused where it holds what is not known', () => {
    for (const [pointer, value] of [['', document] as const, ...placesOf(document)]) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
      const more = pointer === '' ? { ...document, zzz: 1 } : replaced(pointer, { ...value, zzz: 1 });
      expect(() => open(fileOf(more)), pointer).toThrow(malformed(`${pointer}/zzz`));
    }
  });

  it.each<[string, unknown[]]>([
    ['/seq', [-1, 0.5, 2 ** 53]],
    ['/cause/index', [-1, 0.5]],
    ['/order', ['', id.toUpperCase(), `${id}0`, `0${id}`, id.slice(1)]],
    ['/instances/0/instance', [`${id}0`]],
    ['/format', ['keelson-certificate-v2', '']],
    [
      '/issued_at',
      [
        ...['2026-11-28', '2026-11-28T08:00:00', '2026-11-28T08:00:00+01:00', '2026-11-28T08:00:00.Z'],
        ...['2026-11-28T08:00:00.1234567Z', ' 2026-11-28T08:00:00Z', '2026-11-28T08:00:00Z\n', '226-11-28T08:00:00Z'],
        ...['2026-1-28T08:00:00Z', 'x026-11-28T08:00:00Z', '2026-11-28t08:00:00Z', '2026-11-28T08:00:00.aZ'],
      ],
    ],
    ['/logs/0/entries/0/entry', ['A', 'AAA', '_w==', 'AB==']],
    ['/logs/0/entries/0/proof/1', ['', 'AAAA', `${hash('a')}AAAA`]],
  ])('is refused with another %s', (pointer, values) => {
    for (const value of values)
      expect(() => open(fileOf(replaced(pointer, value))), String(value)).toThrow(malformed(pointer));
  });

  it('takes any time in UTC, with or without a fraction', () => {
    for (const issuedAt of ['2026-11-28T08:00:00Z', '2026-11-28T08:00:00.1Z', '2026-11-28T08:00:00.123Z']) {
      expect(open(writeCertificate(signer, { ...full, issuedAt })).issuedAt).toBe(issuedAt);
    }
  });

  it('is refused in any other spelling, and what is no JSON', () => {
    const text = Buffer.from(writeCertificate(signer, full)).toString();
    for (const other of [text.trim(), `${text} `, text.replace(',', ', '), text.replace('"seq":3', '"seq":3e0')]) {
      expect(() => open(Buffer.from(other))).toThrow(malformed(''));
    }
    for (const other of ['null', '[]', '7', '"x"']) expect(() => open(Buffer.from(other))).toThrow(malformed(''));
    expect(() => open(Buffer.of(0x7b, 0xff))).toThrow(malformed(''));
    const cause = expect.any(SyntaxError) as unknown;
    for (const other of ['', '{']) {
      expect(() => open(Buffer.from(other))).toThrow(expect.objectContaining({ code: 'malformed_certificate', cause }));
    }
    expect(() => open(new Uint8Array(64 * 1024 * 1024 + 1))).toThrow(malformed(''));
    for (const text of ['{}', '{"format":"keelson-certificate-v2"}']) {
      expect(() => readCertificateLedger(Buffer.from(text))).toThrow(malformed('/format'));
    }
    expect(() => readCertificateLedger(fileOf({ ...document, ledger: 7 }))).toThrow(malformed('/ledger'));
  });

  it('is refused with a signature that is none, is of another key, for another ledger, or of something else', () => {
    const text = Buffer.from(writeCertificate(signer, full)).toString();
    for (const given of ['7', '""', '"AAAA"']) {
      const other = Buffer.from(text.replace(/"signature":"[^"]*"/, `"signature":${given}`));
      expect(() => open(other)).toThrow(malformed('/signature'));
    }
    expect(() => open(Buffer.from(text.replace(/"signature":"[^"]*",/, '')))).toThrow(malformed('/signature'));
    const bad = expect.objectContaining({ code: 'bad_signature' }) as unknown;
    expect(() => open(Buffer.from(text.replace('"seq":3', '"seq":4')))).toThrow(bad);
    const bytes = Buffer.from(text);
    expect(() => openCertificate({ ledger: LEDGER, verifier }, nodeSigner(seed('x')).publicKey, bytes)).toThrow(bad);
    expect(() => openCertificate({ ledger: 'another', verifier }, signer.publicKey, bytes)).toThrow(bad);
  });

  it('is not written of what could not be read again', () => {
    for (const seq of [-1, -0, 0.5, NaN, 2 ** 53])
      expect(() => writeCertificate(signer, { ...full, seq })).toThrow(malformed(''));
    for (const result of ['\ud800', 'a\udfff']) {
      expect(() => writeCertificate(signer, { ...full, result })).toThrow(malformed(''));
    }
    const result = '\u{10000}\u{10ffff}';
    expect(open(writeCertificate(signer, { ...full, result, seq: 0 }))).toMatchObject({ result, seq: 0 });
  });
});

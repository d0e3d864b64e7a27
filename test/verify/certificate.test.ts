/** Certificates: what they say, and that nothing else passes for one. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { formatVerifierKey, makeVerifierKey } from '../../src/core/key.js';
import { portableHasher, portableVerifier } from '../../src/core/portable.js';
import { KeelsonError } from '../../src/core/error.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { writeCertificate, type Certificate, type Evidence } from '../../src/protocol/certificate.js';
import { FENCED_AFTER_US } from '../../src/revocation/cases/standing.js';
import { LEASE_GONE_US } from '../../src/verify/certificate/instances.js';
import { parseLedgerKey } from '../../src/verify/ledger-key.js';
import { verifyCertificate, wordEvidence } from '../../src/verify/verify-certificate.js';
import { ENFORCED, FENCED, makeEvidence, trusted, type CaseStory } from '../support/certificate.js';
import { LEDGER, signer } from '../support/ledger-files.js';
import { seed } from '../guard/support.js';

const VECTORS = new URL('../vectors/certificate/', import.meta.url);
const update = process.env.KEELSON_UPDATE_GENERATED === '1';

const certify = (evidence: Evidence): Certificate => ({ ...evidence, says: wordEvidence(trusted, evidence) });
const write = (certificate: Certificate): Uint8Array => writeCertificate(signer, certificate);
const codesOf = (certificate: Certificate): string[] =>
  verifyCertificate(trusted, write(certificate)).findings.map(({ code }) => code);
/** Why a file is refused, or what is found in it; '' where it is good. */
function refusal(bytes: Uint8Array, key = trusted.key): string {
  try {
    return verifyCertificate({ ...trusted, key }, bytes)
      .findings.map(({ code }) => code)
      .join(' ');
  } catch (error) {
    if (error instanceof KeelsonError) return error.code;
    throw error;
  }
}

let fenced: Certificate;
let enforced: Certificate;
let file: Uint8Array;

beforeAll(async () => {
  fenced = certify(await makeEvidence(FENCED));
  enforced = certify(await makeEvidence(ENFORCED));
  file = write(fenced);
});

it('says what is proved, attested, fenced and stated', () => {
  expect(refusal(file)).toBe('');
  expect(fenced.says).toMatchObject({
    proved: [/^cause: /, /^ordered 1 key; /, /^extended 1 key; /, /^case closed, fenced; /, /^token t-1 of /].map(
      (one) => expect.stringMatching(one) as string,
    ),
    attested: [expect.stringMatching(/^gateway [0-9a-f]{32}: enforces the table up to change 3; /)],
    fenced: [expect.stringMatching(/has not attested it.*closed 61\.0 s after the last part$/)],
  });
  expect(enforced.says.fenced).toEqual([]);
  expect(enforced.says.attested).toHaveLength(2);
});

it('says where forbidden decisions were looked for, and no more than the checkpoint covers', async () => {
  const evidence = await makeEvidence(ENFORCED);
  const watched = [{ log: 'decisions/0/g1', from: 1, size: 2 }];
  const certificate = certify({ ...evidence, watched });
  expect(refusal(write(certificate))).toBe('');
  expect(certificate.says.stated).toContain(
    'no decision that the order forbids was found (decisions/0/g1 from 1 up to 2)',
  );
  for (const other of [{ size: 3 }, { from: 3 }, { log: 'decisions/1/g1' }]) {
    const wrong = { ...certificate, watched: [{ ...watched[0]!, ...other }] };
    expect(refusal(write(wrong)), JSON.stringify(other)).toBe('watch_wrong');
  }
  expect(refusal(write({ ...certificate, watched: [...watched, ...watched] }))).toBe('watch_wrong');
  expect(refusal(write({ ...certificate, watched: [{ ...watched[0]!, from: 0 }] }))).toBe('words_wrong');
});

it('is the vectors’, for browsers, too', () => {
  const path = new URL('certificate.json', VECTORS);
  const key = new URL('ledger.key', VECTORS);
  if (update && !existsSync(path)) {
    mkdirSync(VECTORS, { recursive: true });
    writeFileSync(path, file);
    writeFileSync(key, `${formatVerifierKey(makeVerifierKey(trusted.hasher, LEDGER, signer.publicKey))}\n`);
    writeFileSync(new URL('says.json', VECTORS), `${JSON.stringify(fenced.says, null, 2)}\n`);
  }
  const ledgerKey = parseLedgerKey(portableHasher, readFileSync(key, 'utf8').trim());
  const on = { hasher: portableHasher, verifier: portableVerifier, key: ledgerKey };
  const { certificate, findings } = verifyCertificate(on, readFileSync(path));
  expect(findings).toEqual([]);
  expect(certificate.says).toEqual(JSON.parse(readFileSync(new URL('says.json', VECTORS), 'utf8')));
});

it('a lease is over when cases say so', () => {
  expect(LEASE_GONE_US).toBe(FENCED_AFTER_US);
});

describe('a file', () => {
  it('is refused with any bit flipped', () => {
    const changed = Uint8Array.from(file);
    const passed: number[] = [];
    for (let at = 0; at < file.length; at++) {
      changed[at] = file[at]! ^ (1 << ((at * 5) % 8));
      if (refusal(changed) === '') passed.push(at);
      changed[at] = file[at]!;
    }
    expect(passed).toEqual([]);
  });

  it('is refused cut short, longer, or spelled otherwise', () => {
    const text = Buffer.from(file).toString();
    const bytes = (other: string): Uint8Array => Buffer.from(other);
    for (let length = 0; length < file.length; length += 97) expect(refusal(file.subarray(0, length))).not.toBe('');
    for (const other of [
      text.slice(0, -1),
      `${text}\n`,
      ` ${text}`,
      `\ufeff${text}`,
      text.replace('"seq":3', '"seq":3.0'),
      text.replace('"seq":3', '"seq": 3'),
      text.replace('"seq":3', '"seq":3,"seq":3'),
      text.replace('"seq":3', '"seq":3,"more":1'),
      text.replace('"seq":3', '"seq":"3"'),
      text.replace('gateway', '\\u0067ateway'),
      text.replace('"cause":{', '"cause":[{').replace('},"closed"', '}],"closed"'),
      JSON.stringify(JSON.parse(text), null, 2),
      '{}',
      'null',
      '['.repeat(1_000_000),
    ]) {
      expect(refusal(bytes(other)), other.slice(0, 80)).toBe('malformed_certificate');
    }
  });

  it('is refused under another ledger’s key, and under another name', () => {
    const { publicKey } = nodeSigner(seed('another'));
    expect(refusal(file, { ledger: LEDGER, publicKey })).toBe('bad_signature');
    expect(refusal(file, { ...trusted.key, ledger: 'another' })).toBe('unknown_signer');
    expect(refusal(write({ ...fenced, seq: 4 }))).not.toBe('');
    const text = Buffer.from(file).toString().replace('"seq":3', '"seq":2');
    expect(refusal(Buffer.from(text))).toBe('bad_signature');
  });
});

describe('signed anew by who has the ledger’s key, it still says no more than is shown:', () => {
  const editLog = (
    topic: string,
    edit: (log: Certificate['logs'][number]) => Certificate['logs'][number],
  ): Certificate => ({
    ...fenced,
    logs: fenced.logs.map((log) => (log.log.startsWith(topic) ? edit(log) : log)),
  });

  it('proofs of other entries, other entries, another log’s checkpoint', () => {
    const swapped = editLog('lifecycle', (log) => {
      const [a, b, ...rest] = log.entries;
      return { ...log, entries: [{ ...a!, proof: b!.proof }, { ...b!, proof: a!.proof }, ...rest] };
    });
    expect(codesOf(swapped)).toContain('entry_unproved');
    const moved = editLog('lifecycle', (log) => {
      const [a, b, ...rest] = log.entries;
      return { ...log, entries: [{ ...a!, entry: b!.entry }, { ...b!, entry: a!.entry }, ...rest] };
    });
    expect(codesOf(moved)).toContain('entry_unproved');
    const [activity, , lifecycle] = fenced.logs;
    expect(codesOf(editLog('lifecycle', (log) => ({ ...log, checkpoint: activity!.checkpoint })))).toContain(
      'checkpoint_wrong',
    );
    expect(codesOf({ ...fenced, logs: [...fenced.logs].reverse() })).toContain('checkpoint_wrong');
    expect(codesOf({ ...fenced, logs: fenced.logs.filter((log) => log !== lifecycle) })).toContain('order_wrong');
  });

  it('an entry that nobody speaks of', () => {
    const { issuer, token } = fenced.tokens!.shown[0]!;
    expect(codesOf({ ...fenced, tokens: { ...fenced.tokens!, shown: [{ issuer, token }] } })).toContain('entry_unused');
  });

  it('a part left out, first or last', () => {
    const without = (drop: number): string[] =>
      codesOf({ ...fenced, records: fenced.records.filter((_, i) => i !== drop) });
    expect(without(0)).toContain('part_missing');
    expect(without(1)).toContain('part_missing');
    expect(codesOf({ ...fenced, records: [] })).toContain('part_missing');
    expect(codesOf({ ...fenced, records: [...fenced.records].reverse() })).toContain('order_wrong');
  });

  it('another order, or one without its cause', () => {
    expect(codesOf({ ...fenced, order: '0'.repeat(32) })).toEqual(
      expect.arrayContaining(['order_wrong', 'case_wrong']),
    );
    expect(codesOf({ ...fenced, cause: fenced.records[0]! })).toContain('order_wrong');
  });

  it('an ack dropped, or another instance’s', () => {
    const [acked, silent] = fenced.instances;
    const { ack, ...unacked } = acked!;
    expect(codesOf({ ...fenced, instances: [unacked, silent!] })).toEqual(
      expect.arrayContaining(['instance_wrong', 'case_wrong']),
    );
    expect(codesOf({ ...fenced, instances: [acked!, { ...silent!, status: 'acked', ack: ack! }] })).toContain(
      'instance_wrong',
    );
    expect(codesOf({ ...fenced, instances: [{ ...acked!, enrolled: silent!.enrolled! }, silent!] })).toContain(
      'instance_wrong',
    );
    expect(codesOf({ ...fenced, instances: [acked!] })).toContain('case_wrong');
  });

  it('more than it is, in result or in words', () => {
    expect(codesOf({ ...fenced, result: 'enforced' })).toContain('result_unfounded');
    expect(codesOf({ ...fenced, says: enforced.says })).toContain('words_wrong');
    expect(codesOf({ ...fenced, says: { ...fenced.says, proved: [...fenced.says.proved, 'all is well'] } })).toEqual([
      'words_wrong',
    ]);
  });

  it('a use of another token, or behind what was looked through', () => {
    const [token] = fenced.tokens!.shown;
    const tokens = { ...fenced.tokens!, shown: [{ ...token!, issuer: 'https://another' }] };
    expect(codesOf({ ...fenced, tokens })).toContain('use_wrong');
    expect(codesOf({ ...fenced, tokens: { ...fenced.tokens!, asOf: [{ log: 'decisions/0/g1', size: 1 }] } })).toContain(
      'use_wrong',
    );
    expect(codesOf({ ...fenced, tokens: { ...fenced.tokens!, asOf: [{ log: 'decisions/0/g1', size: 3 }] } })).toContain(
      'use_wrong',
    );
    expect(codesOf({ ...fenced, tokens: { ...fenced.tokens!, count: 0 } })).toContain('use_wrong');
  });
});

describe('what the ledger itself recorded wrongly is not certified:', () => {
  it.each<[string, CaseStory, string]>([
    ['enforced, where one is fenced', { ...FENCED, result: 'enforced' }, 'result_unfounded'],
    ['fenced, before leases are over', { ...FENCED, closedAfterS: 60 }, 'fenced_early'],
    ['an ack of less than the order', { ...ENFORCED, acks: [3, 2] }, 'instance_wrong'],
    [
      'enforced, where tools of one fail open',
      { ...FENCED, result: 'enforced', silentAre: 'unfenced' },
      'result_unfounded',
    ],
    ['fenced, where one is silent', { ...FENCED, silentAre: 'silent' }, 'result_unfounded'],
    ['enforced, where there is nobody', { ...ENFORCED, acks: [] }, 'result_unfounded'],
  ])('%s', async (_, story, code) => {
    const evidence = await makeEvidence(story);
    expect(() => wordEvidence(trusted, evidence)).toThrow(code);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../src/core/bytes.js';
import { encodeBundle, parseBundle } from '../../src/core/bundle.js';
import { signCheckpoint } from '../../src/core/checkpoint.js';
import { KeelsonError } from '../../src/core/error.js';
import { portableHasher, portableVerifier } from '../../src/core/portable.js';
import { formatVerifierKey, makeVerifierKey } from '../../src/core/key.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import type { Finding, LedgerReport } from '../../src/verify/finding.js';
import { parseLedgerKey } from '../../src/verify/ledger-key.js';
import { verifyLedger, type LedgerOptions } from '../../src/verify/verify-ledger.js';
import type { Progress } from '../../src/verify/verify-log.js';
import {
  entryOf,
  LEDGER,
  LogFixture,
  makeLedger,
  MemorySource,
  openingRecord,
  plainRecord,
  signer,
  type OpeningBody,
} from '../support/ledger-files.js';

const key = { ledger: LEDGER, publicKey: signer.publicKey };
const LOG = 'decisions/0/g1';
type Files = Map<string, Uint8Array>;

const verify = (files: Files, options: LedgerOptions = {}): Promise<LedgerReport> =>
  verifyLedger({ hasher, verifier: nodeVerifier, source: new MemorySource(files), key }, options);

/** The findings, their messages left out. */
async function findIn(files: Files, options: LedgerOptions = {}): Promise<Omit<Finding, 'message'>[]> {
  const { findings } = await verify(files, options);
  return findings.map(({ message, ...finding }) => (expect(message).not.toBe(''), finding));
}

function change(files: Files, path: string, edit: (bytes: Uint8Array) => Uint8Array | undefined): Files {
  const changed = new Map(files);
  const bytes = edit(files.get(path)!.slice());
  if (bytes) changed.set(path, bytes);
  else changed.delete(path);
  return changed;
}

const flip =
  (at: number) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[at]! ^= 0x10;
    return bytes;
  };

/** Where in its bundle the bytes of the entry at `place` begin. */
const startOf = (bundle: Uint8Array, width: number, place: number): number => {
  const entry = parseBundle(bundle, width)[place]!;
  return entry.byteOffset - bundle.byteOffset;
};

describe('a ledger in which nothing is wrong', () => {
  it.each([1, 2, 255, 256, 257, 511, 512, 600])('with %i decisions verifies, every entry of it', async (size) => {
    const { files, logs } = makeLedger(size);
    const seen: Progress[] = [];
    const report = await verify(files, { onProgress: (progress) => seen.push(progress) });
    expect(report).toEqual({
      ledger: LEDGER,
      more: 0,
      findings: [],
      logs: logs.map((log) => ({
        log: log.log,
        origin: log.origin,
        size: log.tree.frontier.size,
        root: log.tree.frontier.root(),
        checked: log.tree.frontier.size,
      })),
    });
    expect(seen.at(-1)).toEqual({ log: LOG, at: BigInt(size), size: BigInt(size) });
    expect(seen.length).toBe(1 + Math.ceil(size / 256));
  });

  it('of three levels of tiles verifies', async () => {
    const { files } = makeLedger(65_536 + 300);
    const report = await verify(files);
    expect(report.findings).toEqual([]);
    expect(report.logs[1]!.checked).toBe(65_836n);
  });

  it('verifies by noble too', async () => {
    const source = new MemorySource(makeLedger(300).files);
    const report = await verifyLedger({ hasher: portableHasher, verifier: portableVerifier, source, key });
    expect(report.findings).toEqual([]);
  });

  it('verifies from full tiles and bundles where the partial ones are gone', async () => {
    const [old, now] = [makeLedger(300).files, makeLedger(600).files];
    const files = new Map(now);
    files.set(`${LOG}/checkpoint`, old.get(`${LOG}/checkpoint`)!);
    files.set(`${LOG}/tile/1/000.p/1`, old.get(`${LOG}/tile/1/000.p/1`)!);
    expect(await findIn(files)).toEqual([]);
  });

  it('may have logs without any entry', async () => {
    const { files, logs } = makeLedger(0);
    expect(logs[1]!.entries).toEqual([]);
    expect(await findIn(files)).toEqual([]);
  });
});

describe('a byte flipped', () => {
  const { files } = makeLedger(600);

  it.each([0, 17, 255, 256, 511, 512, 599])('in entry %i is found there', async (index) => {
    const n = Math.floor(index / 256);
    const tile = n < 2 ? `tile/entries/00${n}` : 'tile/entries/002.p/88';
    const start = startOf(files.get(`${LOG}/${tile}`)!, n < 2 ? 256 : 88, index % 256);
    for (const at of [start, start + 30, start + 80]) {
      const found = await findIn(change(files, `${LOG}/${tile}`, flip(at)));
      expect(found[0]).toEqual({ code: 'entry_changed', log: LOG, index: BigInt(index), tile });
      expect(found.slice(1).map(({ code }) => code)).toEqual(index === 0 ? ['opening_wrong'] : []);
    }
  });

  it('in the length of an entry is found there', async () => {
    const tile = 'tile/entries/001';
    const start = startOf(files.get(`${LOG}/${tile}`)!, 256, 44);
    for (const at of [start - 2, start - 1]) {
      const found = await findIn(change(files, `${LOG}/${tile}`, flip(at)));
      expect(found).toEqual([{ code: 'bundle_malformed', log: LOG, index: 300n, tile }]);
    }
  });

  it.each([
    ['tile/0/000', 5, 5n],
    ['tile/0/001', 0, 256n],
    ['tile/0/002.p/88', 87, 599n],
    ['tile/1/000.p/2', 1, 256n],
  ])('in %s is found there', async (tile, place, index) => {
    const found = await findIn(change(files, `${LOG}/${tile}`, flip(place * 32 + 9)));
    expect(found).toEqual([{ code: 'tile_changed', log: LOG, index, tile }]);
  });

  it('in any two of an entry and a tile is found in both logs and places', async () => {
    const changed = change(files, `${LOG}/tile/entries/000`, flip(3000));
    const again = change(changed, 'lifecycle/0/g1/tile/0/000.p/3', flip(70));
    expect((await findIn(again)).map(({ log, code }) => `${log} ${code}`)).toEqual([
      'lifecycle/0/g1 tile_changed',
      `${LOG} entry_changed`,
    ]);
  });

  it('in a tile and in an entry below it is found, if not told apart', async () => {
    const changed = change(files, `${LOG}/tile/entries/000`, flip(3000));
    const found = await findIn(change(changed, `${LOG}/tile/0/000`, flip(200 * 32)));
    expect(found[0]).toEqual({ code: 'tile_changed', log: LOG, index: 0n, tile: 'tile/0/000' });
    expect(found).toContainEqual(expect.objectContaining({ code: 'entry_changed', index: 200n }));
  });

  it('anywhere in a checkpoint is found', async () => {
    const path = `${LOG}/checkpoint`;
    for (let at = 0; at < files.get(path)!.length; at++) {
      const found = await findIn(change(files, path, flip(at)));
      expect(found).toHaveLength(1);
      expect(['checkpoint_malformed', 'unknown_signer', 'bad_signature']).toContain(found[0]!.code);
      expect(found[0]!.log).toBe(LOG);
    }
  });

  it('anywhere at all is found, in that log', async () => {
    const paths = [...files.keys()];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.nat(), async (path, at) => {
        const found = await findIn(change(files, path, flip(at % files.get(path)!.length)));
        expect(found.length).toBeGreaterThan(0);
        expect(path.startsWith(`${found[0]!.log}/`)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe('entries', () => {
  const { files } = makeLedger(600);
  const last = `${LOG}/tile/entries/002.p/88`;
  const bundles = [`${LOG}/tile/entries/000`, `${LOG}/tile/entries/001`] as const;
  const swap = (from: [string, number], to: [string, number]): Files => {
    const changed = new Map(files);
    const split = (path: string): Uint8Array[] => [...parseBundle(changed.get(path)!, 256)];
    const [one, other] = [split(from[0])[from[1]]!, split(to[0])[to[1]]!];
    for (const [[path, place], entry] of [
      [from, other],
      [to, one],
    ] as const) {
      const entries = split(path);
      entries[place] = entry;
      changed.set(path, encodeBundle(entries));
    }
    return changed;
  };

  it('that are gone from the end are found missing', async () => {
    const cut = change(files, last, (bytes) => encodeBundle(parseBundle(bytes, 88).slice(0, 80)));
    expect(await findIn(cut)).toEqual([
      { code: 'entries_missing', log: LOG, index: 592n, tile: 'tile/entries/002.p/88' },
    ]);
    expect(await findIn(change(files, last, () => undefined))).toEqual([
      { code: 'bundle_missing', log: LOG, index: 512n, tile: 'tile/entries/002.p/88' },
    ]);
  });

  it('cut through are found', async () => {
    const found = await findIn(change(files, last, (bytes) => bytes.slice(0, -1)));
    expect(found).toEqual([{ code: 'bundle_malformed', log: LOG, index: 599n, tile: 'tile/entries/002.p/88' }]);
    const more = await findIn(change(files, last, (bytes) => Uint8Array.of(...bytes, 0)));
    expect(more).toEqual([{ code: 'bundle_malformed', log: LOG, index: 600n, tile: 'tile/entries/002.p/88' }]);
  });

  it('that are swapped are found, both, in one bundle and in two', async () => {
    expect(await findIn(swap([bundles[0], 10], [bundles[0], 11]))).toEqual([
      { code: 'entry_moved', log: LOG, index: 10n, tile: 'tile/entries/000' },
      { code: 'entry_moved', log: LOG, index: 11n, tile: 'tile/entries/000' },
    ]);
    expect(await findIn(swap([bundles[0], 10], [bundles[1], 200]))).toEqual([
      { code: 'entry_moved', log: LOG, index: 10n, tile: 'tile/entries/000' },
      { code: 'entry_moved', log: LOG, index: 456n, tile: 'tile/entries/001' },
    ]);
  });

  it('rewritten with all their tiles, but not the signature, are found', async () => {
    const other = new LogFixture(LOG)
      .fill(300)
      .push(entryOf(300, plainRecord(9999)))
      .fill(600);
    const forged = new Map([...files, ...other.files()]);
    forged.set(`${LOG}/checkpoint`, files.get(`${LOG}/checkpoint`)!);
    expect((await findIn(forged))[0]).toEqual({ code: 'root_changed', log: LOG });
  });

  it('are listed to a thousand, the rest counted', async () => {
    const { files: many } = makeLedger(1500);
    for (let n = 0; n < 6; n++) {
      const width = n < 5 ? 256 : 220;
      const path = `${LOG}/tile/entries/00${n}${n < 5 ? '' : '.p/220'}`;
      for (const entry of parseBundle(many.get(path)!, width)) entry[50]! ^= 1;
    }
    const report = await verify(many);
    expect(report.findings.length).toBe(1000);
    expect(report.more).toBe(501);
  });

  const signed = (...entries: Uint8Array[]): Files => {
    const log = new LogFixture(LOG).fill(4).push(...entries);
    return new Map([...makeLedger(1).files, ...log.files()]);
  };
  const at = (index: bigint, code: string): unknown => ({ code, log: LOG, index, tile: expect.any(String) as string });

  it('that were signed out of order are found', async () => {
    expect(await findIn(signed(entryOf(3, plainRecord(4))))).toEqual([at(4n, 'entry_disordered')]);
    expect(await findIn(signed(entryOf(2, plainRecord(4))))).toEqual([at(4n, 'entry_disordered')]);
    expect(await findIn(signed(entryOf(9, plainRecord(4)), entryOf(8, plainRecord(5))))).toEqual([
      at(5n, 'entry_disordered'),
    ]);
  });

  it("that were signed but are none, or another partition's, are found", async () => {
    expect(await findIn(signed(Uint8Array.of(1, 2, 3)))).toEqual([at(4n, 'entry_malformed')]);
    expect(await findIn(signed(entryOf(4, plainRecord(4), 1)))).toEqual([at(4n, 'entry_malformed')]);
  });
});

describe('files that are gone', () => {
  const { files } = makeLedger(66_000);

  it.each([
    ['tile/0/000', 0n],
    ['tile/0/257.p/208', 65_792n],
    ['tile/1/000', 0n],
    ['tile/1/001.p/1', 65_536n],
    ['tile/2/000.p/1', 0n],
  ])('%s is missed, and nothing else', async (tile, index) => {
    expect(files.has(`${LOG}/${tile}`)).toBe(true);
    const found = await findIn(change(files, `${LOG}/${tile}`, () => undefined));
    expect(found).toEqual([{ code: 'tile_missing', log: LOG, index, tile }]);
    const short = await findIn(change(files, `${LOG}/${tile}`, (bytes) => bytes.slice(1)));
    expect(short).toEqual(found);
  });

  it('a tile two levels up that was changed is blamed alone', async () => {
    const found = await findIn(change(files, `${LOG}/tile/1/000`, flip(7 * 32)));
    expect(found).toEqual([{ code: 'tile_changed', log: LOG, index: 7n * 256n, tile: 'tile/1/000' }]);
  });

  it("a log's checkpoint is missed: no log can be hidden", async () => {
    const hidden = new Map([...files].filter(([path]) => !path.startsWith(LOG)));
    expect(await findIn(hidden)).toEqual([{ code: 'checkpoint_missing', log: LOG }]);
    expect((await findIn(new Map())).map(({ code }) => code)).toEqual(['checkpoint_missing', 'opening_wrong']);
  });
});

describe('a checkpoint that says more than there is', () => {
  it.each([
    [(1n << 62n) + 5n, 'checkpoint_malformed'],
    [(1n << 52n) + 70_000n, 'tile_missing'],
    [700n, 'tile_missing'],
  ])('of %s entries is found', async (size, code) => {
    const { files, logs } = makeLedger(600);
    const head = { origin: logs[1]!.origin, size, root: logs[1]!.tree.frontier.root() };
    files.set(`${LOG}/checkpoint`, encodeUtf8(signCheckpoint(hasher, head, signer)));
    expect((await findIn(files))[0]).toMatchObject({ code, log: LOG });
  });
});

describe('a source that lies', () => {
  /** A ledger whose decisions log is as big as it likes, and of which every tile and bundle is made up on demand. */
  const lying = (size: bigint, makeUp: (path: string) => Uint8Array | undefined): MemorySource => {
    const { files, logs } = makeLedger(1);
    const head = { origin: logs[1]!.origin, size, root: new Uint8Array(32) };
    files.set(`${LOG}/checkpoint`, encodeUtf8(signCheckpoint(hasher, head, signer)));
    const source = new MemorySource(files);
    const read = source.read.bind(source);
    source.read = async (path, maxBytes) =>
      path.startsWith(`${LOG}/tile/`) ? makeUp(path.slice(LOG.length + 1)) : read(path, maxBytes);
    return source;
  };
  const widthOf = (path: string): number => Number(/\.p\/(\d+)$/.exec(path)?.[1] ?? 256);
  const noise = (path: string): Uint8Array => new Uint8Array(widthOf(path) * 32).fill(path.length);
  const verifyFrom = (source: MemorySource): Promise<LedgerReport> =>
    verifyLedger({ hasher, verifier: nodeVerifier, source, key });

  it.each([
    ['tiles and bundles', (path: string) => (path.includes('entries') ? new Uint8Array(512) : noise(path))],
    ['tiles alone', (path: string) => (path.includes('entries') ? undefined : noise(path))],
    ['upper tiles alone', (path: string) => (/^tile\/[1-9]/.test(path) ? noise(path) : undefined)],
  ])('about a log of 2^52 entries, with %s that never end, is given up', async (_, makeUp) => {
    const { findings, more, logs } = await verifyFrom(lying((1n << 52n) + 5n, makeUp));
    expect(findings).toContainEqual(expect.objectContaining({ code: 'root_changed', log: LOG }));
    expect(findings.length + more).toBeGreaterThan(9_999);
    expect(findings.length + more).toBeLessThan(11_000);
    expect(logs[1]!.checked).toBe(0n);
  });

  it.each([
    ['checkpoint', { code: 'checkpoint_malformed', log: LOG }],
    ['tile/0/000', { code: 'tile_missing', log: LOG, index: 0n, tile: 'tile/0/000' }],
    ['tile/1/000.p/2', { code: 'tile_missing', log: LOG, index: 0n, tile: 'tile/1/000.p/2' }],
    ['tile/entries/001', { code: 'bundle_missing', log: LOG, index: 256n, tile: 'tile/entries/001' }],
  ])('with a %s larger than any is found out', async (path, finding) => {
    const source = new MemorySource(makeLedger(600).files);
    const read = source.read.bind(source);
    source.read = async (asked, maxBytes) => {
      if (asked === `${LOG}/${path}`) throw new KeelsonError('too_large', 'it has no end');
      return read(asked, maxBytes);
    };
    const { findings } = await verifyFrom(source);
    expect(findings).toEqual([expect.objectContaining(finding)]);
  });

  it('by partial tiles that say something else than the full ones is found out', async () => {
    const { files } = makeLedger(600);
    const other = new LogFixture(LOG)
      .fill(550)
      .push(entryOf(550, plainRecord(9999)))
      .fill(800);
    // The tile and the bundle once they are full, of another tree: nobody may mix them up with the signed one.
    for (const [path, bytes] of other.files()) if (/tile\/(0|entries)\/002$/.test(path)) files.set(path, bytes);
    expect(await findIn(files)).toEqual([]);
    for (const path of ['tile/0/002.p/88', 'tile/entries/002.p/88']) files.delete(`${LOG}/${path}`);
    expect((await findIn(files))[0]).toEqual({ code: 'root_changed', log: LOG });
  });
});

describe('the opening', () => {
  const base = { ledger: LEDGER, origin: `${LEDGER}/lifecycle/0/g1`, origins: [`${LEDGER}/lifecycle/0/g1`] };
  const openedBy = (record: Uint8Array): Files => new LogFixture('lifecycle/0/g1').push(entryOf(0, record)).files();

  it('alone is enough', async () => {
    expect(await findIn(openedBy(openingRecord(base)))).toEqual([]);
  });

  it.each<[string, Partial<OpeningBody>]>([
    ['another ledger', { ledger: 'other.example' }],
    ['another log', { origin: `${LEDGER}/decisions/0/g1` }],
    ['no origin', { origin: null }],
    ['no logs', { origins: null }],
    ['not itself', { origins: [] }],
    ['a log of another ledger', { origins: [...base.origins, 'other.example/decisions/0/g1'] }],
    ['a log with a strange name', { origins: [...base.origins, `${LEDGER}/../decisions/0/g1`] }],
  ])('that names %s is refused', async (_, body) => {
    const found = await findIn(openedBy(openingRecord({ ...base, ...body })));
    expect(found).toEqual([{ code: 'opening_wrong', log: 'lifecycle/0/g1', index: 0n }]);
  });

  it('that is another record, or none, is refused', async () => {
    const full = openingRecord(base);
    const records = [plainRecord(0), openingRecord(base, 'tick')];
    for (let length = 42; length < full.length - 30; length += 7) records.push(full.slice(0, length));
    for (const record of records) {
      const found = await findIn(openedBy(record));
      expect(found).toEqual([{ code: 'opening_wrong', log: 'lifecycle/0/g1', index: 0n }]);
    }
  });
});

describe('since a kept checkpoint', () => {
  const kept = (size: number): string => new LogFixture(LOG).fill(size).checkpoint();

  it.each([
    [1, 1],
    [1, 600],
    [255, 600],
    [256, 600],
    [300, 600],
    [512, 600],
    [599, 600],
    [600, 600],
    [65_536, 66_000],
    [65_800, 66_000],
  ])('of %i entries a log of %i holds', async (old, size) => {
    const { files } = makeLedger(size);
    for (const onlyNew of [false, true]) {
      expect(await findIn(files, { since: [kept(old)], onlyNew })).toEqual([]);
    }
  });

  it('only what is new is read, and the opening', async () => {
    const source = new MemorySource(makeLedger(66_000).files);
    const on = { hasher, verifier: nodeVerifier, source, key };
    const report = await verifyLedger(on, { since: [kept(65_800)], onlyNew: true });
    expect(report.findings).toEqual([]);
    const bundles = source.asked.filter((path) => path.startsWith(`${LOG}/tile/entries`));
    expect(bundles).toEqual([`${LOG}/tile/entries/000`, `${LOG}/tile/entries/257.p/208`]);
    expect(report.logs[1]!.checked).toBe(256n + 208n);
  });

  it('what ends just where the kept checkpoint does is not read again', async () => {
    const source = new MemorySource(makeLedger(600).files);
    await verifyLedger({ hasher, verifier: nodeVerifier, source, key }, { since: [kept(512)], onlyNew: true });
    expect(source.asked).not.toContain(`${LOG}/tile/entries/001`);
    expect(source.asked).toContain(`${LOG}/tile/entries/002.p/88`);
  });

  it('what was rewritten is not judged by tiles that are wrong themselves', async () => {
    const { files } = makeLedger(600);
    const changed = change(change(files, `${LOG}/tile/0/001`, flip(9)), `${LOG}/tile/entries/001`, flip(200 * 86));
    const codes = (await findIn(changed, { since: [kept(300)] })).map(({ code }) => code);
    expect(codes).toContain('tile_changed');
    expect(codes).not.toContain('history_changed');
  });

  it('a log that lost its last entries, checkpoint and all, is found', async () => {
    const { files } = makeLedger(590);
    expect(await findIn(files)).toEqual([]);
    expect(await findIn(files, { since: [kept(600)] })).toEqual([{ code: 'log_shrunk', log: LOG, index: 590n }]);
  });

  it('a log rewritten and signed anew by the ledger itself is found', async () => {
    for (const at of [1, 299, 300, 599]) {
      const rewritten = new LogFixture(LOG)
        .fill(at)
        .push(entryOf(at, plainRecord(9999)))
        .fill(700);
      const files = new Map([...makeLedger(1).files, ...rewritten.files()]);
      expect(await findIn(files)).toEqual([]);
      const found = await findIn(files, { since: [kept(600)] });
      expect(found).toEqual([{ code: 'history_changed', log: LOG }]);
      expect(await findIn(files, { since: [kept(at)] })).toEqual([]);
    }
  });

  it('every one that was kept must be continued, whoever was given it', async () => {
    const shown = new LogFixture(LOG)
      .fill(299)
      .push(entryOf(299, plainRecord(9999)))
      .fill(300)
      .checkpoint();
    const { files } = makeLedger(600);
    for (const onlyNew of [false, true]) {
      const since = [kept(512), kept(300), kept(1), kept(600)];
      expect(await findIn(files, { since, onlyNew })).toEqual([]);
      for (const all of [
        [shown, ...since],
        [...since, shown],
      ]) {
        expect(await findIn(files, { since: all, onlyNew })).toEqual([{ code: 'history_changed', log: LOG }]);
      }
    }
    const shrunk = await findIn(files, { since: [shown, kept(700)], onlyNew: true });
    expect(shrunk.map(({ code }) => code)).toEqual(['log_shrunk', 'history_changed']);
  });

  it('with several kept only the edges of the older ones are read again', async () => {
    const source = new MemorySource(makeLedger(66_000).files);
    const on = { hasher, verifier: nodeVerifier, source, key };
    const since = [kept(300), kept(65_800)];
    expect((await verifyLedger(on, { since, onlyNew: true })).findings).toEqual([]);
    const bundles = source.asked.filter((path) => path.startsWith(`${LOG}/tile/entries`));
    expect(bundles.map((path) => path.split('/').at(-1))).toEqual(['000', '001', '208']);
  });

  it('a changed tile is no rewritten history', async () => {
    const { files } = makeLedger(600);
    const found = await findIn(change(files, `${LOG}/tile/0/001`, flip(9)), { since: [kept(300)] });
    expect(found.map(({ code }) => code)).toEqual(['tile_changed']);
  });

  it('a log that is no longer named is verified all the same', async () => {
    const lifecycle = new LogFixture('lifecycle/0/g1').fill(3, [`${LEDGER}/lifecycle/0/g1`]);
    expect(await findIn(lifecycle.files())).toEqual([]);
    expect(await findIn(lifecycle.files(), { since: [kept(5)] })).toEqual([{ code: 'checkpoint_missing', log: LOG }]);
  });

  it("a checkpoint that is none of the ledger's is refused", async () => {
    const { files } = makeLedger(5);
    const stranger = nodeSigner(new Uint8Array(32).fill(6));
    const head = { size: 5n, root: new Uint8Array(32) };
    const by = (origin: string, who = signer): string => signCheckpoint(hasher, { origin, ...head }, who);
    await expect(verify(files, { since: [by('other.example/decisions/0/g1')] })).rejects.toMatchObject({
      code: 'malformed_checkpoint',
    });
    await expect(verify(files, { since: [by(`${LEDGER}/${LOG}`, stranger)] })).rejects.toMatchObject({
      code: 'unknown_signer',
    });
    await expect(verify(files, { since: ['nonsense'] })).rejects.toMatchObject({ code: 'malformed_checkpoint' });
  });
});

describe("the ledger's key", () => {
  it("is taken by the ledger's name or by a log's", () => {
    for (const name of [LEDGER, `${LEDGER}/${LOG}`]) {
      const text = formatVerifierKey(makeVerifierKey(hasher, name, signer.publicKey));
      expect(parseLedgerKey(hasher, text)).toEqual(key);
    }
    const cosigner = formatVerifierKey(makeVerifierKey(hasher, 'w', signer.publicKey, 'cosignature/v1'));
    expect(() => parseLedgerKey(hasher, cosigner)).toThrow(expect.objectContaining({ code: 'malformed_key' }));
  });

  it('is the one that signed, or nothing verifies', async () => {
    const source = new MemorySource(makeLedger(5).files);
    const other = { ledger: LEDGER, publicKey: nodeSigner(new Uint8Array(32)).publicKey };
    const { findings } = await verifyLedger({ hasher, verifier: nodeVerifier, source, key: other });
    expect(findings.map(({ code }) => code)).toEqual(['unknown_signer', 'opening_wrong']);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBundle, parseBundle, readBundle } from '../../src/core/bundle.js';
import {
  bundleAt,
  formatBundlePath,
  formatTilePath,
  parseBundlePath,
  parseTilePath,
  partialTiles,
  TILE_BYTES,
  tileAt,
  tileHash,
  tileRoot,
} from '../../src/core/tile.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';

const malformed: unknown = expect.objectContaining({ code: 'malformed_tile' });
const anyIndex = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
const anyWidth = fc.integer({ min: 1, max: 256 });

describe('tile paths', () => {
  it.each([
    [{ level: 0, index: 0n, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 999n, width: 256 }, 'tile/0/999'],
    [{ level: 1, index: 1000n, width: 256 }, 'tile/1/x001/000'],
    [{ level: 0, index: 1_234_067n, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 1, index: 0n, width: 1 }, 'tile/1/000.p/1'],
    [{ level: 63, index: 273n, width: 255 }, 'tile/63/273.p/255'],
  ])('%o is %s', (tile, path) => {
    expect(formatTilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('parse to what they were formatted from', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 63 }), anyIndex, anyWidth, (level, index, width) => {
        expect(parseTilePath(formatTilePath({ level, index, width }))).toEqual({ level, index, width });
        expect(parseBundlePath(formatBundlePath({ index, width }))).toEqual({ index, width });
      }),
    );
  });

  it.each([
    '',
    'tile/0/',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/x000/001',
    'tile/0/x001',
    'tile/0/001/x002',
    'tile/0/1000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000/',
    '/tile/0/000',
    'tile/0/000 ',
    'tile/0/x999/x999/x999/x999/x999/x999/x999/999',
    'tile/entries/000',
    'tile/0/../000',
  ])('%j is none', (path) => {
    expect(() => parseTilePath(path)).toThrow(malformed);
  });

  it.each(['tile/0/000', 'tile/entries/', 'tile/entries/0', 'tile/entries/000.p/256', 'entries/000'])(
    '%j is no bundle path',
    (path) => {
      expect(() => parseBundlePath(path)).toThrow(malformed);
    },
  );
});

describe('tiles of a tree', () => {
  it('end in the partial ones that its size says', () => {
    expect(partialTiles(0n)).toEqual([]);
    expect(partialTiles(255n)).toEqual([{ level: 0, index: 0n, width: 255 }]);
    expect(partialTiles(256n)).toEqual([{ level: 1, index: 0n, width: 1 }]);
    expect(partialTiles(70_000n)).toEqual([
      { level: 0, index: 273n, width: 112 },
      { level: 1, index: 1n, width: 17 },
      { level: 2, index: 0n, width: 1 },
    ]);
  });

  it('are as wide as the tree', () => {
    expect(tileAt(0, 69_999n, 70_000n)).toEqual({ level: 0, index: 273n, width: 112 });
    expect(tileAt(1, 255n, 70_000n)).toEqual({ level: 1, index: 0n, width: 256 });
    expect(bundleAt(0n, 1n)).toEqual({ index: 0n, width: 1 });
    for (const [level, at] of [
      [0, 70_000n],
      [1, 273n],
      [2, 1n],
      [0, -1n],
    ] as const) {
      expect(() => tileAt(level, at, 70_000n)).toThrow(expect.objectContaining({ code: 'out_of_range' }));
    }
  });

  it('give their hashes, and a root only when full', () => {
    const tile = Uint8Array.from({ length: 64 }, (_, i) => i);
    expect([...tileHash(tile, 1)]).toEqual([...tile.slice(32)]);
    expect(() => tileHash(tile, 2)).toThrow(/no hash 2/);
    expect(() => tileRoot(hasher, tile)).toThrow(/only a full tile/);
  });
});

describe('the root of a tile', () => {
  it('leaves the tile as it was, a Buffer too', () => {
    for (const tile of [new Uint8Array(TILE_BYTES), Buffer.alloc(TILE_BYTES)]) {
      const before = Buffer.from(tile).toString('hex');
      tileRoot(hasher, tile);
      expect(Buffer.from(tile).toString('hex')).toBe(before);
    }
  });
});

describe('entry bundles', () => {
  const anyEntries = fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 256 });

  it('parse to the entries they were encoded from', () => {
    fc.assert(
      fc.property(anyEntries, (entries) => {
        expect(parseBundle(encodeBundle(entries), entries.length)).toEqual(entries);
      }),
    );
    const longest = new Uint8Array(65_535).fill(7);
    expect(parseBundle(encodeBundle([longest]), 1)).toEqual([longest]);
  });

  it('cut short anywhere are refused, and say how far they could be read', () => {
    const bundle = encodeBundle([Uint8Array.of(1), new Uint8Array(0), new Uint8Array(300)]);
    for (let length = 0; length < bundle.length; length++) {
      expect(() => parseBundle(bundle.subarray(0, length), 3)).toThrow(malformed);
      expect(readBundle(bundle.subarray(0, length)).entries.length).toBe(length < 3 ? 0 : length < 5 ? 1 : 2);
    }
    expect(() => parseBundle(bundle, 2)).toThrow(expect.objectContaining({ code: 'malformed_tile', index: 2n }));
    expect(() => parseBundle(bundle, 4)).toThrow(expect.objectContaining({ code: 'malformed_tile', index: 3n }));
    expect(() => parseBundle(Uint8Array.of(...bundle, 0), 3)).toThrow(malformed);
  });

  it('take no more than 256 entries of 65,535 bytes', () => {
    const tooMuch: unknown = expect.objectContaining({ code: 'out_of_range' });
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow(tooMuch);
    expect(() => encodeBundle(Array.from({ length: 257 }, () => new Uint8Array(0)))).toThrow(tooMuch);
  });
});

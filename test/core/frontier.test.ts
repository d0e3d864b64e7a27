import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { Frontier } from '../../src/core/frontier.js';
import { hashLeaf, hashPerfect } from '../../src/core/merkle.js';
import { portableHasher } from '../../src/core/portable.js';
import { partialTiles, tileRoot } from '../../src/core/tile.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { referenceRoot } from '../support/tree.js';
import vectors from '../vectors/merkle/roots.json' with { type: 'json' };

const leafOf = (i: number): Uint8Array => hashLeaf(hasher, Uint8Array.of(i, i >> 8, i >> 16));

describe('Frontier', () => {
  it.each([
    ['node:crypto', hasher],
    ['noble', portableHasher],
  ])('gives the published roots, by %s', (_, by) => {
    const frontier = new Frontier(by);
    vectors.leaves.forEach((leaf, size) => {
      expect(formatHex(frontier.root())).toBe(vectors.roots[size]);
      const entry = Buffer.from(leaf, 'hex');
      const buffer = Buffer.concat([Buffer.of(0x99), entry]);
      frontier.appendEntry(buffer, 1, buffer.length);
      expect(buffer[0]).toBe(0x99);
    });
    expect(formatHex(frontier.root())).toBe(vectors.roots[8]);
  });

  it('gives the root of the definition at every size to 600', () => {
    const frontier = new Frontier(hasher);
    const leaves: Uint8Array[] = [];
    for (let size = 0; size <= 600; size++) {
      expect(frontier.size).toBe(BigInt(size));
      if (size <= 130 || size % 17 === 0 || size % 256 < 2) {
        expect(formatHex(frontier.root())).toBe(formatHex(referenceRoot(hasher, leaves)));
      }
      leaves.push(leafOf(size));
      frontier.appendHashes(leaves[size]!);
    }
  });

  it('emits each full tile once, with its root, levels above included', () => {
    const frontier = new Frontier(hasher);
    const leaves = Array.from({ length: 256 * 256 + 300 }, (_, i) => leafOf(i));
    const seen = new Map<string, Uint8Array>();
    leaves.forEach((leaf, i) => {
      frontier.appendHashes(leaf);
      const tiles = frontier.takeTiles();
      expect(tiles.length).toBe((i + 1) % 65536 === 0 ? 2 : (i + 1) % 256 === 0 ? 1 : 0);
      for (const tile of tiles) {
        expect(seen.has(`${tile.level}/${tile.index}`)).toBe(false);
        expect(formatHex(tile.root)).toBe(formatHex(tileRoot(hasher, tile.hashes)));
        seen.set(`${tile.level}/${tile.index}`, tile.hashes);
      }
    });
    expect(seen.size).toBe(258);
    for (let n = 0; n < 257; n++) {
      expect(Buffer.from(seen.get(`0/${n}`)!).equals(Buffer.concat(leaves.slice(n * 256, (n + 1) * 256)))).toBe(true);
    }
    const above = seen.get('1/0')!;
    for (let i = 0; i < 256; i++) {
      expect(formatHex(above.subarray(i * 32, i * 32 + 32))).toBe(formatHex(tileRoot(hasher, seen.get(`0/${i}`)!)));
    }
    expect(formatHex(frontier.partialTile(2))).toBe(formatHex(hashPerfect(hasher, above, 0, 256)));
    expect(formatHex(frontier.root())).toBe(formatHex(referenceRoot(hasher, leaves)));
  });

  it('hashes every node once', () => {
    let hashes = 0;
    const counting = { sha256: (...call: Parameters<typeof hasher.sha256>) => (hashes++, hasher.sha256(...call)) };
    const frontier = new Frontier(counting);
    const entry = new Uint8Array(10);
    for (let i = 0; i < 65_536; i++) frontier.appendEntry(entry, 1, 10);
    expect(hashes).toBe(65_536 + 65_535);
  });

  it.each([0, 1, 2, 3, 7, 127, 128, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 66_000])(
    'is restored at %i leaves and goes on as if nothing had happened',
    (size) => {
      const frontier = new Frontier(hasher);
      for (let i = 0; i < size; i++) frontier.appendHashes(leafOf(i));
      frontier.takeTiles();
      const partials: Uint8Array[] = [];
      for (const tile of partialTiles(BigInt(size))) partials[tile.level] = frontier.partialTile(tile.level);
      const restored = Frontier.restore(hasher, BigInt(size), partials);
      expect(restored.size).toBe(BigInt(size));
      for (let i = size; i < size + 600; i++) {
        expect(formatHex(restored.root())).toBe(formatHex(frontier.root()));
        for (const each of [frontier, restored]) each.appendHashes(leafOf(i));
        expect(restored.takeTiles()).toEqual(frontier.takeTiles());
      }
    },
  );

  it('takes leaf hashes in bulk', () => {
    const leaves = Array.from({ length: 700 }, (_, i) => leafOf(i));
    const frontier = new Frontier(hasher);
    frontier.appendHashes(Buffer.concat(leaves.slice(0, 333)));
    frontier.appendHashes(Buffer.concat(leaves.slice(333)));
    expect(formatHex(frontier.root())).toBe(formatHex(referenceRoot(hasher, leaves)));
  });

  it('refuses to be restored from hashes of another size', () => {
    expect(() => Frontier.restore(hasher, 3n, [new Uint8Array(64)])).toThrow(/does not end in/);
    expect(() => Frontier.restore(hasher, 256n, [])).toThrow(/does not end in/);
    expect(() => Frontier.restore(hasher, -1n, [])).toThrow(/no tree/);
  });
});

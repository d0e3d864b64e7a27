/** Entries against the signed tree, and against what every entry of a log must be. */
import { readBundle } from '../core/bundle.js';
import { equalBytes, formatHex } from '../core/bytes.js';
import { parseEntry, type Entry } from '../core/entry.js';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { HASH_BYTES, hashLeafInPlace } from '../core/merkle.js';
import { formatBundlePath, TILE_WIDTH, tileHash, type BundleId } from '../core/tile.js';
import type { Findings } from './finding.js';
import { partitionOfLog } from './ledger-key.js';

/** A bundle as it was read. `full`: it may hold all 256 entries although fewer are asked for. */
export interface BundleRead {
  readonly bytes: Uint8Array;
  readonly full: boolean;
}

/** The leaf hashes of a bundle's first `width` entries, 32 bytes each; of fewer where there are fewer. */
export function hashBundle(hasher: Hasher, bundle: Uint8Array, width: number): Uint8Array {
  const entries = readBundle(bundle).entries.slice(0, width);
  const hashes = new Uint8Array(entries.length * HASH_BYTES);
  entries.forEach((entry, i) => {
    const start = entry.byteOffset - bundle.byteOffset;
    hashLeafInPlace(hasher, bundle, start, start + entry.length, hashes, i * HASH_BYTES);
  });
  return hashes;
}

export class EntryCheck {
  /** How many entries were found right. */
  checked = 0n;
  /** Entry 0, where it is right. */
  first: Entry | undefined;
  readonly #hasher: Hasher;
  readonly #partition: number;
  readonly #findings: Findings;
  #last: Entry | undefined;

  constructor(hasher: Hasher, log: string, findings: Findings) {
    this.#hasher = hasher;
    this.#partition = partitionOfLog(log);
    this.#findings = findings;
  }

  /** Checks the entries of `bundle` against the leaf hashes of the signed tree. Bundles come in order. */
  checkBundle(bundle: BundleId, read: BundleRead | undefined, hashes: Uint8Array): void {
    const first = bundle.index * BigInt(TILE_WIDTH);
    const tile = formatBundlePath(bundle);
    if (read === undefined) {
      this.#findings.add('bundle_missing', `${tile} is not there`, { index: first, tile });
      return;
    }
    const { entries, rest } = readBundle(read.bytes);
    const actual = hashBundle(this.#hasher, read.bytes, bundle.width);
    const there = actual.length / HASH_BYTES;
    const isRight = (place: number): boolean => equalBytes(tileHash(actual, place), tileHash(hashes, place));
    let comparable = there;
    if (rest > 0 || (entries.length !== bundle.width && !(read.full && entries.length === TILE_WIDTH))) {
      comparable = 0;
      while (comparable < there && isRight(comparable)) comparable++;
      this.#reportBroken(bundle, comparable, entries.length, rest);
    }
    for (let place = 0; place < comparable; place++) {
      const index = first + BigInt(place);
      if (isRight(place)) this.#checkEntry(index, entries[place]!, tile);
      else this.#findings.addEntry(index, formatHex(tileHash(actual, place)), formatHex(tileHash(hashes, place)), tile);
    }
  }

  #reportBroken(bundle: BundleId, right: number, count: number, rest: number): void {
    const tile = formatBundlePath(bundle);
    const index = bundle.index * BigInt(TILE_WIDTH) + BigInt(right);
    const isCut = rest === 0 && right === count && count < bundle.width;
    if (isCut) {
      const message = `${tile} holds ${count} entries of ${bundle.width}: ${index} and those behind it are gone`;
      this.#findings.add('entries_missing', message, { index, tile });
    } else {
      const message = `${tile} can't be split into ${bundle.width} entries: right up to entry ${index}`;
      this.#findings.add('bundle_malformed', message, { index, tile });
    }
  }

  /** What a rightly signed entry must be besides. */
  #checkEntry(index: bigint, bytes: Uint8Array, tile: string): void {
    let entry: Entry;
    try {
      entry = parseEntry(bytes);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.#findings.add('entry_malformed', `entry ${index}: ${error.message}`, { index, tile });
      return;
    }
    const last = this.#last;
    this.#last = entry;
    if (index === 0n) this.first = entry;
    if (entry.partition !== this.#partition) {
      const message = `entry ${index} is of partition ${entry.partition}, not ${this.#partition}`;
      this.#findings.add('entry_malformed', message, { index, tile });
    } else if (last !== undefined && !isBehind(entry, last)) {
      const message = `entry ${index} is not behind the one before it: offset ${entry.offset}, place ${entry.place}`;
      this.#findings.add('entry_disordered', message, { index, tile });
    } else {
      this.checked++;
    }
  }
}

const isBehind = (entry: Entry, last: Entry): boolean =>
  entry.offset > last.offset || (entry.offset === last.offset && entry.place > last.place);

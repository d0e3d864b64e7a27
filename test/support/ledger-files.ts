import { readFileSync } from 'node:fs';
import avro from 'avsc';
import { encodeUtf8 } from '../../src/core/bytes.js';
import { encodeBundle } from '../../src/core/bundle.js';
import { signCheckpoint } from '../../src/core/checkpoint.js';
import { encodeRecordEntry } from '../../src/core/entry.js';
import { hashLeaf } from '../../src/core/merkle.js';
import { formatBundlePath, type BundleId } from '../../src/core/tile.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner } from '../../src/platform/signer.js';
import type { TileSource } from '../../src/verify/source.js';
import { TileStore } from './tree.js';

export const LEDGER = 'ledger.example/test';
export const signer = nodeSigner(new Uint8Array(32).fill(5));

const openingType = avro.Type.forSchema(
  JSON.parse(readFileSync(new URL('../../schemas/log.opened.v1.avsc', import.meta.url), 'utf8')) as avro.Schema,
);

export interface OpeningBody {
  ledger: string | null;
  origin: string | null;
  origins: string[] | null;
}

/** A `log.opened` record by the schema itself; its envelope holds something wherever it can. */
export function openingRecord(body: OpeningBody, type = 'log.opened'): Uint8Array {
  const fixed = (length: number): Buffer => Buffer.alloc(length, 7);
  const value = {
    dedupe: fixed(16),
    blind: fixed(16),
    id: 'opening of ünïcode',
    type,
    occurred_at: 1_705_746_600_000_000,
    accepted_at: 1_705_746_600_000_001,
    producer: 'keelson',
    producer_verified: true,
    source: '',
    protocol: 'internal',
    epoch: 3,
    sequence: null,
    assigned: ['id', 'type'],
    persons: [{ pointer: '/user', subject: fixed(16) }],
    sealed: [
      {
        subject: fixed(16),
        nonce: fixed(12),
        ciphertext: fixed(300),
        blob: { sha256: fixed(32), length: 70_000 },
        fields: [{ pointer: '/user', commitment: fixed(32) }],
      },
      { subject: fixed(16), nonce: fixed(12), ciphertext: fixed(0), blob: null, fields: [] },
    ],
    masked: [{ pointer: '/parameters', rule: 'jwt', digest: fixed(32) }],
    originals: [{ pointer: '/timestamp', text: '"2024-01-20T10:30:00Z"' }],
    body: { ...body, generation: 'g1', previous: null },
  };
  return Buffer.concat([Buffer.of(0xc3, 0x01), fixed(8), openingType.toBuffer(value)]);
}

/** A record of which nothing but the frame matters. */
export const plainRecord = (i: number): Uint8Array => {
  const record = new Uint8Array(60).fill(i % 251);
  record.set([0xc3, 0x01, i, i >> 8, i >> 16]);
  return record;
};

/** Entry `i` of a log as a sequencer might have made it: two records to a message, with holes between. */
export const entryOf = (i: number, record: Uint8Array, partition = 0): Uint8Array =>
  encodeRecordEntry({ appendedAtUs: BigInt(i), partition, offset: BigInt((i >> 1) * 3), place: i & 1 }, record);

/** One log with all its files, each remade on demand. */
export class LogFixture {
  readonly entries: Uint8Array[] = [];
  readonly tree = new TileStore(hasher);

  constructor(readonly log: string) {}

  get origin(): string {
    return `${LEDGER}/${this.log}`;
  }

  push(...entries: Uint8Array[]): this {
    for (const entry of entries) {
      this.entries.push(entry);
      this.tree.append(hashLeaf(hasher, entry));
    }
    return this;
  }

  /** An opening and plain entries behind it, up to `size`. */
  fill(size: number, origins: string[] | null = null): this {
    if (this.entries.length === 0 && size > 0) {
      this.push(entryOf(0, openingRecord({ ledger: LEDGER, origin: this.origin, origins })));
    }
    while (this.entries.length < size) this.push(entryOf(this.entries.length, plainRecord(this.entries.length)));
    return this;
  }

  checkpoint(): string {
    const head = { origin: this.origin, size: this.tree.frontier.size, root: this.tree.frontier.root() };
    return signCheckpoint(hasher, head, signer);
  }

  bundle({ index, width }: BundleId): Uint8Array {
    const first = Number(index) * 256;
    return encodeBundle(this.entries.slice(first, first + width));
  }

  /** Checkpoint, tiles and bundles by their path below the ledger. */
  files(): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>([[`${this.log}/checkpoint`, encodeUtf8(this.checkpoint())]]);
    for (const [path, bytes] of this.tree.files()) files.set(`${this.log}/${path}`, bytes.slice());
    for (let first = 0; first < this.entries.length; first += 256) {
      const bundle = { index: BigInt(first / 256), width: Math.min(256, this.entries.length - first) };
      files.set(`${this.log}/${formatBundlePath(bundle)}`, this.bundle(bundle));
    }
    return files;
  }
}

/** A ledger's files in memory; `read` lists what was asked for. */
export class MemorySource implements TileSource {
  readonly asked: string[] = [];
  constructor(readonly files: Map<string, Uint8Array>) {}

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    this.asked.push(path);
    const bytes = this.files.get(path);
    if (bytes && bytes.length > maxBytes) throw new Error(`${path} is larger than asked for`);
    return bytes?.slice();
  }
}

/** A ledger of two logs. */
export function makeLedger(decisions: number, lifecycle = 3): { logs: LogFixture[]; files: Map<string, Uint8Array> } {
  const logs = [new LogFixture('lifecycle/0/g1'), new LogFixture('decisions/0/g1')];
  logs[0]!.fill(
    lifecycle,
    logs.map(({ origin }) => origin),
  );
  logs[1]!.fill(decisions);
  return { logs, files: new Map(logs.flatMap((log) => [...log.files()])) };
}

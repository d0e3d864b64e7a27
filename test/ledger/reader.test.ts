import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseBundle } from '../../src/core/bundle.js';
import { parseCheckpoint } from '../../src/core/checkpoint.js';
import { makeVerifierKey } from '../../src/core/key.js';
import { hashLeaf } from '../../src/core/merkle.js';
import { parseNote } from '../../src/core/note.js';
import { checkConsistency, checkInclusion } from '../../src/core/proof.js';
import { checkReceipt, parseReceipt } from '../../src/core/receipt.js';
import { formatBundlePath, formatTilePath, tileHash } from '../../src/core/tile.js';
import { dedupeKey } from '../../src/events/index.js';
import type { EntryViews } from '../../src/ledger/entry-view.js';
import type { Log } from '../../src/ledger/log.js';
import { Precedence } from '../../src/ledger/precedence.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { registerLedger } from '../../src/ledger/routes.js';
import { Settlement } from '../../src/ledger/settlement.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { openHttp } from '../http/support.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { changeAsSuperuser } from './fsck-support.js';
import * as support from './support.js';
import {
  caughtUp,
  createDatabase,
  decisions,
  headOf,
  makePack,
  makePacks,
  makeRecord,
  openStore,
  runSequencer,
} from './support.js';

const SIZE = 2n + 100n * 7n;
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let running: support.Running;
let reader: LedgerReader;
let log: Log;

beforeAll(async () => {
  test = await createDatabase();
  eventLog = new MemoryEventLog([decisions]);
  for (const pack of [support.preamble(), ...makePacks(100, 7)]) await eventLog.append(decisions, pack);
  const store = openStore(test);
  running = await runSequencer(eventLog, store);
  await caughtUp(test, eventLog);
  reader = new LedgerReader({ database: test.database, store, hasher: nodeHasher, watch: running.watch });
  log = await reader.log('decisions/0/g1');
});
afterAll(async () => {
  await running.stop();
  await test.drop();
});

describe('LedgerReader', () => {
  it('reads any range of entries, and nothing beyond the end', async () => {
    const all = await reader.entries(log, 0n, SIZE);
    expect(all).toHaveLength(Number(SIZE));
    expect(await reader.entries(log, 13n, 40n)).toEqual(all.slice(13, 40));
    expect(await reader.entry(log, SIZE - 1n)).toEqual(all.at(-1));
    await expect(reader.entry(log, SIZE)).rejects.toMatchObject({ code: 'out_of_range' });
    await expect(reader.log('decisions/1/g1')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('makes every tile of the tree, full ones and partial ones of any width', async () => {
    const leaves = (await reader.entries(log, 0n, SIZE)).map((entry) => hashLeaf(nodeHasher, entry));
    for (const [index, width] of [
      [0n, 256],
      [1n, 256],
      [2n, 190],
      [0n, 3],
      [2n, 1],
    ] as const) {
      const tile = await reader.tile(log, { level: 0, index, width });
      expect(tile).toHaveLength(width * 32);
      for (let i = 0; i < width; i++) {
        expect(Buffer.compare(tileHash(tile, i), leaves[Number(index) * 256 + i]!)).toBe(0);
      }
    }
    const upper = await reader.tile(log, { level: 1, index: 0n, width: 2 });
    expect(upper).toHaveLength(64);
    await expect(reader.tile(log, { level: 0, index: 2n, width: 191 })).rejects.toMatchObject({ code: 'out_of_range' });
    await expect(reader.tile(log, { level: 1, index: 0n, width: 3 })).rejects.toMatchObject({ code: 'out_of_range' });
  });

  it('proves inclusion, consistency and offline receipts', async () => {
    const key = makeVerifierKey(nodeHasher, log.origin, support.signer.publicKey);
    for (const index of [0n, 1n, 255n, 256n, SIZE - 1n]) {
      const receipt = parseReceipt(await reader.receipt(log, index));
      expect(receipt.index).toBe(index);
      const entry = await reader.entry(log, index);
      expect(() => checkReceipt(nodeHasher, receipt, entry, key, support.verifier)).not.toThrow();
      const { proof, note } = await reader.inclusion(log, index, entry);
      const head = parseCheckpoint(parseNote(note).text);
      expect(() => checkInclusion(nodeHasher, index, hashLeaf(nodeHasher, entry), proof, head)).not.toThrow();
    }
    const store = openStore(test);
    const to = { size: SIZE, root: await store.rootAt(log, SIZE) };
    for (const size of [1n, 255n, 256n, 300n, SIZE]) {
      const from = { size, root: await store.rootAt(log, size) };
      const proof = await reader.consistency(log, size, SIZE);
      expect(() => checkConsistency(nodeHasher, from, proof, to)).not.toThrow();
    }
    const [entry] = await reader.entries(log, 0n, 1n);
    await expect(reader.inclusion(log, SIZE, entry!)).rejects.toMatchObject({ code: 'out_of_range' });
  });

  it('hands out no proof of what was not signed', async () => {
    const flip = (table: string, column: string, where: string): Promise<void> =>
      changeAsSuperuser(
        test,
        `update keelson.${table} set ${column} = set_byte(${column}, 40, get_byte(${column}, 40) # 1) where ${where}`,
      );
    const tampered = { code: 'tampered', log: log.path };
    for (const [table, column, where, index] of [
      ['page', 'entries', 'first_index = 0', 0n],
      ['tile', 'hashes', 'level = 0 and number = 1', 256n],
    ] as const) {
      await flip(table, column, where);
      await expect(reader.receipt(log, index)).rejects.toMatchObject({ ...tampered, index });
      await flip(table, column, where);
      await expect(reader.receipt(log, index)).resolves.toContain(`index ${index}\n`);
    }
    const { note, size } = (await reader.publication(log))!;
    const root = note.split('\n')[2]!;
    for (const other of [note.replace(root, `${root.startsWith('A') ? 'B' : 'A'}${root.slice(1)}`), 'no note']) {
      const put = (text: string): Promise<void> =>
        changeAsSuperuser(test, `update keelson.publication set note = '${text}' where size = ${size}`);
      await put(other);
      await expect(reader.receipt(log, 3n)).rejects.toMatchObject({ ...tampered, index: 3n });
      await put(note);
    }
    await expect(reader.receipt(log, 3n)).resolves.toContain(note);
  });
});

describe('Settlement', () => {
  it('answers with the entry a record became, the one it repeats, or why it was refused', async () => {
    const settlement = new Settlement(reader, eventLog, new Precedence());
    const { size } = await headOf(test);
    const offset = await eventLog.append(
      decisions,
      makePack(makeRecord('new'), makeRecord('e0/0'), makeRecord('e0/1', 'other content')),
    );
    const places = [0, 1, 2].map((place) => ({ offset, place }));
    const [made, repeat, refused] = await settlement.settle(decisions, places, 10_000);
    expect(made).toMatchObject({ outcome: 'recorded', index: size, log: 'decisions/0/g1' });
    expect(repeat).toMatchObject({ outcome: 'repeat', index: 2n });
    expect(refused).toMatchObject({ outcome: 'refused', reason: 'conflict', index: size + 1n });
    expect(repeat?.receipt).toBe('/v1/logs/decisions/0/g1/receipts/2');
    expect(await settlement.settle(decisions, [{ offset: offset + 1n, place: 0 }], 20)).toEqual([undefined]);
  });

  it('finds a dedupe key without the sequencer', async () => {
    const { record } = makeRecord('e99/6');
    expect(await reader.findKey(log, record.subarray(10, 26))).toBe(SIZE - 1n);
    expect(await reader.findKey(log, dedupeKey('no', 'such', 'event'))).toBeUndefined();
  });
});

describe('routes', () => {
  it('serves the log as C2SP files and JSON', async () => {
    const { http } = await openHttp();
    const views = { viewHits: async () => ['{}'] } as unknown as EntryViews;
    const options = {
      reader,
      views,
      hasher: nodeHasher,
      ledgerName: support.ledgerName,
      publicKey: support.signer.publicKey,
    };
    registerLedger(http, { ...options, settings: { KEELSON_PUBLIC_TILES: true } });
    const base = '/ledger/decisions/0/g1/';

    const checkpoint = await http.inject(`${base}checkpoint`);
    expect(checkpoint.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(parseCheckpoint(parseNote(checkpoint.body).text).origin).toBe(log.origin);

    const tile = await http.inject(`${base}${formatTilePath({ level: 0, index: 1n, width: 256 })}`);
    expect(tile.headers['content-type']).toBe('application/octet-stream');
    expect(tile.headers['cache-control']).toContain('immutable');
    expect(tile.rawPayload).toHaveLength(8192);

    const path = `${base}${formatBundlePath({ index: 2n, width: 100 })}`;
    expect((await http.inject(path)).statusCode).toBe(401);
    const bundle = await http.inject({ url: path, headers: { authorization: 'Bearer read' } });
    expect(Buffer.compare(parseBundle(bundle.rawPayload, 100)[0]!, await reader.entry(log, 512n))).toBe(0);

    for (const missing of ['tile/0/1', 'tile/0/9', 'tile/0/009', 'tile/64/000', 'tile/entries/000.p/256']) {
      const answer = await http.inject({ url: base + missing, headers: { authorization: 'Bearer read' } });
      expect(answer.statusCode, missing).toBe(404);
    }
    const logs = (await http.inject('/v1/logs')).json<{ logs: { log: string; size: number; verifierKey: string }[] }>();
    expect(logs.logs[0]).toMatchObject({ log: 'decisions/0/g1', origin: log.origin });
    const keys = (await http.inject('/v1/keys')).json<{ logs: Record<string, string> }>();
    expect(keys.logs['decisions/0/g1']).toBe(logs.logs[0]!.verifierKey);

    const consistency = await http.inject('/v1/logs/decisions/0/g1/consistency?from=10&to=700');
    expect(consistency.json<{ hashes: string[] }>().hashes.length).toBeGreaterThan(0);
    expect((await http.inject('/v1/logs/decisions/0/g1/consistency?from=10&to=70000')).statusCode).toBe(404);
    const receipt = await http.inject({
      url: '/v1/logs/decisions/0/g1/receipts/3',
      headers: { authorization: 'Bearer read' },
    });
    expect(parseReceipt(receipt.body).index).toBe(3n);
    await http.close();
  });

  it('keeps everything behind the read scope when tiles are not public', async () => {
    const { http } = await openHttp();
    const options = {
      reader,
      views: {} as EntryViews,
      hasher: nodeHasher,
      ledgerName: 'x',
      publicKey: support.signer.publicKey,
    };
    registerLedger(http, { ...options, settings: { KEELSON_PUBLIC_TILES: false } });
    for (const url of ['/ledger/decisions/0/g1/checkpoint', '/ledger/decisions/0/g1/tile/0/000', '/v1/logs']) {
      expect((await http.inject(url)).statusCode).toBe(401);
      expect((await http.inject({ url, headers: { authorization: 'Bearer read' } })).statusCode).toBe(200);
    }
    await http.close();
  });
});

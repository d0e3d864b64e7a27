/** What is over leaves memory while the process runs, and is as after a restart when an entry names it again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/json.js';
import { Graph } from '../../src/identity/graph.js';
import { identityProjection, type GraphHolder } from '../../src/identity/projection.js';
import { Sweep } from '../../src/identity/sweep.js';
import type { Fold } from '../../src/ledger/projection.js';
import type { Log } from '../../src/ledger/log.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { batchOf, graphOf, hexOf, identityOf, makeEntry, makeLogs, NOW_US } from './support.js';

const AS = 'https://as.example';
const FIRST_US = 1_700_000_000_000_000;
const EXPIRED = 1_750_000_000;

describe('memory', () => {
  it('does not grow with tokens that have expired, nor with what they hung on', () => {
    const graph = new Graph();
    const sweep = new Sweep(graph);
    const bytes: number[] = [];
    for (let generation = 0; generation < 20; generation++) {
      for (let i = 0; i < 2000; i++) {
        const name = `${String(generation).padStart(4, '0')}-${String(i).padStart(4, '0')}`;
        const token = graph.mention('token', AS, name, 1);
        graph.describeToken(token, 1, generation + 1, undefined);
        graph.hang(graph.mention('session', AS, name, 1), token, 1, 1);
        graph.hang(graph.mention('agent', '', 'bot', 1), token, 1, 1);
      }
      graph.takeChanges();
      // A few steps behind, as beside the fold.
      for (let step = 0; step < 10; step++) sweep.step(generation + 1, 1000);
      bytes.push(graph.bytes);
    }
    expect(bytes.at(-1)).toBe(bytes[4]);
    for (let step = 0; step < 20; step++) sweep.step(100, 1000);
    expect(graph.nodes.size).toBe(1);
    expect(graph.edges.firstOfParent(graph.nodes.find('agent', '', 'bot'))).toBe(-1);
  });

  it('keeps whatever something living hangs on, and a token that a living one was exchanged for', () => {
    const graph = graphOf([
      { type: 'grant.given', grant: 'outlived', principal: 'dana', expires_at: EXPIRED },
      { type: 'token.seen', token: { jti: 'first', issuer: AS, expires_at: EXPIRED }, grant: 'outlived' },
      { type: 'token.seen', token: { jti: 'second', issuer: AS, expires_at: 1_900_000_000 }, parent: 'first' },
      { type: 'token.seen', token: { jti: 'gone', issuer: AS, expires_at: EXPIRED }, grant: 'gone' },
    ]);
    graph.takeChanges();
    new Sweep(graph).step(NOW_US);
    expect(graph.nodes.find('token', AS, 'gone')).toBe(-1);
    expect(graph.nodes.find('grant', '', 'gone')).toBe(-1);
    const { tokens } = identityOf(graph).descendantsOf({ subjects: [hexOf('dana')] }, NOW_US);
    expect(tokens).toMatchObject([{ jti: 'second' }]);
    // Its own end past, nothing of the chain is left.
    new Sweep(graph).step(1_950_000_000_000_000);
    for (const kind of ['token', 'grant', 'parent'] as const) {
      for (const id of ['first', 'second', 'outlived']) expect(graph.nodes.find(kind, AS, id)).toBe(-1);
    }
  });
});

describe('what comes back', () => {
  let test: TestDatabase;
  let logs: Log[];
  let fold: Fold;
  const holder: GraphHolder = { graph: undefined };
  const next = [0n, 0n];
  beforeAll(async () => {
    test = await createDatabase();
    logs = await makeLogs(test.database, [
      ['lifecycle', 0],
      ['activity', 0],
    ]);
    const projection = identityProjection({ clock: { nowUs: () => BigInt(NOW_US) }, holder });
    fold = await test.database.transaction((tx) => projection.open(tx, 'keelson'));
  });
  afterAll(async () => {
    await fold.close?.();
    await test.drop();
  });

  async function publish(log: 0 | 1, event: JsonObject): Promise<void> {
    const entry = makeEntry(event, FIRST_US + Number(next[0]! + next[1]!));
    await test.database.transaction((tx) => fold.fold(tx, batchOf(logs[log]!, next[log]!++, [entry])));
  }

  it('hangs on what it hung on, so that a leaver ends it', async () => {
    await publish(0, { type: 'delegation.granted', delegation: 'd1', from: 'dana', expires_at: EXPIRED });
    await publish(0, { type: 'delegation.granted', delegation: 'd2', parent: 'd1', expires_at: EXPIRED });
    await publish(1, { type: 'session.started', session_id: 's1', issuer: AS, user: 'dana' });
    await publish(1, { type: 'session.ended', session_id: 's1', issuer: AS });
    await fold.idle!();
    const graph = holder.graph!;
    for (const [kind, issuer, id] of [
      ['delegation', '', 'd1'],
      ['delegation', '', 'd2'],
      ['session', AS, 's1'],
    ] as const) {
      expect(graph.nodes.find(kind, issuer, id)).toBe(-1);
    }
    const identity = identityOf(graph);
    const { mark } = identity.changedSince(undefined);
    await publish(1, {
      type: 'token.seen',
      token: { jti: 't1', issuer: AS, expires_at: 1_900_000_000 },
      delegation: 'd2',
    });
    await publish(1, {
      type: 'token.seen',
      token: { jti: 't2', issuer: AS, expires_at: 1_900_000_000 },
      session_id: 's1',
    });
    const { tokens } = identity.descendantsOf({ subjects: [hexOf('dana')] }, NOW_US);
    expect(tokens.map(({ jti }) => jti).sort()).toEqual(['t1', 't2']);
    expect(identity.changedSince(mark).subjects).toContain(hexOf('dana'));
    expect(graph.isEnded(graph.nodes.find('session', AS, 's1'))).toBe(true);
  });

  it('a token that expired does not live again because a late entry names it', async () => {
    await publish(1, { type: 'token.seen', token: { jti: 'late', issuer: AS, expires_at: EXPIRED }, agent: 'bot' });
    await fold.idle!();
    expect(holder.graph!.nodes.find('token', AS, 'late')).toBe(-1);
    await publish(1, { type: 'token.seen', token: { jti: 'late', issuer: AS }, agent: 'bot' });
    const descendants = identityOf(holder.graph).descendantsOf({ type: 'agent', issuer: '', id: 'bot' }, NOW_US);
    expect(descendants.tokens).toEqual([]);
  });
});

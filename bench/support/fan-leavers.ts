import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FanServer, Witness } from './fan-server.js';
import type { Fan } from './fan.js';
import { fromPerformance } from './now.js';
import { say } from './progress.js';

/** One leaver, in milliseconds since HR's webhook was accepted; what comes before that is negative. */
export interface FanSample {
  readonly sent: number;
  readonly causeCommitted: number;
  readonly orderCommitted: number;
  /** Heard by the first who is told. */
  readonly frameSent: number;
  readonly firstApplied: number;
  readonly lastApplied: number;
  /** The last instance's canary was refused. */
  readonly lastRefused: number;
  readonly frameBytes: number;
}

/** An order that takes longer never comes. */
const WITHIN_MS = 60_000;
const SAY_MS = 15_000;

/** One leaver after another, the next once all have refused; fewer than `count` where they take longer than `atMostMs`. */
export async function runLeavers(
  server: FanServer,
  fan: Fan,
  witness: Witness,
  { count, atMostMs }: { readonly count: number; readonly atMostMs: number },
): Promise<FanSample[]> {
  const seen: (Omit<FanSample, 'causeCommitted' | 'orderCommitted'> & { readonly id: string; acceptedMs: number })[] =
    [];
  const startMs = performance.now();
  for (let saidMs = startMs; seen.length < count && performance.now() - startMs < atMostMs;) {
    if (performance.now() - saidMs > SAY_MS) {
      say(`${seen.length} of ${count} orders`);
      saidMs = performance.now();
    }
    const person = `leaver-${randomUUID()}`;
    const told = witness.next(person);
    const { id, sentMs, acceptedMs } = await server.sendLeaver(person);
    const frame = await told;
    const { firstMs, lastMs, refusedMs } = await fan.reached(frame.seq, WITHIN_MS);
    seen.push({
      id,
      acceptedMs,
      sent: sentMs - acceptedMs,
      frameSent: frame.atMs - acceptedMs,
      firstApplied: firstMs - acceptedMs,
      lastApplied: lastMs - acceptedMs,
      lastRefused: refusedMs - acceptedMs,
      frameBytes: frame.bytes,
    });
  }
  const indexes = await readIndexes(server, new Set(seen.map(({ id }) => id)));
  const committedMs = (index: number): number => fromPerformance(server.watch.committedMs(index));
  return seen.map(({ id, acceptedMs, ...sample }) => {
    const row = indexes.get(id)!;
    return {
      ...sample,
      causeCommitted: committedMs(row.cause) - acceptedMs,
      orderCommitted: committedMs(row.ordered) - acceptedMs,
    };
  });
}

interface Indexes {
  readonly cause: number;
  readonly ordered: number;
}

/** Where cause and order are in lifecycle, by webhook. The tables have them a little after everybody refuses. */
async function readIndexes(server: FanServer, ids: ReadonlySet<string>): Promise<Map<string, Indexes>> {
  for (const endMs = performance.now() + WITHIN_MS; ; await sleep(100)) {
    const { rows } = await server.database.query(
      `select doc->>'id' as id, index as cause, doc->>'orderedIndex' as ordered from keelson.revocation_cause
       where doc->>'orderedIndex' is not null`,
    );
    const found = rows.map(({ id, cause, ordered }): [string, Indexes] => [
      /msg_[0-9a-f-]+/.exec(id as string)?.[0] ?? '',
      { cause: Number(cause), ordered: Number(ordered) },
    ]);
    const wanted = new Map(found.filter(([id]) => ids.has(id)));
    if (wanted.size === ids.size) return wanted;
    if (performance.now() > endMs) throw new Error(`${ids.size - wanted.size} webhooks have no order`);
  }
}

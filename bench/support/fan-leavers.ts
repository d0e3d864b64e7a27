import { randomUUID } from 'node:crypto';
import type { FanServer, Witness } from './fan-server.js';
import type { Fan } from './fan.js';
import { fromPerformance } from './now.js';

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

const WITHIN_MS = 60_000;

/** One leaver after another, the next once all have refused. */
export async function runLeavers(server: FanServer, fan: Fan, witness: Witness, count: number): Promise<FanSample[]> {
  const seen: (Omit<FanSample, 'causeCommitted' | 'orderCommitted'> & { readonly id: string; acceptedMs: number })[] =
    [];
  for (let i = 0; i < count; i++) {
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
  const { rows } = await server.database.query(
    `select doc->>'id' as id, index as cause, doc->>'orderedIndex' as ordered from keelson.revocation_cause`,
  );
  const committedMs = (index: unknown): number => fromPerformance(server.watch.committedMs(Number(index)));
  return seen.map(({ id, acceptedMs, ...sample }) => {
    const row = rows.find((one) => (one.id as string).includes(id));
    if (row === undefined) throw new Error(`no cause of ${id}`);
    return {
      ...sample,
      causeCommitted: committedMs(row.cause) - acceptedMs,
      orderCommitted: committedMs(row.ordered) - acceptedMs,
    };
  });
}

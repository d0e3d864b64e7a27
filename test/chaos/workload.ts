/** Publishers that give up never: each event is sent, with the same id, until it is acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from './dice.js';

export interface Workload {
  /** Ids that were acknowledged. */
  readonly accepted: Set<string>;
  /** Ids that were acknowledged as quarantined. */
  readonly quarantined: Set<string>;
  /** Requests that got no acknowledgement and were sent again. */
  readonly retries: () => number;
  /** Resolves when every event is acknowledged. */
  readonly done: Promise<void>;
  /** Lets the flow go on to this many events; it begins with none. */
  release(events: number): void;
}

interface Answer {
  items: { status: string; id?: string }[];
}

const DEADLINE_MS = 10 * 60_000;

/**
 * @param target where to send next; asked before every request
 * @param pauseMs of each publisher between requests
 */
export function startWorkload(
  dice: Dice,
  target: () => { url: string; token: string },
  { events, publishers, pauseMs }: { events: number; publishers: number; pauseMs: number },
): Workload {
  const accepted = new Set<string>();
  const quarantined = new Set<string>();
  let retries = 0;
  let released = 0;
  let next = 0;

  const publish = async (publisher: number): Promise<void> => {
    while (next < events) {
      if (next >= released) {
        await sleep(20);
        continue;
      }
      const from = next;
      next = Math.min(released, from + dice.between(1, 200));
      const batch = Array.from({ length: next - from }, (_, i) => makeEvent(from + i, publisher));
      const body = JSON.stringify(batch);
      for (const end = Date.now() + DEADLINE_MS; ; retries++) {
        const answer = await send(target(), body);
        if (answer !== undefined) {
          for (const [i, { status }] of answer.items.entries()) {
            (status === 'quarantined' ? quarantined : accepted).add(batch[i]!.id);
          }
          break;
        }
        if (Date.now() > end) throw new Error('an event was not acknowledged in ten minutes');
        await sleep(100);
      }
      await sleep(pauseMs);
    }
  };
  const done = Promise.all(Array.from({ length: publishers }, (_, i) => publish(i))).then(() => undefined);
  done.catch(() => undefined); // told where it is awaited
  const release = (count: number): void => void (released = Math.min(events, Math.ceil(count)));
  return { accepted, quarantined, retries: () => retries, done, release };
}

/** Undefined where nothing was acknowledged: no connection, a cut one, an answer of 5xx. */
async function send({ url, token }: { url: string; token: string }, body: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${url}/v1/decisions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(15_000),
    });
    if (response.status >= 500) return undefined;
    if (response.status !== 200) throw new Refusal(`the server answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Answer;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    return undefined;
  }
}

/** An answer that sending again would not mend. */
class Refusal extends Error {}

/** Every 97th can't become an event: its time is none. */
function makeEvent(n: number, publisher: number): { id: string } & Record<string, unknown> {
  return {
    id: `chaos-${n}`,
    timestamp: n % 97 === 96 ? 'yesterday' : '2026-11-23T10:30:00Z',
    agent: `spiffe://company.com/agent/${n % 50}`,
    user: `user-${n % 20}@company.com`,
    tool: 'deploy_to_production',
    parameters: { n, publisher },
    decision: n % 3 === 0 ? 'deny' : 'allow',
  };
}

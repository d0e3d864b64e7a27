/**
 * Publishing what a source says, and waiting until it counts: durable, in the ledger, and folded. Event ids are made of what is
 * changed and its version, so that a request that is sent again after a time-out repeats what was sent and doubles nothing; and two
 * that change the same version at once can't both be recorded.
 */
import type { Producer } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import { stringifyJson, type JsonObject } from '../events/index.js';
import type { Intake } from '../intake/intake.js';
import type { Protocol } from '../intake/item.js';
import type { Settled } from '../intake/ledger-port.js';
import type { Clock } from '../platform/clock.js';
import { formatTimestamp } from '../events/time.js';

/** An event without its timestamp: that is when it is published. */
export interface Outgoing {
  readonly id: string;
  readonly event: JsonObject;
}

export interface PublicationOptions {
  readonly intake: Pick<Intake, 'accept' | 'settle'>;
  readonly clock: Clock;
}

export type Published =
  | { readonly outcome: 'recorded'; readonly log: string; readonly size: bigint }
  /** Something else was recorded under one of these ids; it is among the first `size` entries. */
  | { readonly outcome: 'conflict'; readonly log: string; readonly size: bigint };

/**
 * @param showedToken where what is to be revoked was shown to the route itself
 * @throws KeelsonError `not_ready` where the ledger does not have it in time; what intake raises; why an event was refused
 */
export async function publish(
  { intake, clock }: PublicationOptions,
  protocol: string,
  producer: Producer,
  events: readonly Outgoing[],
  waitMs: number,
  showedToken?: true,
): Promise<Published> {
  const timestamp = formatTimestamp(clock.nowUs());
  const accepted = await intake.accept(Buffer.alloc(0), {
    protocol: sayEvents(protocol, events, timestamp),
    // The route has checked what the caller may; every event here is made by this room.
    sender: {
      producer,
      verified: true,
      scopes: new Set(['publish:lifecycle']),
      ...(showedToken === undefined ? {} : { showedToken }),
    },
    topics: ['lifecycle'],
  });
  const { items } = await intake.settle(accepted, waitMs);
  const settled = items.map((item): Settled => {
    if (item.status === 'quarantined') throw item.error;
    if (item.settled === undefined) throw notYet();
    return item.settled;
  });
  for (const { outcome, reason } of settled) {
    if (outcome === 'refused' && reason !== 'conflict') {
      throw new KeelsonError('internal', `the ledger refused an event of its own making: ${reason}`);
    }
  }
  const last = settled.reduce((max, one) => (one.index > max.index ? one : max));
  const conflicted = settled.some(({ outcome }) => outcome === 'refused');
  return { outcome: conflicted ? 'conflict' : 'recorded', log: last.log, size: last.index + 1n };
}

export const notYet = (): KeelsonError =>
  new KeelsonError('not_ready', 'the ledger does not have it yet: send it again, nothing is doubled', {
    retryAfterS: 2,
  });

/** A protocol whose body is already taken apart. A repeat is told by all but the timestamp. */
function sayEvents(name: string, events: readonly Outgoing[], timestamp: string): Protocol {
  return {
    name,
    parse: (_body, { digest }) => ({
      list: true,
      count: events.length,
      items: (function* () {
        for (const { id, event } of events) {
          const contentDigest = digest(event);
          const dated = Object.assign(event, { timestamp });
          yield {
            raw: Buffer.from(stringifyJson(dated)),
            event: dated,
            digest: contentDigest,
            id,
            assigned: [],
            source: '',
          };
        }
      })(),
    }),
  };
}

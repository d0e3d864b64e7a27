/** What intake makes of a webhook whose sender is known: its items are mapped, and each becomes its events. */
import type { HrConfig, HrEvent } from '../../access/hr-config.js';
import { KeelsonError } from '../../core/error.js';
import { formatTimestamp, stringifyJson, type Json } from '../../events/index.js';
import { refuse, type Item, type ParseOptions, type Protocol } from '../../intake/item.js';
import { mapItem, OWN_FORM, splitPeople, type Said } from './mapping.js';

export const HR_PROTOCOL = 'hr';

/** A webhook, read: which person of it each event is about. */
export interface Reading {
  readonly protocol: Protocol;
  /** One for each event that goes to intake, in order. */
  readonly about: readonly { readonly person: number; readonly event?: HrEvent }[];
  readonly people: number;
  readonly ignored: number;
}

interface Outgoing {
  readonly person: number;
  readonly event?: HrEvent;
  readonly make: (options: ParseOptions) => Item;
}

/**
 * @param id what tells this webhook from every other one of its source: the ids of its events follow from it
 * @param sentAtUs the time of what does not say when it happened
 * @throws KeelsonError `unmappable`, `too_many_items`: nothing of it can be told apart
 */
export function readWebhook(config: HrConfig, body: Json, id: string, sentAtUs: bigint, maxPeople: number): Reading {
  const { mapping = OWN_FORM, zone = 'UTC' } = config;
  const items = splitPeople(body, mapping, maxPeople);
  const outgoing: Outgoing[] = [];
  let ignored = 0;
  for (const [person, item] of items.entries()) {
    const eventId = `hr/${id}/${person}`;
    const raw = (): Buffer => Buffer.from(stringifyJson(item.item));
    let said: Said;
    try {
      said = mapItem(item, mapping, zone);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      outgoing.push({ person, make: () => refuse(raw(), error, { id: eventId }) });
      continue;
    }
    if (said.event === 'ignored') ignored++;
    const timestamp = formatTimestamp(said.occurredAtUs ?? sentAtUs);
    for (const { suffix, event } of said.events) {
      outgoing.push({
        person,
        event: said.event,
        make({ digest }) {
          // A repeat is told by what was said, not by when it was sent.
          const contentDigest = digest(event);
          event.timestamp = timestamp;
          const assigned = said.occurredAtUs === undefined ? ['timestamp'] : [];
          return { raw: raw(), event, digest: contentDigest, id: eventId + suffix, assigned, source: '' };
        },
      });
    }
  }
  return {
    about: outgoing.map(({ person, event }) => ({ person, ...(event === undefined ? {} : { event }) })),
    people: items.length,
    ignored,
    protocol: {
      name: HR_PROTOCOL,
      parse: (_body, options) => ({
        list: true,
        count: outgoing.length,
        items: (function* () {
          for (const { make } of outgoing) yield make(options);
        })(),
      }),
    },
  };
}

/** A webhook that can't be read at all. */
export const UNREADABLE: Protocol = {
  name: HR_PROTOCOL,
  parse: () => {
    throw new Error('it could not be read before');
  },
};

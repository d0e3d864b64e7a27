/** What a sender is told, as JSON. */
import { Type, type Static } from 'typebox';
import type { Accepted, ItemResult } from './intake.js';

export const ItemAnswer = Type.Object({
  status: Type.Enum(['accepted', 'quarantined', 'conflict', 'refused'], {
    description:
      '`accepted`: durable in the event log. `quarantined`: kept, but no event. When waited for: `conflict`: an event of ' +
      'this id with other content was there before; `refused`: for another reason, see `code`; an entry says so',
  }),
  id: Type.Optional(Type.String({ description: 'The event’s id' })),
  log: Type.Optional(Type.String({ description: 'When waited for: the log its entry is in' })),
  index: Type.Optional(Type.String({ description: 'When waited for: the entry’s index, in decimal' })),
  receipt: Type.Optional(Type.String({ description: 'When waited for: where its receipt is' })),
  repeat: Type.Optional(Type.Boolean({ description: 'When waited for: the ledger had it already, at this index' })),
  code: Type.Optional(Type.String({ description: 'Why it was quarantined or refused' })),
  detail: Type.Optional(Type.String()),
  pointer: Type.Optional(Type.String({ description: 'JSON pointer into the event' })),
  quarantineId: Type.Optional(Type.String()),
});

export const UploadAnswer = Type.Object(
  {
    accepted: Type.Integer({ description: 'Events that are durable in the event log' }),
    quarantined: Type.Integer(),
    items: Type.Array(ItemAnswer, { description: 'One for each event of the body, in order' }),
  },
  { $id: 'UploadAnswer' },
);

export const OpaAnswer = Type.Object(
  { accepted: Type.Integer(), quarantined: Type.Integer() },
  { $id: 'OpaAnswer', description: 'For people: OPA looks at the status only' },
);

export const countQuarantined = (items: readonly ItemResult[]): number =>
  items.reduce((count, { status }) => count + (status === 'quarantined' ? 1 : 0), 0);

export function formatAccepted({ items }: Accepted): Static<typeof UploadAnswer> {
  const quarantined = countQuarantined(items);
  return { accepted: items.length - quarantined, quarantined, items: items.map(formatItem) };
}

function formatItem(item: ItemResult): Static<typeof ItemAnswer> {
  const id = item.id === undefined ? {} : { id: item.id };
  if (item.status === 'quarantined') {
    const { code, message, pointer } = item.error;
    const where = pointer === undefined ? {} : { pointer };
    return { status: 'quarantined', ...id, code, detail: message, ...where, quarantineId: item.quarantineId };
  }
  if (item.settled === undefined) return { status: 'accepted', ...id };
  const { outcome, log, index, receipt, reason = 'refused' } = item.settled;
  const refusal = { status: reason === 'conflict' ? 'conflict' : 'refused', code: reason } as const;
  return {
    ...(outcome === 'refused' ? refusal : { status: 'accepted' }),
    ...id,
    log,
    index: String(index),
    ...(receipt === undefined ? {} : { receipt }),
    ...(outcome === 'repeat' ? { repeat: true } : {}),
  };
}

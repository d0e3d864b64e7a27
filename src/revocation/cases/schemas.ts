/** What the API shows of a case. */
import { Type, type Static } from 'typebox';

const Entry = Type.Object({ log: Type.String(), index: Type.Integer() });
export const Gap = Type.Object(
  {
    reason: Type.String({ description: 'As a code: docs/revocation.md' }),
    issuer: Type.Optional(Type.String()),
    count: Type.Optional(Type.Integer()),
    point: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String()),
    keyTypes: Type.Optional(Type.Array(Type.String())),
    log: Type.Optional(Type.String()),
    index: Type.Optional(Type.Integer()),
  },
  { description: 'What is not proven' },
);
export const CaseView = Type.Object({
  order: Type.String(),
  seq: Type.Integer({ description: 'Who enforces the table up to this change, enforces the order' }),
  state: Type.String({ description: 'open, enforced, fenced, incomplete or reopened' }),
  result: Type.Optional(
    Type.String({ description: 'How it ended: enforced, fenced or incomplete; reopened: incomplete' }),
  ),
  orderedAt: Type.String({ description: 'When its last part was in the ledger' }),
  closedAt: Type.Optional(Type.String({ description: 'When the entry that closed it was' })),
  acked: Type.Integer({ description: 'Instances that attested it' }),
  partial: Type.Integer({ description: 'Instances that did, and can not find keys of every type that it names' }),
  contradicting: Type.Integer({ description: 'Instances that attested another table than there is' }),
  silent: Type.Integer({ description: 'Instances that did not attest it yet, and may have a lease from before' }),
  fenced: Type.Integer({ description: 'Instances that did not, and whose lease ran out that was granted before' }),
  unfenced: Type.Integer({ description: 'The same, where tools fail open: that proves nothing' }),
  absent: Type.Integer({ description: 'Instances that had no lease when it was ordered: nobody waits for them' }),
  incomplete: Type.Array(Gap),
  entry: Type.Optional(Entry),
});

const At = Type.String({ description: 'RFC 3339' });
export const InstanceView = Type.Object({
  instance: Type.String(),
  point: Type.String(),
  status: Type.String({
    description: 'acked, partial, contradicting, silent, fenced, unfenced, absent, retired or later (joined after it)',
  }),
  ack: Type.Optional(
    Type.Object({
      seq: Type.Optional(Type.Integer()),
      log: Type.String(),
      index: Type.Integer(),
      at: Type.Optional(At),
      keyTypes: Type.Optional(Type.Array(Type.String())),
      mappingHash: Type.Optional(Type.String()),
    }),
  ),
  unmapped: Type.Optional(Type.Array(Type.String(), { description: 'Types of keys that it can not find' })),
  quarantined: Type.Optional(Type.Boolean({ description: 'Its point gets no leases' })),
  silentS: Type.Optional(Type.Integer({ description: 'Seconds since it asked for a lease, to some 20 s' })),
});
export const PointView = Type.Object({
  point: Type.String(),
  acked: Type.Integer(),
  partial: Type.Integer(),
  contradicting: Type.Integer(),
  silent: Type.Integer(),
  fenced: Type.Integer(),
  unfenced: Type.Integer(),
  absent: Type.Integer(),
});
export const Step = Type.Object({
  at: At,
  what: Type.String({ description: 'ordered, last_part, first_ack, last_ack, late, closed, reopened' }),
  point: Type.Optional(Type.String()),
  result: Type.Optional(Type.String()),
  parts: Type.Optional(Type.Integer()),
  entry: Type.Optional(Entry),
});
export const TokensView = Type.Object(
  {
    count: Type.Integer({ description: 'Tokens that hang on whom or what the order is about' }),
    atLeast: Type.Boolean({ description: 'There are more than were counted' }),
    lastUsedAt: Type.Optional(At),
    tokens: Type.Array(
      Type.Object({
        issuer: Type.String(),
        id: Type.String(),
        digests: Type.Array(Type.String()),
        state: Type.String(),
        lastUsedOn: Type.Optional(Type.String({ description: 'The day of its last recorded use' })),
      }),
      { description: 'Those used last, 100 at most' },
    ),
  },
  { description: 'As the identity graph knows them now; absent where it can not be asked' },
);
export const CaseDetail = Type.Object({
  ...CaseView.properties,
  points: Type.Array(PointView),
  instances: Type.Array(InstanceView, {
    description: 'Of a closed case: as it was closed, as far as its entry names them',
  }),
  stragglers: Type.Array(InstanceView, { description: 'Who has not attested it, the longest silent first' }),
  timeline: Type.Array(Step),
  tokens: Type.Optional(TokensView),
});
export type CaseView = Static<typeof CaseView>;
export type CaseDetail = Static<typeof CaseDetail>;
export type InstanceView = Static<typeof InstanceView>;
export type Gap = Static<typeof Gap>;
export type PointView = Static<typeof PointView>;
export type Step = Static<typeof Step>;
export type TokensView = Static<typeof TokensView>;

/** Nodes, edges and lists as JSON for those who ask. */
import { Type, type Static } from 'typebox';
import { formatTimestamp } from '../events/time.js';
import type { Positions } from '../ledger/projection.js';
import type { TypedKey } from '../protocol/token-keys.js';
import type { EdgePage } from './edge-page.js';
import type { PersonName } from './people.js';
import type { EntryAbout } from './reader.js';
import { STATES, type Standing } from './standing.js';
import type { Verdict } from './verdicts.js';

const Text = Type.Optional(Type.String());
export const Person = Type.Object({ issuer: Type.String(), id: Type.String() });
const Ref = {
  type: Type.String(),
  issuer: Text,
  id: Type.String({ description: 'Of a person the pseudonym' }),
  state: Type.Enum([...STATES]),
  person: Type.Optional(Person),
};
export const NodeRef = Type.Object(Ref);
export const AsOf = Type.Record(Type.String(), Type.Integer(), {
  description: 'By log: the answer is complete to this many of its entries',
});
export const EntryRef = Type.Object({
  log: Type.String(),
  index: Type.Integer(),
  appendedAt: Type.String(),
  type: Type.String(),
});
const Verification = Type.Object(
  {
    ...EntryRef.properties,
    registration: Type.Integer({ description: 'Where in lifecycle the registration stands that was checked' }),
    current: Type.Boolean({ description: 'Whether it was not registered anew since' }),
    method: Text,
    code: Type.Optional(Type.String({ description: 'Why it failed' })),
    expiresAt: Text,
  },
  { description: 'What checking its newest registration came to' },
);
const UseRef = Type.Object({ log: Type.String(), index: Type.Integer(), appendedAt: Type.String() });
export const Key = Type.Object({ type: Type.String(), key: Type.String({ description: '32 hex digits' }) });
export const NodeSummary = Type.Object({
  ...Ref,
  firstSeenAt: Type.String(),
  registeredAt: Text,
  expiresAt: Text,
  owner: Type.Optional(NodeRef),
  onOwnerLeave: Text,
  riskLevel: Text,
  lastUsedOn: Type.Optional(Type.String({ description: 'The last day (UTC) on which a decision named it' })),
  issuedAt: Text,
  acceptedAt: Type.Optional(Type.String({ description: 'When an entry first said that a point took the token' })),
  endedAt: Text,
  digests: Type.Optional(Type.Array(Type.String())),
});
export const Edge = Type.Object({
  node: NodeRef,
  relations: Type.Array(Type.Object({ as: Type.String(), since: Text })),
});
export const Edges = Type.Object({ edges: Type.Array(Edge), next: Text });
export const NodeView = Type.Object({
  ...NodeSummary.properties,
  successor: Type.Optional(NodeRef),
  at: Text,
  first: Type.Optional(EntryRef),
  approved: Type.Optional(EntryRef),
  ended: Type.Optional(EntryRef),
  verification: Type.Optional(Verification),
  firstUse: Type.Optional(UseRef),
  lastUse: Type.Optional(UseRef),
  keys: Type.Optional(Type.Array(Key, { description: 'Of a token: the keys that revoke it' })),
  revoked: Type.Optional(
    Type.Object({ revoked: Type.Boolean(), reason: Text, order: Text, link: Text }, { description: 'As of now' }),
  ),
  above: Edges,
  below: Edges,
  entries: Type.Array(Type.Unknown(), { description: 'What first, approved and ended name, as far as you may see it' }),
  asOf: AsOf,
});

const time = <K extends string>(name: K, us: bigint | null | undefined): { [P in K]?: string } =>
  (us === null || us === undefined ? {} : { [name]: formatTimestamp(us) }) as { [P in K]?: string };

/** Names for nodes; with persons where the reader may see them. */
export class NodeViews {
  /** @param people by pseudonym. */
  constructor(private readonly people: ReadonlyMap<string, PersonName>) {}

  ref({ kind, issuer, id, state }: Standing): Static<typeof NodeRef> {
    const person = kind === 'principal' ? this.people.get(id) : undefined;
    return { type: kind, ...(issuer === '' ? {} : { issuer }), id, state, ...(person === undefined ? {} : { person }) };
  }

  summary(node: Standing, owner: Standing | undefined): Static<typeof NodeSummary> {
    const { token, usedDay, onOwnerLeave, riskLevel } = node;
    return {
      ...this.ref(node),
      firstSeenAt: formatTimestamp(node.firstUs),
      ...time('registeredAt', node.registeredUs),
      ...time('expiresAt', node.expiresUs),
      ...(owner === undefined ? {} : { owner: this.ref(owner) }),
      ...(onOwnerLeave === null ? {} : { onOwnerLeave }),
      ...(riskLevel === null ? {} : { riskLevel }),
      ...(usedDay === null ? {} : { lastUsedOn: new Date(usedDay * 86_400_000).toISOString().slice(0, 10) }),
      ...time('issuedAt', token?.issuedUs),
      ...time('acceptedAt', token?.acceptedUs),
      ...time('endedAt', token?.endedUs),
      ...(token === undefined || token.digests.length === 0 ? {} : { digests: [...token.digests] }),
    };
  }

  edges({ edges }: EdgePage): Static<typeof Edge>[] {
    return edges.map(({ node, relations }) => ({
      node: this.ref(node),
      relations: relations.map(({ as, sinceUs }) => ({ as, ...time('since', sinceUs) })),
    }));
  }
}

export const viewEntry = ({ log, index, atUs, type }: EntryAbout): Static<typeof EntryRef> => ({
  log,
  index: Number(index),
  appendedAt: formatTimestamp(atUs),
  type,
});

export const viewVerdict = (verdict: Verdict): Static<typeof Verification> => {
  const { log, index, atUs, registration, isVerified, method, code, expiresUs, isCurrent } = verdict;
  return {
    ...viewEntry({ log, index, atUs, type: isVerified ? 'registration.verified' : 'registration.failed' }),
    registration: Number(registration),
    current: isCurrent,
    ...(method === null ? {} : { method }),
    ...(code === null ? {} : { code }),
    ...(expiresUs === 0n ? {} : { expiresAt: formatTimestamp(expiresUs) }),
  };
};

export const viewKeys = (keys: readonly TypedKey[]): Static<typeof Key>[] =>
  [...new Map(keys.map(({ type, key }) => [Buffer.from(key).toString('hex'), type]))].map(([key, type]) => ({
    type,
    key,
  }));

export const viewPositions = (positions: Positions): Record<string, number> =>
  Object.fromEntries([...positions].map(([path, size]) => [path, Number(size)]));

/** Causes, orders and verdicts as JSON. */
import { Type, type Static } from 'typebox';
import { formatTimestamp } from '../events/time.js';
import type { Cause } from './cause.js';
import type { KeyCount } from './causes.js';

const Time = Type.String({ description: 'RFC 3339, UTC' });
export const AsOf = Type.Record(Type.String(), Type.Integer(), {
  description: 'By log: the answer is complete to this many of its entries',
});

export const Revocation = Type.Object({
  order: Type.String({ description: 'Name of the order, 32 hex digits: the id of the whole' }),
  state: Type.String({
    description: 'pending, scheduled, held, ordered, settled, lifted, cancelled, denied or refused',
  }),
  kind: Type.String({ description: 'leaver, scope_loss, mover, reinstatement, rehire, request or lift' }),
  cause: Type.Object({ id: Type.String(), type: Type.String(), producer: Type.String(), index: Type.Integer() }),
  committedAt: Time,
  dueAt: Time,
  orderedAt: Type.Optional(Time),
  orderedIndex: Type.Optional(Type.Integer({ description: 'The lifecycle entry of its first part' })),
  security: Type.Boolean(),
  subjects: Type.Array(Type.String({ description: 'Pseudonym' })),
  target: Type.Optional(
    Type.Object({
      type: Type.String(),
      issuer: Type.String(),
      value: Type.String(),
      digest: Type.Optional(Type.String({ description: 'SHA-256 of a token that was shown' })),
      grants: Type.Optional(Type.Boolean({ description: 'With the grants that the token stems from' })),
    }),
  ),
  groups: Type.Array(Type.String()),
  effect: Type.String(),
  mode: Type.Optional(Type.String()),
  complete: Type.Boolean({ description: 'Whether all that is known is ordered' }),
  incomplete: Type.Array(
    Type.Object({ reason: Type.String(), issuer: Type.Optional(Type.String()), count: Type.Optional(Type.Integer()) }),
  ),
  late: Type.Optional(Type.Boolean({ description: 'It was due while nobody was there to do it' })),
  heldUntil: Type.Optional(Time),
  leaversInHour: Type.Optional(Type.Integer({ description: 'From its source, up to this one' })),
  code: Type.Optional(Type.String({ description: 'Why it was refused' })),
  endedBy: Type.Optional(Type.String({ description: 'The order of what lifted or cancelled it' })),
  decidedBy: Type.Optional(Type.String({ description: 'Pseudonym of who let it go or ended it' })),
  deciderKnown: Type.Optional(
    Type.Boolean({
      description: 'False: decidedBy is an API token without a known holder, and two tokens of one person are two',
    }),
  ),
  reasonCode: Type.Optional(Type.String()),
  sourceSystem: Type.Optional(Type.String()),
  orders: Type.Array(Type.String(), { description: 'What it asks to lift' }),
  keys: Type.Optional(
    Type.Array(Type.Object({ type: Type.String(), change: Type.String(), count: Type.Integer() }), {
      description: 'What it holds now',
    }),
  ),
});

const time = (us: number): string => formatTimestamp(BigInt(us));

export function viewCause(cause: Cause, keys?: readonly KeyCount[]): Static<typeof Revocation> {
  const { id, type, producer, index, committedUs, dueUs, orderedUs, heldUntilUs, burst, ...rest } = cause;
  const { order, state, kind, security, subjects, groups, effect, complete, incomplete, orders } = rest;
  const { target, mode, late, code, endedBy, decidedBy, deciderKnown } = rest;
  const { reasonCode, sourceSystem, orderedIndex } = rest;
  return {
    order,
    state,
    kind,
    cause: { id, type, producer, index },
    committedAt: time(committedUs),
    dueAt: time(dueUs),
    ...(orderedUs === undefined ? {} : { orderedAt: time(orderedUs) }),
    security,
    subjects: [...subjects],
    groups: [...groups],
    effect,
    complete,
    incomplete: incomplete.map((one) => ({ ...one })),
    orders: [...orders],
    ...(heldUntilUs === undefined ? {} : { heldUntil: time(heldUntilUs) }),
    ...(burst === undefined ? {} : { leaversInHour: burst.leavers }),
    ...defined({ target, mode, late, code, endedBy, decidedBy, deciderKnown, reasonCode, sourceSystem, orderedIndex }),
    ...(keys === undefined ? {} : { keys: keys.map((one) => ({ ...one })) }),
  };
}

/** Without the members that are undefined. */
const defined = <T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;

export const viewPositions = (positions: ReadonlyMap<string, bigint>): Static<typeof AsOf> =>
  Object.fromEntries([...positions].map(([path, size]) => [path, Number(size)]));

/** How nodes stand, now or at a time past, read from the tables: what any process can answer. */
import type { ClientBase } from 'pg';
import { PHASE, type NodeKind, type OnOwnerLeave } from './kinds.js';

/** A node as it stood. Times are microseconds since 1970; null: there is none. */
export interface Standing {
  /** 32 hex digits. */
  readonly key: string;
  readonly kind: NodeKind;
  /** '' where nobody gave it a name of its own. */
  readonly issuer: string;
  /** Of a principal the pseudonym in hex. */
  readonly id: string;
  readonly state: State;
  readonly firstUs: bigint;
  readonly registeredUs: bigint | null;
  readonly expiresUs: bigint | null;
  /** Keys of principals. */
  readonly owner: string | null;
  readonly successor: string | null;
  readonly onOwnerLeave: OnOwnerLeave | null;
  readonly riskLevel: string | null;
  /** Days since 1970; null: no decision names it, or not asked for as of now. */
  readonly usedDay: number | null;
  /** Of a token only. */
  readonly token?: TokenStanding;
}

export interface TokenStanding {
  readonly digests: readonly string[];
  readonly issuedUs: bigint | null;
  readonly acceptedUs: bigint | null;
  readonly endedUs: bigint | null;
}

/**
 * `seen`: others name it, nothing was told of itself; `registered`: also given, granted, started, enrolled, joined; `accepted`: a token
 * that a point took; `expired`: its own end is past; `ended`: retired, withdrawn, ended, offboarded.
 */
export const STATES = ['seen', 'registered', 'approved', 'accepted', 'expired', 'ended'] as const;
export type State = (typeof STATES)[number];

/** Later than any entry: where clocks differ, what is known now may have a time to come. */
export const END_OF_TIME = 2n ** 62n;

/** What is read of a node, whatever it is read for. */
export interface NodeRow {
  key: string;
  kind: NodeKind;
  issuer: string;
  id: string;
  first_us: bigint;
  registered_us: bigint;
  phase: number;
  expires_us: bigint;
  owner: string | null;
  successor: string | null;
  on_owner_leave: OnOwnerLeave | null;
  risk_level: string | null;
  used_day: number;
}
export interface TokenRow {
  key: string;
  issuer: string;
  id: string;
  digests: string[];
  first_us: bigint;
  issued_us: bigint;
  expires_us: bigint;
  accepted_us: bigint;
  ended_us: bigint;
  used_day: number;
}
export const NODE_COLUMNS = `n.key, n.kind, n.issuer, n.id, n.first_us, n.registered_us, n.phase, n.expires_us, n.owner, n.successor,
  n.on_owner_leave, n.risk_level, n.used_day`;
export const TOKEN_COLUMNS =
  't.key, t.issuer, t.id, t.digests, t.first_us, t.issued_us, t.expires_us, t.accepted_us, t.ended_us, t.used_day';

/**
 * Of the entries about a node that the event log took at or before a time, what the last one says of its state (of a session, which
 * several logs tell of, the furthest phase and the latest end).
 */
const nodesAt = (schema: string): string => `
  select n.key, n.kind, n.issuer, n.id, n.first_us, n.registered_us, n.used_day, coalesce(h.phase, 0) as phase,
    coalesce(case when n.kind = 'session'
                  then (select max(s.expires_us) from ${schema}.history s where s.node = n.key and s.at_us <= $2)
                  else h.expires_us end, 0) as expires_us,
    h.owner, h.successor, h.on_owner_leave, h.risk_level
  from ${schema}.node n left join lateral (
    select * from ${schema}.history h where h.node = n.key and h.at_us <= $2 and h.phase is not null
    order by case when n.kind = 'session' then h.phase else 0 end desc, h.index desc limit 1
  ) h on true
  where n.key = any($1::uuid[]) and n.first_us <= $2`;

/**
 * The nodes of these keys, as far as there are any.
 *
 * @param nowUs what is over by then is `expired`.
 * @param atUs not what is known now, but what entries up to this time say.
 */
export async function readStandings(
  tx: ClientBase,
  schema: string,
  keys: readonly string[],
  nowUs: bigint,
  atUs: bigint | undefined,
): Promise<Map<string, Standing>> {
  if (keys.length === 0) return new Map();
  const nodes =
    atUs === undefined
      ? await tx.query<NodeRow>(`select ${NODE_COLUMNS} from ${schema}.node n where n.key = any($1::uuid[])`, [keys])
      : await tx.query<NodeRow>(nodesAt(schema), [keys, atUs]);
  const tokens = await tx.query<TokenRow>(
    `select ${TOKEN_COLUMNS} from ${schema}.token t where t.key = any($1::uuid[]) and t.first_us <= $2`,
    [keys, atUs ?? END_OF_TIME],
  );
  const standings = [
    ...nodes.rows.map((row) => standingOf(row, atUs ?? nowUs)),
    ...tokens.rows.map((row) => standingOfToken(row, atUs ?? nowUs)),
  ];
  // The last day of use is only known as of now.
  const known = atUs === undefined ? standings : standings.map((standing) => ({ ...standing, usedDay: null }));
  return new Map(known.map((standing) => [standing.key, standing]));
}

export const hexKey = (uuid: string): string => uuid.replaceAll('-', '');
const orNull = (us: bigint, atUs?: bigint): bigint | null =>
  us === 0n || (atUs !== undefined && us > atUs) ? null : us;

export function standingOf(row: NodeRow, atUs: bigint): Standing {
  const { kind, issuer, id, phase } = row;
  return {
    key: hexKey(row.key),
    kind,
    issuer,
    id,
    state: stateOf(phase, row.expires_us, atUs),
    firstUs: row.first_us,
    registeredUs: orNull(row.registered_us, atUs),
    expiresUs: orNull(row.expires_us),
    owner: row.owner && hexKey(row.owner),
    successor: row.successor && hexKey(row.successor),
    onOwnerLeave: row.on_owner_leave,
    riskLevel: row.risk_level,
    usedDay: row.used_day === 0 ? null : row.used_day,
  };
}

export function standingOfToken(row: TokenRow, atUs: bigint): Standing {
  const ended = orNull(row.ended_us, atUs);
  const accepted = orNull(row.accepted_us, atUs);
  const past = row.expires_us !== 0n && row.expires_us <= atUs;
  return {
    key: hexKey(row.key),
    kind: 'token',
    issuer: row.issuer,
    id: row.id,
    state: ended !== null ? 'ended' : past ? 'expired' : accepted !== null ? 'accepted' : 'seen',
    firstUs: row.first_us,
    registeredUs: null,
    expiresUs: orNull(row.expires_us),
    owner: null,
    successor: null,
    onOwnerLeave: null,
    riskLevel: null,
    usedDay: row.used_day === 0 ? null : row.used_day,
    token: { digests: row.digests, issuedUs: orNull(row.issued_us), acceptedUs: accepted, endedUs: ended },
  };
}

function stateOf(phase: number, expiresUs: bigint, atUs: bigint): State {
  if (phase === PHASE.ended) return 'ended';
  if (expiresUs !== 0n && expiresUs <= atUs) return 'expired';
  if (phase === PHASE.approved) return 'approved';
  return phase === PHASE.registered ? 'registered' : 'seen';
}

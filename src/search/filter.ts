/** What a search asks for, parsed and checked: from query parameters to a `Filter`. */
import { KeelsonError } from '../core/error.js';
import type { NameKind, ThingKind } from './keys.js';

/** Microseconds since 1970, both ends included; open where undefined. */
export interface TimeRange {
  readonly fromUs?: bigint;
  readonly toUs?: bigint;
}

/** Everything must hold; of a group of names any one. */
export interface Filter {
  readonly names: readonly { readonly kind: NameKind; readonly texts: readonly string[] }[];
  readonly things: readonly { readonly kind: ThingKind; readonly text: string }[];
  readonly appended: TimeRange;
  readonly occurred: TimeRange;
  readonly riskMin?: number;
  readonly riskMax?: number;
}

/** What finds few rows by itself, whatever else is asked. */
const FAST_NAMES: ReadonlySet<NameKind> = new Set(['agent', 'principal', 'tool']);
const FAST_THINGS: ReadonlySet<ThingKind> = new Set(['event', 'token', 'session']);

/**
 * Refuses a search that could read everything to find nothing: one by other filters than event, agent, principal, tool, token or
 * session, with neither time range bounded. A search without any filter but time is answered: every row read is a hit.
 *
 * @param nowUs an open end of a range that has begun.
 * @throws KeelsonError `invalid_query`.
 */
export function requireBounded(filter: Filter, nowUs: bigint, rangeDays: number): void {
  const fast =
    filter.names.some(({ kind }) => FAST_NAMES.has(kind)) || filter.things.some(({ kind }) => FAST_THINGS.has(kind));
  const others =
    filter.names.length + filter.things.length > 0 || filter.riskMin !== undefined || filter.riskMax !== undefined;
  const occurs = filter.occurred.fromUs !== undefined || filter.occurred.toUs !== undefined;
  if (fast || !(others || occurs)) return;
  const widestUs = BigInt(rangeDays) * 86_400_000_000n;
  const bounded = ({ fromUs, toUs }: TimeRange): boolean =>
    fromUs !== undefined && (toUs ?? nowUs) - fromUs <= widestUs;
  if (bounded(filter.appended) || bounded(filter.occurred)) return;
  throw new KeelsonError(
    'invalid_query',
    `these filters need one of event, agent, principal, tool, token or session beside them, or a time range of at most ${rangeDays} days ` +
      '(from and to, or occurredFrom and occurredTo)',
  );
}

/** No condition at all. */
export const EVERYTHING: Filter = { names: [], things: [], appended: {}, occurred: {} };

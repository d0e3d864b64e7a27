/**
 * A continuation as the position of a cursor (src/http/cursor.ts, which keeps it from being made up): where the last page ended, or
 * `end`, then the set of entries by log, as `<log>:<to>` or `<log>:<to>:<from>` in base 36.
 */
import type { Continuation } from './search.js';

const parseNumber = (text: string): bigint =>
  [...text].reduce((value, digit) => value * 36n + BigInt(parseInt(digit, 36)), 0n);

export function formatContinuation({ within, after }: Continuation): string[] {
  const place =
    after === undefined ? 'end' : [after.appendedAtUs, after.log, after.index].map((n) => n.toString(36)).join(':');
  const logs = [...within].map(([log, { from, to }]) => {
    const upTo = `${log.toString(36)}:${to.toString(36)}`;
    return from === 0n ? upTo : `${upTo}:${from.toString(36)}`;
  });
  return [place, ...logs];
}

/** The pair of `formatContinuation`; the text was made by it, so anything else is a bug. */
export function parseContinuation([place, ...logs]: readonly string[]): Continuation {
  const within = new Map(
    logs.map((log) => {
      const [id, to, from] = log.split(':');
      return [parseInt(id!, 36), { from: parseNumber(from ?? '0'), to: parseNumber(to!) }] as const;
    }),
  );
  if (place === 'end') return { within, after: undefined };
  const [appendedAtUs, log, index] = place!.split(':');
  return {
    within,
    after: { appendedAtUs: parseNumber(appendedAtUs!), log: parseInt(log!, 36), index: parseNumber(index!) },
  };
}

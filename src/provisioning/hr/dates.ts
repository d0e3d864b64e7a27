/** Dates and times as HR systems write them. Microseconds since 1970 UTC. */
import { KeelsonError } from '../../core/error.js';
import { parseTimestamp } from '../../events/index.js';

const DAY_MS = 86_400_000;
const LOCAL = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/i;
/** Formats are costly to make, and a source uses one. */
const formats = new Map<string, Intl.DateTimeFormat>();
const FORMATS_MAX = 100;

/**
 * `2026-11-30` is the whole day: it ends with the first instant of the next day in `zone`, or begins with its own first. A time without
 * an offset is one of `zone`: where clocks are set back and it comes twice, the first; where they are set forward and it never comes, as
 * long after the gap.
 *
 * @param edge which end of a whole day is meant
 * @throws KeelsonError `invalid_timestamp`
 */
export function parseWhen(text: string, zone: string, edge: 'begin' | 'end', pointer: string): bigint {
  const match = LOCAL.exec(text);
  const [, year = '', month = '', day = '', time, offset] = match ?? [];
  if (match === null || year < '1900' || year > '9998') {
    throw new KeelsonError('invalid_timestamp', 'not a date, nor a date and time, of the years 1900 to 9998', {
      pointer,
    });
  }
  const clock = time === undefined ? '00:00:00' : time.length === 5 ? `${time}:00` : time;
  const suffix = offset === undefined ? 'Z' : offset.replace(/(\d\d):?(\d\d)$/, '$1:$2');
  const us = parseTimestamp(`${year}-${month}-${day}T${clock}${suffix}`, pointer);
  if (offset !== undefined) return us;
  const local = time === undefined && edge === 'end' ? us + BigInt(DAY_MS) * 1000n : us;
  return fromLocal(local, zone);
}

/** Whether there is such a time zone. */
export function isZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

/** The instant at which clocks in `zone` show what they would show in UTC at `local`. */
function fromLocal(local: bigint, zone: string): bigint {
  const localMs = Number(local / 1000n);
  const before = offsetMs(localMs - DAY_MS, zone);
  const after = offsetMs(localMs + DAY_MS, zone);
  const isShown = (offset: number): boolean => offsetMs(localMs - offset, zone) === offset;
  // Of two instants that show it the greater offset is the earlier one; what is in a gap is shown by neither.
  const [first, second] = before >= after ? [before, after] : [after, before];
  const offset = isShown(first) ? first : isShown(second) ? second : before;
  return local - BigInt(offset) * 1000n;
}

/** How far clocks in `zone` are ahead of UTC at an instant. */
function offsetMs(atMs: number, zone: string): number {
  const wholeMs = Math.floor(atMs / 1000) * 1000;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(wholeMs)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - wholeMs;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format !== undefined) return format;
  format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formats.size >= FORMATS_MAX) formats.clear();
  formats.set(zone, format);
  return format;
}

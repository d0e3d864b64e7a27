import { KeelsonError } from '../core/error.js';

const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,64}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * An RFC 3339 §5.6 date-time as microseconds since 1970 UTC; digits past the sixth of the fraction are cut off. A leap second
 * (`:60`, allowed at 23:59 UTC on the last day of a month) is the first second of the next day.
 *
 * @param pointer where the text stands in the event, for the error.
 * @throws KeelsonError `invalid_timestamp`: another form, a day or time that does not exist, no offset.
 */
export function parseTimestamp(text: string, pointer = ''): bigint {
  return readFormatted(text) ?? readAny(text, pointer);
}

function readAny(text: string, pointer: string): bigint {
  const match = DATE_TIME.exec(text);
  if (!match) throw new KeelsonError('invalid_timestamp', 'not an RFC 3339 date-time with an offset', { pointer });
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const offsetHour = Number(match[9] ?? 0);
  const offsetMinute = Number(match[10] ?? 0);
  if (!exists(year, month, day, hour, minute, second) || offsetHour > 23 || offsetMinute > 59) {
    throw new KeelsonError('invalid_timestamp', 'a day or time that does not exist', { pointer });
  }
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  const seconds = daysSinceEpoch(year, month, day) * 86_400 + (hour * 60 + minute - offset) * 60 + second;
  if (second === 60 && !startsMonth(seconds)) {
    throw new KeelsonError('invalid_timestamp', 'a leap second where there can be none', { pointer });
  }
  return toMicros(seconds, Number((match[7] ?? '').slice(0, 6).padEnd(6, '0')));
}

/**
 * Whether `formatTimestamp` gives back this very text.
 * @param text which `parseTimestamp` has taken
 */
export function isFormatted(text: string): boolean {
  const { length } = text;
  if (text.charCodeAt(10) !== 0x54 || text.charCodeAt(length - 1) !== 0x5a || text.startsWith('60', 17)) return false;
  return length === 20 || ((length === 24 || length === 27) && !text.endsWith('000Z'));
}

/** The form that `formatTimestamp` writes, read without a pattern: nearly all there is. Undefined for any other text. */
function readFormatted(text: string): bigint | undefined {
  const { length } = text;
  if (length !== 20 && length !== 24 && length !== 27) return undefined;
  for (let i = 0; i < 19; i++) {
    const mark = MARKS[i]!;
    const unit = text.charCodeAt(i);
    if (mark === 0 ? unit < 0x30 || unit > 0x39 : unit !== mark) return undefined;
  }
  if (text.charCodeAt(length - 1) !== 0x5a) return undefined;
  let micros = 0;
  if (length > 20) {
    if (text.charCodeAt(19) !== 0x2e) return undefined;
    for (let i = 20; i < length - 1; i++) {
      const digit = text.charCodeAt(i) - 0x30;
      if (!(digit >= 0 && digit <= 9)) return undefined;
      micros = micros * 10 + digit;
    }
    if (length === 24) micros *= 1000;
  }
  const [year, month, day] = [twoDigits(text, 0) * 100 + twoDigits(text, 2), twoDigits(text, 5), twoDigits(text, 8)];
  const [hour, minute, second] = [twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)];
  if (second === 60 || !exists(year, month, day, hour, minute, second)) return undefined;
  return toMicros(daysSinceEpoch(year, month, day) * 86_400 + (hour * 60 + minute) * 60 + second, micros);
}

/** What stands at each place of `YYYY-MM-DDTHH:MM:SS`; 0: a digit. */
const MARKS = [...'0000-00-00T00:00:00'].map((mark) => (mark === '0' ? 0 : mark.charCodeAt(0)));

const twoDigits = (text: string, at: number): number =>
  (text.charCodeAt(at) - 0x30) * 10 + (text.charCodeAt(at + 1) - 0x30);

function exists(year: number, month: number, day: number, hour: number, minute: number, second: number): boolean {
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysInMonth(year, month) &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 60
  );
}

function toMicros(seconds: number, micros: number): bigint {
  const us = seconds * 1_000_000 + micros;
  return Number.isSafeInteger(us) ? BigInt(us) : BigInt(seconds) * 1_000_000n + BigInt(micros);
}

/** Microseconds since 1970 UTC as RFC 3339 in UTC, with 0, 3 or 6 digits of fraction, as few as hold the value. Years 0 to 9999. */
export function formatTimestamp(us: bigint): string {
  const micros = Number(((us % 1_000_000n) + 1_000_000n) % 1_000_000n);
  const seconds = (us - BigInt(micros)) / 1_000_000n;
  const date = new Date(Number(seconds) * 1000);
  const year = date.getUTCFullYear();
  if (!(year >= -1 && year <= 10_000)) throw new Error('a time outside the years that RFC 3339 can write');
  const whole = date.toISOString().slice(0, -5);
  if (micros === 0) return whole + 'Z';
  const fraction = String(micros).padStart(6, '0');
  return `${whole}.${fraction.endsWith('000') ? fraction.slice(0, 3) : fraction}Z`;
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : (DAYS_IN_MONTH[month - 1] as number);
}

/** Days from 1970-01-01 to a day of the proleptic Gregorian calendar. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  // Years start in March, so that the leap day is the last one.
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Whether this second is midnight of the first day of a month. */
function startsMonth(seconds: number): boolean {
  return seconds % 86_400 === 0 && new Date(seconds * 1000).getUTCDate() === 1;
}

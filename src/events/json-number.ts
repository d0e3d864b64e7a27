import { ExactNumber } from './json.js';

/**
 * The number a JSON number text denotes, if a double holds it exactly in the sense that writing the double in its shortest
 * form gives the same decimal value; else the text itself.
 */
export function readNumber(text: string): number | ExactNumber {
  const value = Number(text);
  // At most 15 significant digits always survive the way through a double.
  if (text.length <= 15 && !text.startsWith('-0') && !/[eE]/.test(text)) return value;
  // A zero or infinity that the text doesn't spell out was rounded to, by an exponent of any length: it is not worked out.
  if (!Number.isFinite(value) || Object.is(value, -0)) return new ExactNumber(text);
  if (value === 0) return /^0(\.0*)?(?:[eE]|$)/.test(text) ? value : new ExactNumber(text);
  return decimalForm(text) === decimalForm(String(value)) ? value : new ExactNumber(text);
}

/** A number text as sign, digits without outer zeros, and exponent of ten: equal iff the values are equal. */
function decimalForm(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = trimZeros(digits);
  if (significant === '') return '0';
  const written = BigInt(exponent.replace(/^([+-]?)0+(?=\d)/, '$1'));
  const power = written - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

/** Without trailing zeros, in linear time. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

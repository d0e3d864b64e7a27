/**
 * Text from a server or a file, made safe for a terminal. What an attacker put into an event must not move the cursor,
 * recolour the screen, rewrite the title or turn the reading direction: C0 and C1 controls, DEL and the bidirectional
 * format characters are shown as `\u{..}`.
 */

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** One line: no control character is left, no line break either. */
export const neutralise = (text: string): string =>
  text.replace(UNSAFE, (found) => `\\u{${found.codePointAt(0)!.toString(16)}}`);

/** Several lines: line breaks and tabs stay. */
export const neutraliseLines = (text: string): string =>
  text.replace(UNSAFE, (found) => (found === '\n' || found === '\t' ? found : neutralise(found)));

/** JSON text: the same value, with every such character inside its strings escaped as JSON does it. */
export const neutraliseJson = (json: string): string =>
  json.replace(UNSAFE, (found) => (found === '\n' ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** Rows as columns, each as wide as its widest cell; the last one is not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map(neutralise));
  const widths = safe.reduce<number[]>(
    (found, row) => row.map((cell, column) => Math.max(found[column] ?? 0, cell.length)),
    [],
  );
  return safe.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** A line as several of at most `width` characters where it has places to break, those behind the first indented by as much more. */
export function wrap(line: string, width: number, indent: number): string[] {
  const before = /^ */.exec(line)![0];
  const lines: string[] = [];
  let current = before;
  for (const word of line.slice(before.length).split(' ')) {
    const isFirst = current.trim() === '';
    if (!isFirst && current.length + 1 + word.length > width) {
      lines.push(current);
      current = before + ' '.repeat(indent) + word;
    } else current += isFirst ? word : ` ${word}`;
  }
  return [...lines, current];
}

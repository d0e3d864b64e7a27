/** RFC 6901 JSON pointers, and patterns of them in which `*` stands for any array index or member. */

/** `a/b~c` → `a~1b~0c` (RFC 6901 §3). */
export const escapeToken = (token: string): string =>
  token.includes('~') || token.includes('/') ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token;

const unescapeToken = (token: string): string =>
  token.includes('~') ? token.replaceAll('~1', '/').replaceAll('~0', '~') : token;

/** `/a/0/b~1c` → `['a', '0', 'b/c']`; the empty pointer is the whole document. @throws Error for what is no pointer. */
export function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) throw new Error(`not a JSON pointer: ${pointer}`);
  return pointer.slice(1).split('/').map(unescapeToken);
}

/** The pair of `parsePointer`. */
export const formatPointer = (tokens: readonly string[]): string =>
  tokens.map((token) => '/' + escapeToken(token)).join('');

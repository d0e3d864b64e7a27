/** URLs that are client ids (draft-ietf-oauth-client-id-metadata-document, "Client Identifier URL"). */

const URL_MAX = 2048;

/** Whether a client id means to be such a URL. */
export const isClientUrl = (client: string): boolean => /^https:\/\//i.test(client);

/**
 * Compared as it is written, never normalised: so it must be written as it would be sent.
 * @throws Error for people
 */
export function readClientUrl(text: string): URL {
  if (text.length > URL_MAX) throw new Error(`longer than ${URL_MAX} characters`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'https:') throw new Error('not an https URL');
  if (url.username !== '' || url.password !== '') throw new Error('a user in a URL');
  if (text.includes('#')) throw new Error('a fragment in a URL');
  if (!/^https:\/\/[^/]+\//.test(text)) throw new Error('a URL without a path');
  // Dot segments, capitals in the host, a default port, raw spaces: all that a parser would rewrite.
  if (url.href !== text) throw new Error(`not written as it would be sent: ${url.href}`);
  return url;
}

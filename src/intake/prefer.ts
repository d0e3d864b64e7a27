/**
 * The seconds of `Prefer: wait=N` (RFC 7240, 4.3), or undefined where the header does not ask for it. A preference that can't
 * be read is ignored, as section 2 wants; the first of several counts.
 */
export function parsePreferWait(header: string | readonly string[] | undefined): number | undefined {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  for (const preference of text.split(',')) {
    const [token = ''] = preference.split(';', 1);
    const match = /^\s*wait\s*=\s*(?:"(\d{1,6})"|(\d{1,6}))\s*$/i.exec(token);
    if (match !== null) return Number(match[1] ?? match[2]);
    if (/^\s*wait\s*(=|$)/i.test(token)) return undefined;
  }
  return undefined;
}

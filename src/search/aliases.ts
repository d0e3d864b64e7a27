/**
 * Which pseudonyms are one person's, as `principal.linked` entries say. A set of links: the order in which they are folded does not
 * matter, and folding one again changes nothing.
 */
import type { ClientBase } from 'pg';
import { uuidText } from './keys.js';

/** Aliases of one person that a search looks for, at most. */
export const ALIASES_MAX = 256;

/** Stores links: of each, the first pseudonym with every other. */
export async function addAliases(
  tx: ClientBase,
  schema: string,
  links: readonly (readonly Uint8Array[])[],
): Promise<void> {
  const pairs: [string, string][] = [];
  for (const link of links) {
    const [first, ...others] = link.map(uuidText);
    for (const other of others) if (first !== undefined && other !== first) pairs.push([first, other], [other, first]);
  }
  if (pairs.length === 0) return;
  await tx.query(
    `insert into ${schema}.alias (subject, other) select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing`,
    [pairs.map(([subject]) => subject), pairs.map(([, other]) => other)],
  );
}

/** The pseudonym itself and every one linked to it, directly or not, as 32 hex digits; at most `ALIASES_MAX`. */
export async function aliasesOf(client: ClientBase, schema: string, subject: string): Promise<string[]> {
  const { rows } = await client.query<{ subject: string }>(
    `with recursive linked as (
       select $1::uuid as subject union select a.other from ${schema}.alias a join linked l on a.subject = l.subject
     ) select subject::text from linked limit ${ALIASES_MAX}`,
    [subject],
  );
  return rows.map((row) => row.subject.replaceAll('-', ''));
}

/** Answers that come in pages. A page may hold nothing, and have a next one. */
import { asObject, listOf, type Answer } from './answer.js';
import type { Client, Query } from './client.js';
import { formatJson, openClient, type Context, type TargetOptions } from './command.js';

/** Prints page after page with `all`, else the first that holds something. @param member of a page: what holds its items */
export async function printPages(
  context: Context,
  options: TargetOptions & { all?: true },
  path: string,
  query: Query,
  member: string,
  format: (found: readonly Answer[]) => string[],
): Promise<void> {
  const { output } = context;
  let printed = 0;
  for await (const { found, isLast } of pagesOf(await openClient(context, options), path, query, member)) {
    printed += found.length;
    if (options.json) for (const one of found) await output.line(formatJson(one));
    else if (found.length > 0 || (isLast && printed === 0)) for (const line of format(found)) await output.line(line);
    if (output.closed) return;
    if (!isLast && !options.all && printed > 0) return output.note('more: --all');
  }
}

/** The items of all pages. */
export async function readPages(client: Client, path: string, query: Query, member: string): Promise<Answer[]> {
  const rows: Answer[] = [];
  for await (const { found } of pagesOf(client, path, query, member)) rows.push(...found);
  return rows;
}

async function* pagesOf(client: Client, path: string, query: Query, member: string): AsyncGenerator<Page> {
  for (let cursor: string | undefined, isLast = false; !isLast;) {
    const page = asObject(await client.getJson(path, { ...query, cursor }));
    cursor = typeof page.next === 'string' ? page.next : undefined;
    isLast = cursor === undefined;
    yield { found: listOf(page, member), isLast };
  }
}

interface Page {
  readonly found: readonly Answer[];
  readonly isLast: boolean;
}

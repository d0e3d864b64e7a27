/** How tokens come to be: one by one on an admin's order, and the first admin's at the first start. */
import { readFile } from 'node:fs/promises';
import { SCOPES, type Holder, type Scope } from '../http/caller.js';
import type { Clock } from '../platform/clock.js';
import { writeDurably } from '../platform/durable-file.js';
import type { AccessStore, TokenRow } from './store.js';
import { hashToken, isTokenText, makeToken, makeTokenId } from './token.js';

export interface TokenRequest {
  readonly producer: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Who will hold it, where that is one person. */
  readonly holder?: Holder;
  /** Token id of who ordered it, or `bootstrap`. */
  readonly createdBy: string;
  /** Seconds; absent: until revoked. */
  readonly expiresInS?: number;
}

/** Makes and stores a token. The text is in the answer and nowhere else. */
export async function issueToken(
  store: AccessStore,
  clock: Clock,
  request: TokenRequest,
): Promise<{ token: string; row: TokenRow }> {
  const token = makeToken();
  const row = describeToken(clock, request);
  await store.insertToken(row, hashToken(token));
  return { token, row };
}

function describeToken(clock: Clock, request: TokenRequest): TokenRow {
  const createdAtUs = clock.nowUs();
  return {
    id: makeTokenId(),
    producer: request.producer,
    name: request.name,
    scopes: request.scopes,
    createdAtUs,
    createdBy: request.createdBy,
    expiresAtUs: request.expiresInS === undefined ? null : createdAtUs + BigInt(request.expiresInS) * 1_000_000n,
    revokedAtUs: null,
    lastUsedAtUs: null,
    holder: request.holder ?? null,
  };
}

/**
 * Sees to it that somebody can administer this installation: where no admin token works, the one in the file at `path` (0600)
 * is made valid, and where there is no such file it is written first. So a crash in between leaves a file whose token the
 * next start makes valid, never a valid token that nobody has. A revoked one stays revoked: then a new one replaces the file.
 *
 * @returns whether the file holds the token of an admin who was made now.
 */
export async function ensureAdmin(store: AccessStore, clock: Clock, path: string): Promise<boolean> {
  if (await store.hasAdmin(clock.nowUs())) return false;
  const found = await readToken(path);
  if (found !== undefined && (await insertAdmin(store, clock, found))) return true;
  const token = makeToken();
  await writeDurably(path, `${token}\n`);
  return insertAdmin(store, clock, token);
}

const insertAdmin = (store: AccessStore, clock: Clock, token: string): Promise<boolean> =>
  store.insertToken(
    describeToken(clock, { producer: 'admin', name: 'first admin', scopes: SCOPES, createdBy: 'bootstrap' }),
    hashToken(token),
  );

async function readToken(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return isTokenText(text) ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A guard in one call: the process joins once, comes back as the same instance, and remembers how far it had come. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { formatBase64, parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import { lockDataFolder } from '../platform/data-lock.js';
import { writeDurably } from '../platform/durable-file.js';
import { nodeSigner } from '../platform/signer.js';
import { Guard, type GuardConfig } from './guard.js';
import { join, readMembership, type MembershipJson } from './join.js';
import type { Membership } from './core.js';
import { request } from './transport.js';

export interface OpenOptions extends Omit<
  GuardConfig,
  'membership' | 'publish' | 'onClosed' | 'failOpenDeclared' | 'onFailOpenDeclared'
> {
  /** An enrolment token, `kle_…`: used once, then the folder says who this is; again after this instance was retired. */
  readonly enrolment?: string | undefined;
  /** An API token with the scope `publish:decisions`: decisions are recorded with it. Needs a folder. */
  readonly publishToken?: string | undefined;
}

/** A server that does not answer for so long is asked later, as the same instance. */
const ASK_MS = 3_000;

/** As in the folder: what the server answered, and the seed of the key. Secret. */
interface Kept extends MembershipJson {
  readonly seed: string;
  /** Tools that fail open, as the ledger was told. */
  readonly failOpen?: readonly string[];
}

/**
 * Joins where this was not done before, and starts a guard. It refuses everything until it has a table and a grant, some hundred
 * milliseconds later.
 *
 * `folder` is for this process alone: without one each start joins as another instance.
 * @throws KeelsonError `already_running`: another process uses the folder; `forbidden`, `not_ready`: of `join`; `malformed_key`: what is in
 *   the folder can't be used
 */
export async function openGuard({ enrolment, publishToken, ...config }: OpenOptions): Promise<Guard> {
  const { folder, url } = config;
  if (folder === undefined) {
    if (publishToken !== undefined) throw new KeelsonError('invalid_config', 'decisions need a folder to wait in');
    return start(await enter(url, enrolment), config);
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockDataFolder(folder);
  try {
    const path = joinPath(folder, 'membership.json');
    let kept = await readKept(path);
    if (kept === undefined || (enrolment !== undefined && (await isRetired(url, kept)))) {
      kept = await enter(url, enrolment);
      await writeDurably(path, JSON.stringify(kept));
    }
    const spoolFolder = joinPath(folder, 'spool');
    const publish =
      publishToken === undefined ? {} : { publish: { token: publishToken, point: kept.point, spoolFolder } };
    const own = kept;
    return start(own, {
      ...config,
      ...publish,
      failOpenDeclared: own.failOpen ?? [],
      onFailOpenDeclared: (failOpen) => writeDurably(path, JSON.stringify({ ...own, failOpen })),
      onClosed: () => lock.release(),
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function start(kept: Kept, config: Omit<GuardConfig, 'membership'>): Guard {
  const guard = new Guard({ ...config, membership: membershipOf(kept) });
  guard.start();
  return guard;
}

function membershipOf(kept: Kept): Membership {
  const seed = parseBase64(kept.seed);
  if (seed?.length !== 32) throw new KeelsonError('malformed_key', 'not the seed of a key');
  return readMembership(kept, nodeSigner(seed));
}

/** Whether the server takes it for nobody any more: it was away for too long, say. False where the server can't be asked. */
async function isRetired(url: string, kept: Kept): Promise<boolean> {
  const address = { url, membership: membershipOf(kept) };
  try {
    await request(address, '/v1/feed/keys', { signal: AbortSignal.timeout(ASK_MS), timeoutMs: ASK_MS });
    return false;
  } catch (error) {
    return error instanceof KeelsonError && error.code === 'unauthenticated';
  }
}

async function enter(url: string, enrolment: string | undefined): Promise<Kept> {
  if (enrolment === undefined) throw new KeelsonError('forbidden', 'joining takes an enrolment token');
  const seed = randomBytes(32);
  return { ...(await join(url, enrolment, nodeSigner(seed))), seed: formatBase64(seed) };
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError)
      throw new KeelsonError('malformed_key', `${path} is damaged: remove it, and join`);
    throw error;
  }
}

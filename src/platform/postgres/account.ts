import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { KeelsonError } from '../../core/error.js';

/** Whom Postgres runs as. Undefined: as ourselves. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Existing system accounts without a login of their own, best first. */
const CANDIDATES = ['keelson', 'postgres', '_postgres', 'nobody'];

/**
 * Postgres refuses to run as root, so root runs it as another existing account (initdb insists on one with a name).
 *
 * @throws KeelsonError `unsupported_platform`: root, on a machine without any such account.
 */
export function chooseAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readAccounts();
  for (const name of CANDIDATES) {
    const account = accounts.find((one) => one.name === name);
    if (account && account.uid !== 0) return account;
  }
  throw new KeelsonError(
    'unsupported_platform',
    `the embedded Postgres can't run as root, and this machine has none of the accounts ${CANDIDATES.join(', ')}: ` +
      'start Keelson as another user, or set KEELSON_DATABASE_URL',
  );
}

function readAccounts(): Account[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [name, , uid, gid] = line.split(':');
      return name && !name.startsWith('#') && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
    })
    .map((account) => (account.uid < 0 ? { ...account, uid: account.uid + 2 ** 32, gid: account.gid >>> 0 } : account));
}

/** Whether the account may pass through `folder` and every folder above it (mode bits; access lists are not looked at). */
export function mayEnter(account: Account | undefined, folder: string): boolean {
  if (!account) return true;
  const { mode, uid, gid } = statSync(folder);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  if ((mode & bit) === 0) return false;
  const parent = dirname(folder);
  return parent === folder || mayEnter(account, parent);
}

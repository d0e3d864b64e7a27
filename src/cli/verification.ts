/** What checking by the command line stands on: Node's hashes and signatures, and the key that is trusted. */
import { readFile } from 'node:fs/promises';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import { parseLedgerKey, type LedgerKey } from '../verify/ledger-key.js';
import { CommandError, EXIT } from './exit.js';

export const checking = { hasher: nodeHasher, verifier: nodeVerifier };

/** `name+id+base64`: a key, and no name of a file. */
const KEY = /^[^\s+]+\+[0-9a-f]{8}\+\S+$/;

/**
 * The ledger's verifier key, given as such or in a file.
 * @throws KeelsonError `malformed_key`; CommandError `usage`.
 */
export async function readKey(keyOrFile: string): Promise<LedgerKey> {
  return parseLedgerKey(nodeHasher, KEY.test(keyOrFile) ? keyOrFile : (await readInput(keyOrFile)).trim());
}

/** @throws CommandError `usage` where the file can't be read. */
export const readInput = async (path: string): Promise<string> => (await readBytes(path)).toString('utf8');

/** @throws CommandError `usage` where the file can't be read. */
export function readBytes(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: Error) => {
    throw new CommandError(EXIT.usage, `${path} can't be read: ${cause.message}`, { cause });
  });
}

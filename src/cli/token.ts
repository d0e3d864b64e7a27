/** Where a command finds its API token. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultDataFolder } from '../platform/data-folder.js';
import { CommandError, EXIT } from './exit.js';

/** The first admin's token, in the data folder of a server that runs here. */
export const ADMIN_TOKEN_FILE = 'admin.token';

/** What a header can carry; whether it is a token is for the server to say. */
const SENDABLE = /^[\x21-\x7e]+$/;

/**
 * The token to send: of the options, else of the environment, else the local server's admin token where this user may read
 * it; undefined where there is none.
 * @throws CommandError `usage` where a file that was named can't be read, or what was given can be no token.
 */
export async function findToken(
  env: NodeJS.ProcessEnv,
  options: { token?: string; tokenFile?: string },
): Promise<string | undefined> {
  const token = await readToken(env, options);
  if (token === undefined || SENDABLE.test(token)) return token;
  throw new CommandError(EXIT.usage, 'the token is empty, or holds white space or other characters that no token has');
}

async function readToken(
  env: NodeJS.ProcessEnv,
  options: { token?: string; tokenFile?: string },
): Promise<string | undefined> {
  if (options.token !== undefined) return options.token;
  if (options.tokenFile !== undefined) return readNamed(options.tokenFile);
  if (env.KEELSON_TOKEN) return env.KEELSON_TOKEN;
  if (env.KEELSON_TOKEN_FILE) return readNamed(env.KEELSON_TOKEN_FILE);
  try {
    return (await readFile(join(env.KEELSON_DATA || defaultDataFolder(), ADMIN_TOKEN_FILE), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

async function readNamed(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the token file ${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

/** Where a command finds its API token. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultDataFolder } from '../platform/data-folder.js';
import { CommandError, EXIT } from './exit.js';

/** The first admin's token, in the data folder of a server that runs here. */
export const ADMIN_TOKEN_FILE = 'admin.token';

/**
 * The token to send: of the options, else of the environment, else the local server's admin token where this user may read
 * it; undefined where there is none.
 * @throws CommandError `usage` where a file that was named can't be read.
 */
export async function findToken(
  env: NodeJS.ProcessEnv,
  options: { token?: string; tokenFile?: string },
): Promise<string | undefined> {
  if (options.token !== undefined) return options.token;
  if (options.tokenFile !== undefined) return readNamed(options.tokenFile);
  if (env.KEELSON_TOKEN) return env.KEELSON_TOKEN;
  if (env.KEELSON_TOKEN_FILE) return readNamed(env.KEELSON_TOKEN_FILE);
  const own = join(env.KEELSON_DATA || defaultDataFolder(), ADMIN_TOKEN_FILE);
  return readFile(own, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

async function readNamed(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the token file ${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

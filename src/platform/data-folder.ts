import { realpathSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeelsonError } from '../core/error.js';

/** The folder of the program itself: the checkout, or the installed package. The same from src/ and from dist/. */
export const PROGRAM_FOLDER = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Where keys and the embedded database lie unless KEELSON_DATA says otherwise.
 *
 * @throws KeelsonError `invalid_config`: this user has no home.
 */
export function defaultDataFolder(): string {
  if (process.getuid?.() === 0) return '/var/lib/keelson';
  if (process.platform === 'darwin') return join(homeFolder(), 'Library', 'Application Support', 'keelson');
  const xdg = process.env.XDG_DATA_HOME;
  return join(xdg && isAbsolute(xdg) ? xdg : join(homeFolder(), '.local', 'share'), 'keelson');
}

/** HOME, else what the system knows of this user: nothing, for a number without a name. */
function homeFolder(): string {
  try {
    return homedir();
  } catch (error) {
    throw new KeelsonError('invalid_config', 'this user has no home folder: set KEELSON_DATA', { cause: error });
  }
}

/**
 * Makes the data folder and answers its real, absolute path.
 *
 * @param make false: it must be there
 * @throws KeelsonError `invalid_config`: it lies inside the program's folder, where `git clean` or an update would take the keys along; or
 * it can't be made.
 */
export async function openDataFolder(path: string = defaultDataFolder(), make = true): Promise<string> {
  const folder = resolve(path);
  // Looked at before it is made, through the nearest folder that exists: nothing is left behind by a refusal.
  if (isInside(realPath(folder), realpathSync(PROGRAM_FOLDER))) {
    throw new KeelsonError(
      'invalid_config',
      `KEELSON_DATA is ${folder}, inside the program's own folder, where an update or git clean would take the keys along: choose another`,
    );
  }
  try {
    if (make) await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!(await stat(folder)).isDirectory()) throw new Error('not a folder');
  } catch (error) {
    throw new KeelsonError('invalid_config', `KEELSON_DATA: cannot use ${folder}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return realpathSync(folder);
}

/** The path with every symlink of its existing part resolved. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), relative(parent, path));
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}

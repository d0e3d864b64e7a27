/** The configuration as it is now: its files are looked at every two seconds, and read again where one of them changed. */
import { stat } from 'node:fs/promises';
import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../../platform/logger.js';
import { NOTHING, readConfiguration, type Configuration } from './configuration.js';

const LOOK_MS = 2_000;

export interface ConfigurationFileOptions {
  /** Absent: nothing is configured. */
  readonly path: string | undefined;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly lookMs?: number;
}

export class ConfigurationFile {
  readonly #options: ConfigurationFileOptions;
  readonly #isValid: Gauge;
  #current: Configuration;
  /** How the files looked when they were read last; '': they were not, yet. */
  #seen = '';
  #timer: NodeJS.Timeout | undefined;
  #looking = Promise.resolve();

  /** @throws KeelsonError `invalid_config`, every problem named. */
  constructor(options: ConfigurationFileOptions) {
    this.#options = options;
    this.#isValid = new Gauge({
      name: 'keelson_registration_configuration_valid',
      help: 'Whether KEELSON_REGISTRATION_FILE and what it names could be read when it changed last; an older reading counts while not',
      registers: [options.metrics],
    });
    this.#isValid.set(1);
    this.#current = options.path === undefined ? NOTHING : readConfiguration(options.path);
  }

  get current(): Configuration {
    return this.#current;
  }

  start(): void {
    if (this.#options.path === undefined) return;
    this.#timer ??= setInterval(() => {
      this.#looking = this.#looking.then(() => this.look());
    }, this.#options.lookMs ?? LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Reads again what changed. What can't be read changes nothing, and is said once for each change. */
  async look(): Promise<void> {
    const { path, logger } = this.#options;
    if (path === undefined) return;
    const seen = await lookOf([path, ...this.#current.files]);
    if (seen === this.#seen) return;
    const isFirst = this.#seen === '';
    this.#seen = seen;
    try {
      this.#current = readConfiguration(path);
      this.#isValid.set(1);
      if (!isFirst) logger.info({ file: path }, 'registration: the configuration was read again');
    } catch (error) {
      this.#isValid.set(0);
      logger.error(
        { err: error, file: path },
        'registration: the configuration can not be read; the one before it counts',
      );
    }
  }
}

/** What changes when a file does, or what its name leads to. */
async function lookOf(files: readonly string[]): Promise<string> {
  const looks = await Promise.all(
    files
      .map(async (file) => {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
      })
      .map((look) => look.catch((error: NodeJS.ErrnoException) => error.code ?? 'unreadable')),
  );
  return [...files, ...looks].join('\n');
}

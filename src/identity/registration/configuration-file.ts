/** A configuration as it is now: its files are looked at every two seconds, and read again where one of them changed. */
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

/** What is read, and how it is called. */
export interface ConfigurationKind<C> {
  /** Of the metric `keelson_<name>_configuration_valid`, and of the log. */
  readonly name: string;
  /** Of the environment. */
  readonly setting: string;
  readonly nothing: C;
  /** @throws KeelsonError `invalid_config`, every problem named. */
  read(path: string): C;
}

/** @typeParam C knows every file it was made of. */
export class WatchedConfiguration<C extends { readonly files: readonly string[] }> {
  readonly #isValid: Gauge;
  #current: C;
  /** How the files looked when they were read last; '': they were not, yet. */
  #seen = '';
  #timer: NodeJS.Timeout | undefined;
  #looking = Promise.resolve();

  /** @throws KeelsonError `invalid_config`, every problem named. */
  constructor(
    private readonly kind: ConfigurationKind<C>,
    private readonly options: ConfigurationFileOptions,
  ) {
    this.#isValid = new Gauge({
      name: `keelson_${kind.name}_configuration_valid`,
      help: `Whether ${kind.setting} and what it names could be read when it changed last; an older reading counts while not`,
      registers: [options.metrics],
    });
    this.#isValid.set(1);
    this.#current = options.path === undefined ? kind.nothing : kind.read(options.path);
  }

  get current(): C {
    return this.#current;
  }

  start(): void {
    if (this.options.path === undefined) return;
    this.#timer ??= setInterval(() => {
      this.#looking = this.#looking.then(() => this.look());
    }, this.options.lookMs ?? LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Reads again what changed. What can't be read changes nothing, and is said once for each change. */
  async look(): Promise<void> {
    const { path, logger } = this.options;
    if (path === undefined) return;
    const seen = await lookOf([path, ...this.#current.files]);
    if (seen === this.#seen) return;
    const isFirst = this.#seen === '';
    this.#seen = seen;
    const { name } = this.kind;
    try {
      this.#current = this.kind.read(path);
      this.#isValid.set(1);
      if (!isFirst) logger.info({ file: path }, `${name}: the configuration was read again`);
    } catch (error) {
      this.#isValid.set(0);
      logger.error({ err: error, file: path }, `${name}: the configuration can not be read; the one before it counts`);
    }
  }
}

/** Whose evidence is believed. */
export class ConfigurationFile extends WatchedConfiguration<Configuration> {
  constructor(options: ConfigurationFileOptions) {
    const kind = { name: 'registration', setting: 'KEELSON_REGISTRATION_FILE', nothing: NOTHING };
    super({ ...kind, read: readConfiguration }, options);
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

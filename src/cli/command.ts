/** What the commands share: their context, the options that several take, how help shows examples. */
import { Command, Option } from 'commander';
import { stringify } from 'lossless-json';
import { Client } from './client.js';
import type { Io, Output } from './io.js';
import { findToken } from './token.js';
import { neutraliseJson } from './text.js';

export interface Context {
  readonly io: Io;
  readonly output: Output;
  /** `--json` is on the command line, for what goes wrong before it was parsed. */
  readonly json?: boolean;
}

export const DEFAULT_URL = 'http://127.0.0.1:8420';

export interface JsonOption {
  json?: true;
}

export interface TargetOptions extends JsonOption {
  url?: string;
  token?: string;
  tokenFile?: string;
}

/** A command with its name, arguments and one line of description; `--json` included, since every command has it. */
export const createCommand = (nameAndArguments: string, description: string): Command =>
  new Command(nameAndArguments)
    .description(description)
    .option('--json', 'print JSON, one document a line')
    .helpOption('-h, --help', 'show this');

/** Adds the options of a command that talks to a server. */
export const withTarget = (command: Command): Command =>
  command
    .addOption(new Option('--url <url>', `server (default: KEELSON_URL, else ${DEFAULT_URL})`))
    .addOption(
      new Option('--token <token>', 'API token (default: KEELSON_TOKEN); a file keeps it out of process lists'),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        "file with the API token (default: KEELSON_TOKEN_FILE, else the local server's admin token)",
      ),
    );

/** Adds examples below the options; each starts with `keelson`. */
export const withExamples = (command: Command, examples: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);

/** The client for the server that the options, the environment or the default name. */
export async function openClient(context: Context, options: TargetOptions): Promise<Client> {
  const url = (options.url ?? context.io.env.KEELSON_URL ?? DEFAULT_URL).replace(/\/+$/, '');
  const token = await findToken(context.io.env, options);
  return new Client(token === undefined ? { url } : { url, token });
}

/** A JSON document on one line, safe for a terminal; numbers and bigints exact. */
export const formatJson = (value: unknown): string => neutraliseJson(stringify(value) ?? 'null');

/** The same over several lines, for people. */
export const formatJsonLines = (value: unknown): string => neutraliseJson(stringify(value, undefined, 2) ?? 'null');

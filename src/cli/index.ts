/** The command line: `keelson <command>`. One file per command in commands/; what they share is in command.ts. */
import { Command, CommanderError } from 'commander';
import { KeelsonError } from '../core/error.js';
import { VERSION } from '../server/version.js';
import { formatJson, type Context } from './command.js';
import { EXIT, EXIT_MEANINGS, exitCodeOf } from './exit.js';
import { Output, processIo, type Io } from './io.js';
import { COMMANDS } from './commands/index.js';
import { neutraliseLines } from './text.js';

/** All of the command line, bound to a context. */
export function buildProgram(context: Context): Command {
  const program = new Command('keelson')
    .description("The audit and revocation backbone for a company's AI agents.")
    .version(VERSION, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', `\nExit codes:\n${formatExitCodes()}`);
  for (const create of COMMANDS) program.addCommand(create(context));
  adopt(program, context);
  return program;
}

/**
 * Runs one command line.
 * @param argv without the program's and the script's name
 * @returns the exit code; every error has been printed
 */
export async function runCli(argv: readonly string[], io: Io = processIo()): Promise<number> {
  const output = new Output(io);
  try {
    await buildProgram({ io, output, json: argv.includes('--json') }).parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has said what was wrong; help and version are no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    output.note(argv.includes('--json') ? formatJson({ error: describeError(error) }) : formatError(error));
    return exitCodeOf(error);
  }
}

/** Commander's own messages go where ours go, and it throws instead of ending the process. */
function adopt(command: Command, context: Context): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void context.io.stdout.write(text),
    writeErr: (text) => void context.io.stderr.write(neutraliseLines(text)),
    outputError: (text, write) => write(context.json ? formatUsageError(text) : text),
    getOutHelpWidth: () => 100,
    getErrHelpWidth: () => 100,
  });
  for (const child of command.commands) adopt(child, context);
}

const formatExitCodes = (): string =>
  Object.entries(EXIT_MEANINGS)
    .map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`)
    .join('\n');

function describeError(error: unknown): Record<string, unknown> {
  const { message } = error instanceof Error ? error : { message: String(error) };
  if (!(error instanceof KeelsonError)) return { code: 'failed', detail: message };
  const { code, pointer, log, index } = error;
  return { code, detail: message, pointer, log, index };
}

/** Commander's own sentence, in the form of every other error. */
const formatUsageError = (text: string): string =>
  `${formatJson({ error: { code: 'usage', detail: text.replace(/^error: /, '').trim() } })}\n`;

/** What a person reads of whatever a command threw. */
export function formatError(error: unknown): string {
  if (exitCodeOf(error) === EXIT.internal && error instanceof Error) {
    return neutraliseLines(`keelson: a bug: ${error.stack ?? error.message}`);
  }
  const { code, detail, pointer } = describeError(error);
  const where = typeof pointer === 'string' && pointer !== '' ? ` (at ${pointer})` : '';
  return neutraliseLines(`keelson: ${String(detail)}${where}${code === 'failed' ? '' : ` [${String(code)}]`}`);
}

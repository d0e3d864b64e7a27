import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/index.js';
import { Output } from '../../src/cli/io.js';

/** docs/cli.md is the commands' own help: `npx vitest run test/cli -u` writes it. */
it('is what docs/cli.md says', async () => {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} };
  const program = buildProgram({ io, output: new Output(io) });
  const text = [
    '# The command line',
    '',
    'In a checkout `npm run --silent keelson -- <command>`, installed `keelson <command>`. Results go to standard output,',
    'everything else to standard error. With `--json` a result is one JSON document a line, and an error is',
    '`{"error":{"code":…,"detail":…}}`. Text from events cannot act on the terminal: control characters are shown as `\\u{1b}`.',
    ...section(program, []),
    '',
  ];
  await expect(text.join('\n')).toMatchFileSnapshot('../../docs/cli.md');
});

it('shows examples for every command', () => {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} };
  for (const command of all(buildProgram({ io, output: new Output(io) })).slice(1)) {
    expect(helpOf(command), command.name()).toMatch(/\nExamples:\n {2}\$ /);
  }
});

const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];

function section(command: Command, parents: readonly string[]): string[] {
  const path = [...parents, command.name()];
  return [
    '',
    `## ${path.join(' ')}`,
    '',
    '```',
    helpOf(command).trimEnd(),
    '```',
    ...command.commands.flatMap((child) => section(child, path)),
  ];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
  return text;
}

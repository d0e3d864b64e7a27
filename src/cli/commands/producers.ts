import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { asObject } from '../answer.js';
import {
  createCommand,
  formatJson,
  formatJsonLines,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { neutralise } from '../text.js';

/** `keelson producers put|show`. */
export function createProducers(context: Context): Command {
  const producers = new Command('producers')
    .description('how what a producer sends is read, and for whom it speaks')
    .helpOption('-h, --help', 'show this');
  producers.addCommand(createPut(context)).addCommand(createShow(context));
  return withExamples(producers, ['keelson producers put hr hr.json', 'keelson producers show hr']);
}

function createPut(context: Context): Command {
  const command = withTarget(createCommand('put', 'make a producer, or replace its configuration'))
    .argument('<id>', 'its name')
    .argument('<file>', 'its configuration, JSON: see /docs of the server')
    .action(async (id: string, file: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const body = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new CommandError(EXIT.usage, `${file} can't be read: ${(cause as Error).message}`, { cause });
      });
      const put = asObject(await client.sendJson('PUT', `/v1/producers/${encodeURIComponent(id)}`, body));
      if (options.json) await context.output.line(formatJson(put));
      else context.output.note(`producer ${neutralise(id)} is configured`);
    });
  return withExamples(command, ['keelson producers put hr examples/hr/workday/producer.json']);
}

function createShow(context: Context): Command {
  const command = withTarget(createCommand('show', 'show the configuration of a producer'))
    .argument('<id>', 'its name')
    .action(async (id: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const { config } = asObject(await client.getJson(`/v1/producers/${encodeURIComponent(id)}`));
      await context.output.line(options.json ? formatJson(config) : formatJsonLines(config));
    });
  return withExamples(command, ['keelson producers show hr > hr.json']);
}

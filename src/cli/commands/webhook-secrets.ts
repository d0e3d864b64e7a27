import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { asObject, listOf, textOf } from '../answer.js';
import {
  createCommand,
  formatJson,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { openNew } from '../new-file.js';
import { formatTable, neutralise } from '../text.js';

interface CreateOptions extends TargetOptions {
  secretFile?: string;
  keep?: number;
  out?: string;
}

const pathOf = (producer: string): string => `/v1/producers/${encodeURIComponent(producer)}/webhook-secrets`;

/** `keelson webhook-secrets create|list|revoke`. */
export function createWebhookSecrets(context: Context): Command {
  const secrets = new Command('webhook-secrets')
    .description('what a producer signs its webhooks with')
    .helpOption('-h, --help', 'show this');
  secrets.addCommand(createCreate(context)).addCommand(createList(context)).addCommand(createRevoke(context));
  return withExamples(secrets, [
    'keelson webhook-secrets create hr --out hr.secret',
    'keelson webhook-secrets list hr',
  ]);
}

function createCreate(context: Context): Command {
  const command = withTarget(
    createCommand('create', 'make a secret, shown this once; the one before stays good for a while'),
  )
    .argument('<producer>', 'who signs with it')
    .option('--secret-file <file>', 'keep the secret that the sender shows, instead of making one')
    .option('--keep <seconds>', 'how long the one before stays good (default: a day)', parseSeconds)
    .option('--out <file>', 'write the secret to a new file that only you can read, instead of showing it')
    .action(async (producer: string, options: CreateOptions) => {
      const client = await openClient(context, options);
      const given = options.secretFile === undefined ? undefined : await readSecret(options.secretFile);
      // Opened first: a secret that can't be kept is not made.
      const file = options.out === undefined ? undefined : await openNew(options.out);
      try {
        const body = JSON.stringify({
          ...(given === undefined ? {} : { secret: given }),
          ...(options.keep === undefined ? {} : { keepS: options.keep }),
        });
        const { secret, ...made } = asObject(await client.sendJson('POST', pathOf(producer), body));
        const isMade = typeof secret === 'string';
        if (isMade) await file?.writeFile(`${secret}\n`);
        if (options.json) {
          await context.output.line(formatJson(file === undefined && isMade ? { ...made, secret } : made));
        } else if (file === undefined && isMade) await context.output.line(neutralise(secret));
        else
          context.output.note(`secret ${textOf(made, 'id')} is ${file === undefined ? 'kept' : `in ${options.out}`}`);
      } finally {
        await file?.close();
      }
    });
  return withExamples(command, [
    'keelson webhook-secrets create hr --out hr.secret',
    'keelson webhook-secrets create bamboohr --secret-file private-key.txt --keep 3600',
  ]);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list the secrets of a producer, newest first; never their text'))
    .argument('<producer>', 'who signs with them')
    .action(async (producer: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      const rows = listOf(asObject(await client.getJson(pathOf(producer))), 'secrets');
      if (options.json) for (const row of rows) await context.output.line(formatJson(row));
      else {
        const table = rows.map((row) => ['id', 'createdAt', 'expiresAt'].map((member) => textOf(row, member)));
        for (const line of formatTable([['ID', 'MADE', 'GOOD UNTIL'], ...table])) await context.output.line(line);
      }
    });
  return withExamples(command, ['keelson webhook-secrets list hr']);
}

function createRevoke(context: Context): Command {
  const command = withTarget(createCommand('revoke', 'end a secret: at once here, elsewhere within seconds'))
    .argument('<producer>', 'who signs with it')
    .argument('<id>', 'its id, as `webhook-secrets list` shows it')
    .action(async (producer: string, id: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      await client.sendJson('DELETE', `${pathOf(producer)}/${encodeURIComponent(id)}`);
      if (options.json) await context.output.line(formatJson({ id, revoked: true }));
      else context.output.note(`secret ${neutralise(id)} is ended`);
    });
  return withExamples(command, ['keelson webhook-secrets revoke hr 0123456789abcdef']);
}

async function readSecret(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(EXIT.usage, `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

function parseSeconds(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number of seconds, please.');
  return Number(text);
}

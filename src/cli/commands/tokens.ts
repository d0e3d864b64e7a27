import { Command, InvalidArgumentError } from 'commander';
import { SCOPES } from '../../http/caller.js';
import { asObject, textOf, type Answer } from '../answer.js';
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
import { readPages } from '../pages.js';
import { formatTable, neutralise } from '../text.js';

interface CreateOptions extends TargetOptions {
  scope: string[];
  producer?: string;
  expiresIn?: number;
  holder?: string;
  holderIssuer?: string;
  out?: string;
}

/** `keelson tokens create|list|revoke`. */
export function createTokens(context: Context): Command {
  const tokens = new Command('tokens')
    .description('make, list and revoke API tokens')
    .helpOption('-h, --help', 'show this');
  tokens.addCommand(createCreate(context)).addCommand(createList(context)).addCommand(createRevoke(context));
  return withExamples(tokens, ['keelson tokens create gateway-1 --scope publish:decisions', 'keelson tokens list']);
}

function createCreate(context: Context): Command {
  const command = withTarget(createCommand('create', 'make a token; its text is shown this once'))
    .argument('<name>', 'what it is for')
    .requiredOption('--scope <scopes...>', `what it may: ${SCOPES.join(', ')}`)
    .option('--producer <id>', "whom its events are recorded under (default: the token's name)")
    .option('--expires-in <seconds>', 'how long it works (default: until revoked)', parseSeconds)
    .option(
      '--holder <id>',
      'the person who will hold it: nobody approves their own, whichever of their tokens they use',
    )
    .option('--holder-issuer <issuer>', "who knows that person by this id (default: the producer's configured issuer)")
    .option('--out <file>', 'write the token to a new file that only you can read, instead of showing it')
    .action(async (name: string, options: CreateOptions) => {
      if (options.holderIssuer !== undefined && options.holder === undefined) {
        throw new CommandError(EXIT.usage, '--holder-issuer goes with --holder');
      }
      const client = await openClient(context, options);
      const body = JSON.stringify({
        name,
        producer: options.producer ?? name,
        scopes: options.scope.flatMap((scopes) => scopes.split(',')),
        ...(options.expiresIn === undefined ? {} : { expiresInS: options.expiresIn }),
        ...(options.holder === undefined ? {} : { holder: { id: options.holder, issuer: options.holderIssuer } }),
      });
      // Opened first: a token that can't be kept is not made.
      const file = options.out === undefined ? undefined : await openNew(options.out);
      try {
        const { token, ...made } = asObject(await client.sendJson('POST', '/v1/tokens', body));
        await file?.writeFile(`${String(token)}\n`);
        if (options.json) await context.output.line(formatJson(file === undefined ? { ...made, token } : made));
        else if (file === undefined) await context.output.line(neutralise(String(token)));
        else context.output.note(`token ${textOf(made, 'id')} is in ${options.out}`);
      } finally {
        await file?.close();
      }
    });
  return withExamples(command, [
    'keelson tokens create gateway-1 --scope publish:decisions --out gateway-1.token',
    'keelson tokens create auditor --scope read read:personal --expires-in 86400',
    'keelson tokens create dana-admin --producer admin --scope admin --holder dana@company.com',
  ]);
}

function createList(context: Context): Command {
  const command = withTarget(createCommand('list', 'list tokens, oldest first; never their text')).action(
    async (options: TargetOptions) => {
      const client = await openClient(context, options);
      const rows = await readPages(client, '/v1/tokens', {}, 'tokens');
      if (options.json) for (const row of rows) await context.output.line(formatJson(row));
      else for (const line of formatTokens(rows)) await context.output.line(line);
    },
  );
  return withExamples(command, ['keelson tokens list', 'keelson tokens list --json | jq -r .id']);
}

function createRevoke(context: Context): Command {
  const command = withTarget(createCommand('revoke', 'revoke a token: at once here, elsewhere within seconds'))
    .argument('<id>', 'its id, as `tokens list` shows it')
    .action(async (id: string, options: TargetOptions) => {
      const client = await openClient(context, options);
      await client.sendJson('DELETE', `/v1/tokens/${encodeURIComponent(id)}`);
      if (options.json) await context.output.line(formatJson({ id, revoked: true }));
      else context.output.note(`token ${neutralise(id)} is revoked`);
    });
  return withExamples(command, ['keelson tokens revoke 5f2c9a']);
}

const formatTokens = (rows: readonly Answer[]): string[] =>
  formatTable([
    ['ID', 'NAME', 'PRODUCER', 'HOLDER', 'STATE', 'LAST USED', 'SCOPES'],
    ...rows.map((row) => [
      ...['id', 'name', 'producer'].map((member) => textOf(row, member)),
      row.holder === undefined ? '' : textOf(asObject(row.holder), 'id'),
      row.revokedAt === undefined
        ? row.expiresAt === undefined
          ? 'valid'
          : `to ${textOf(row, 'expiresAt')}`
        : 'revoked',
      textOf(row, 'lastUsedAt'),
      textOf(row, 'scopes'),
    ]),
  ]);

function parseSeconds(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('a whole number of seconds, please.');
  return Number(text);
}

import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { formatBase64, parseBase64 } from '../../core/bytes.js';
import type { Signer } from '../../core/signer.js';
import type { FeedKeySet } from '../../protocol/key-set.js';
import { createCommand, formatJson, withExamples, type Context, type JsonOption } from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { openNew } from '../new-file.js';
import { formatTable } from '../text.js';

interface StepOptions extends JsonOption {
  root?: string;
  request?: string;
  expiresIn: number;
}

interface SignOptions extends JsonOption {
  root: string;
  out?: string;
}

/** What the root is asked to sign, as a file. */
interface Request {
  readonly ledger: string;
  readonly version: number;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** Base64. */
  readonly publicKeys: readonly string[];
}

const WHERE = '\nRuns where the server runs, with its settings; finds the embedded database by KEELSON_DATA.';

/** `keelson feed-key show|rotate|finish|renew|sign|install`. */
export function createFeedKey(context: Context): Command {
  const command = new Command('feed-key')
    .description('the keys that sign the feed, and the sets of them that the root signs')
    .helpOption('-h, --help', 'show this');
  command
    .addCommand(createShow(context))
    .addCommand(createStep(context, 'rotate', 'make a new feed key, and sign with it; the old one stays good', addKey))
    .addCommand(createStep(context, 'finish', 'leave every key but the one that signs out of the set', keepFirst))
    .addCommand(createStep(context, 'renew', 'let the same keys be good for longer', async (keys) => keys))
    .addCommand(createSign(context))
    .addCommand(createInstall(context));
  return withExamples(command, [
    'keelson feed-key rotate',
    'keelson feed-key finish',
    'keelson feed-key rotate --request set.json   # the root lies elsewhere; there:',
    'keelson feed-key sign set.json --root feed-root.key --out set.signed   # and back here:',
    'keelson feed-key install set.signed',
  ]);
}

function createShow(context: Context): Command {
  const command = createCommand('show', 'show the set of feed keys in force')
    .addHelpText('after', WHERE)
    .action(async (options: JsonOption) => {
      await beside(context, async ({ set, held, rootKey, isRootHere }) => {
        const keys = set.publicKeys.map(formatBase64);
        const signs = keys.find((key) => held.has(key));
        const shown = { ...describe(set), rootKey: formatBase64(rootKey), isRootHere };
        if (options.json) {
          const listed = keys.map((key) => ({ key, isHere: held.has(key), signs: key === signs }));
          return context.output.line(formatJson({ ...shown, keys: listed }));
        }
        const lines = [
          ...formatTable([
            ['version', String(shown.version)],
            ['expires', shown.expiresAt],
            ['root', `${shown.rootKey} (${isRootHere ? 'its file is here' : 'its file is elsewhere'})`],
          ]),
          '',
          ...formatTable([
            ['KEY', 'STATE'],
            ...keys.map((key) => [key, key === signs ? 'signs' : held.has(key) ? 'its file is here' : 'elsewhere']),
          ]),
        ];
        for (const line of lines) await context.output.line(line);
      });
    });
  return withExamples(command, ['keelson feed-key show', 'keelson feed-key show --json | jq -r .expiresAt']);
}

type Next = (publicKeys: readonly Uint8Array[], dataFolder: string) => Promise<readonly Uint8Array[]>;

const addKey: Next = async (publicKeys, dataFolder) => {
  if (publicKeys.length > 1) {
    throw new CommandError(EXIT.usage, 'another key is under way already: feed-key finish, then rotate');
  }
  const { makeFeedKey } = await import('../../platform/keyring.js');
  return [(await makeFeedKey(dataFolder)).publicKey, ...publicKeys];
};
const keepFirst: Next = async ([first]) => [first!];

function createStep(context: Context, name: string, description: string, next: Next): Command {
  const command = createCommand(name, description)
    .option('--root <file>', "file of the root key (default: keys/feed-root.key of the server's folder)")
    .option('--request <file>', 'write what the root has to sign to a new file, instead of signing it')
    .option('--expires-in <days>', 'how long the set is good', parseDays, 732)
    .addHelpText('after', WHERE)
    .action(async (options: StepOptions) => {
      await beside(context, async ({ set, ledger, dataFolder, install, nowUs }) => {
        // Opened first: a key that nobody can sign for is not made.
        const root = options.request === undefined ? await openRoot(dataFolder, options.root) : undefined;
        const publicKeys = await next(set.publicKeys, dataFolder);
        const expiresUs = Number(nowUs) + options.expiresIn * 86_400_000_000;
        const made = { version: set.version + 1, expiresUs, publicKeys };
        if (root === undefined) {
          const file = await openNew(options.request!);
          const request: Request = { ledger, ...describe(made), publicKeys: publicKeys.map(formatBase64) };
          await file.writeFile(`${JSON.stringify(request, null, 2)}\n`).finally(() => file.close());
          if (options.json) return context.output.line(formatJson({ request: options.request, ...request }));
          return context.output.note(
            `set ${made.version} is in ${options.request}: sign it with the root, then install it`,
          );
        }
        const { signKeySet } = await import('../../protocol/key-set.js');
        await tell(context, options, await install(signKeySet(root, ledger, made)));
      });
    });
  return withExamples(command, [`keelson feed-key ${name}`, `keelson feed-key ${name} --request set.json`]);
}

function createSign(context: Context): Command {
  const command = createCommand('sign', 'sign a set of feed keys with the root: needs no server, no network')
    .argument('<request>', 'file that `--request` wrote')
    .requiredOption('--root <file>', 'file of the root key')
    .option('--out <file>', 'write the signed set to a new file, instead of showing it')
    .action(async (request: string, options: SignOptions) => {
      const { signKeySet } = await import('../../protocol/key-set.js');
      const asked = readRequest(await readInput(request));
      const publicKeys = asked.publicKeys.map((key) => parseBase64(key) ?? new Uint8Array(0));
      const expiresUs = Date.parse(asked.expiresAt) * 1000;
      const set = { version: asked.version, expiresUs, publicKeys };
      const root = await openRoot('', options.root);
      const signed = formatBase64(signKeySet(root, asked.ledger, set));
      if (options.out !== undefined) {
        const file = await openNew(options.out);
        await file.writeFile(`${signed}\n`).finally(() => file.close());
      }
      if (options.json) await context.output.line(formatJson({ ...describe(set), set: signed }));
      else if (options.out === undefined) await context.output.line(signed);
      else
        context.output.note(`set ${set.version} of ${asked.ledger}, ${publicKeys.length} keys, is in ${options.out}`);
    });
  return withExamples(command, ['keelson feed-key sign set.json --root feed-root.key --out set.signed']);
}

function createInstall(context: Context): Command {
  const command = createCommand('install', 'put a set that the root has signed in force')
    .argument('<file>', 'what `feed-key sign` wrote')
    .addHelpText('after', WHERE)
    .action(async (file: string, options: JsonOption) => {
      const bytes = parseBase64((await readInput(file)).trim());
      if (bytes === undefined) throw new CommandError(EXIT.usage, `${file} is no signed set`);
      await beside(context, async ({ install }) => tell(context, options, await install(bytes)));
    });
  return withExamples(command, ['keelson feed-key install set.signed']);
}

interface Beside {
  readonly ledger: string;
  readonly dataFolder: string;
  readonly nowUs: bigint;
  readonly set: FeedKeySet;
  readonly rootKey: Uint8Array;
  readonly isRootHere: boolean;
  /** Keys whose files are here, base64. */
  readonly held: ReadonlySet<string>;
  readonly install: (bytes: Uint8Array) => Promise<FeedKeySet>;
}

/** Works on the database and the folder of a server, running or not. */
async function beside(context: Context, work: (server: Beside) => Promise<void> | void): Promise<void> {
  const { openWorkshop } = await import('../workshop.js');
  const { installKeySet, readNewestSet } = await import('../../feed/keys.js');
  const { listFeedKeys, openRootKey } = await import('../../platform/keyring.js');
  const { nodeVerifier } = await import('../../platform/signer.js');
  const foundation = await openWorkshop(context);
  try {
    const { database, clock, storage, installation } = foundation;
    const { dataFolder } = storage;
    const realm = { ledger: installation.ledgerName, verifier: nodeVerifier };
    const set = await readNewestSet(database, realm);
    if (set === undefined) throw new CommandError(EXIT.notFound, 'there are no feed keys yet: start the server once');
    await work({
      ledger: realm.ledger,
      dataFolder,
      nowUs: clock.nowUs(),
      set,
      rootKey: set.rootKey,
      isRootHere: (await openRootKey(dataFolder)) !== undefined,
      held: new Set((await listFeedKeys(dataFolder)).map(({ publicKey }) => formatBase64(publicKey))),
      install: (bytes) => installKeySet(database, clock, realm, bytes),
    });
  } finally {
    await foundation.close();
  }
}

async function openRoot(dataFolder: string, file: string | undefined): Promise<Signer> {
  const { openRootKey } = await import('../../platform/keyring.js');
  const root = await openRootKey(file ?? dataFolder, { file: file !== undefined });
  if (root !== undefined) return root;
  throw new CommandError(
    EXIT.usage,
    `${file ?? 'the root key'} is not here: --root <file>, or --request <file> to sign elsewhere`,
  );
}

async function tell(context: Context, options: JsonOption, set: FeedKeySet): Promise<void> {
  if (options.json) await context.output.line(formatJson(describe(set)));
  else
    context.output.note(
      `set ${set.version} is in force, to ${describe(set).expiresAt}: servers take it over in a second`,
    );
}

const describe = ({ version, expiresUs }: FeedKeySet): { version: number; expiresAt: string } => ({
  version,
  expiresAt: new Date(Math.floor(expiresUs / 1000)).toISOString(),
});

const readInput = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CommandError(EXIT.usage, `${path} can't be read: ${(cause as Error).message}`, { cause });
  });

/** @throws CommandError `usage` */
function readRequest(text: string): Request {
  let json: Partial<Request> = {};
  try {
    json = JSON.parse(text) as Partial<Request>;
  } catch {
    // Said below.
  }
  const { ledger, version, expiresAt, publicKeys } = json;
  const keys = Array.isArray(publicKeys) ? (publicKeys as unknown[]) : [];
  const areKeys =
    keys.length > 0 &&
    keys.length <= 8 &&
    keys.every((key) => typeof key === 'string' && parseBase64(key)?.length === 32);
  const isTime = typeof expiresAt === 'string' && !Number.isNaN(Date.parse(expiresAt));
  if (typeof ledger !== 'string' || !Number.isSafeInteger(version) || !isTime || !areKeys) {
    throw new CommandError(EXIT.usage, 'not a request to sign a set of feed keys');
  }
  return json as Request;
}

function parseDays(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('a whole number of days, please.');
  return Number(text);
}

import type { Command } from 'commander';
import { hashLeaf } from '../../core/merkle.js';
import { verifyReceipt, type VerifiedReceipt } from '../../verify/verify-receipt.js';
import { asObject, listOf, textOf, type Answer } from '../answer.js';
import type { Client } from '../client.js';
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
import { writeNew } from '../new-file.js';
import { checking, readKey } from '../verification.js';

interface GetOptions extends TargetOptions {
  key?: string;
  receipt?: string;
}

/** `keelson get`: one entry, and whether its proof holds. */
export function createGet(context: Context): Command {
  const command = withTarget(createCommand('get', 'show an entry and check its proof'))
    .argument('<event-or-log>', 'event id; or a log, e.g. decisions/0/g1, with an index')
    .argument('[index]', "the entry's index in that log")
    .option('--key <key>', "the ledger's verifier key, or a file with it (default: the one the server names)")
    .option('--receipt <file>', 'write the receipt to a new file: entry, proof and checkpoint, for `verify --receipt`')
    .action((what: string, index: string | undefined, options: GetOptions) => get(context, what, index, options));
  return withExamples(command, [
    'keelson get 0198c2f3-7c1e-7d6c-a1d0-3b0f2a8d4c11',
    'keelson get decisions/0/g1 41 --key ledger.key --receipt 41.receipt',
  ]);
}

async function get(context: Context, what: string, index: string | undefined, options: GetOptions): Promise<void> {
  const { output } = context;
  const client = await openClient(context, options);
  const entries = index === undefined ? await findEvent(client, what) : [await readEntry(client, what, index)];
  if (options.receipt !== undefined && entries.length > 1) {
    throw new CommandError(EXIT.usage, 'several producers used this id: name log and index, for one receipt');
  }
  const key = await readKey(options.key ?? textOf(asObject(await client.getJson('/v1/keys')), 'ledger'));
  for (const entry of entries) {
    const place = `${textOf(entry, 'log')}/receipts/${textOf(entry, 'index')}`;
    const text = await client.getText(`/v1/logs/${place}`);
    const receipt = verifyReceipt({ ...checking, key }, text);
    requireSame(entry, receipt);
    if (options.receipt !== undefined) await writeNew(options.receipt, text);
    const proof = {
      ok: true,
      size: receipt.checkpoint.size,
      root: Buffer.from(receipt.checkpoint.root).toString('base64'),
    };
    await output.line((options.json ? formatJson : formatJsonLines)({ ...entry, checked: proof }));
  }
  if (options.key === undefined)
    output.note('checked with the key that the server names; --key checks the server, too');
}

async function findEvent(client: Client, event: string): Promise<readonly Answer[]> {
  const hits = listOf(asObject(await client.getJson('/v1/search', { event })), 'hits');
  if (hits.length === 0) throw new CommandError(EXIT.notFound, `no entry has the event id ${event}`);
  return hits;
}

async function readEntry(client: Client, log: string, index: string): Promise<Answer> {
  if (!/^[a-z]+\/\d+\/g\d+$/.test(log) || !/^\d+$/.test(index)) {
    throw new CommandError(EXIT.usage, 'a log is named like decisions/0/g1, an index is a whole number');
  }
  return asObject(await client.getJson(`/v1/logs/${log}/entries/${index}`));
}

/** A proof of another entry would prove nothing about the one that is shown. */
function requireSame(entry: Answer, { log, index, bytes }: VerifiedReceipt): void {
  const leaf = Buffer.from(hashLeaf(checking.hasher, bytes)).toString('base64');
  if (textOf(entry, 'log') === log && textOf(entry, 'index') === String(index) && entry.leafHash === leaf) return;
  throw new CommandError(EXIT.failed, `the server proves another entry than the one it shows: ${log} ${index}`);
}

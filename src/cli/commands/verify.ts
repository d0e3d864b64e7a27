import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { decodeUtf8 } from '../../core/bytes.js';
import { looksLikeCertificate } from '../../protocol/certificate.js';
import type { Finding, LedgerReport } from '../../verify/finding.js';
import { openFolderSource } from '../../verify/folder-source.js';
import { openHttpSource } from '../../verify/http-source.js';
import type { LedgerKey } from '../../verify/ledger-key.js';
import type { TileSource } from '../../verify/source.js';
import { verifyCertificate } from '../../verify/verify-certificate.js';
import { verifyLedger } from '../../verify/verify-ledger.js';
import { verifyReceipt } from '../../verify/verify-receipt.js';
import { printCertificate } from '../certificate.js';
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
import { keepCheckpoints, readKeptCheckpoints, rememberCheckpoints } from '../kept-checkpoints.js';
import { startProgress } from '../progress.js';
import { neutralise } from '../text.js';
import { checking, readBytes, readInput, readKey } from '../verification.js';

interface VerifyOptions extends TargetOptions {
  key: string;
  since?: string;
  onlyNew?: true;
  keep?: string;
  receipt?: string;
}

/** `keelson verify`: what an outsider runs, with nothing but a public key and tiles. */
export function createVerify(context: Context): Command {
  const command = withTarget(createCommand('verify', 'check every entry of every log against the signed checkpoints'))
    .argument(
      '[source]',
      'folder of exported tiles, URL of a server (default: --url), or a file: a certificate or receipt',
    )
    .requiredOption('--key <key>', "the ledger's verifier key, or a file with it; get it on another way than the tiles")
    .option('--since <file>', 'checkpoints kept from before: the logs must continue them')
    .option('--only-new', 'with --since: read only the entries behind them')
    .option('--keep <file>', 'write the verified checkpoints here, for the next --since; only when everything holds')
    .option('--receipt <file>', 'check one receipt instead; needs no source')
    .action((source: string | undefined, options: VerifyOptions) => verify(context, source, options));
  return withExamples(command, [
    'keelson verify ./tiles --key ledger.key',
    'keelson verify https://keelson.company.com --key ledger.key --since kept.txt --keep kept.txt',
    'keelson verify certificate.json --key ledger.key',
    'keelson verify --key ledger.key --receipt decision.receipt',
  ]);
}

async function verify(context: Context, from: string | undefined, options: VerifyOptions): Promise<void> {
  const key = await readKey(options.key);
  if (options.receipt !== undefined) return verifyOne(context, key, await readInput(options.receipt), options);
  if (from !== undefined && (await isFile(from))) return verifyFile(context, key, from, options);
  if (options.onlyNew && options.since === undefined) throw new CommandError(EXIT.usage, '--only-new needs --since');
  const since = options.since === undefined ? [] : await readKeptCheckpoints(options.since);
  const { source, notes } = rememberCheckpoints(await openSource(context, from, options));
  const progress = startProgress(context.output);
  let report: LedgerReport;
  try {
    report = await verifyLedger(
      { ...checking, source, key },
      {
        since,
        onlyNew: options.onlyNew ?? false,
        onProgress: ({ log, at, size }) => progress.update(Number(at), Number(size), log),
      },
    );
  } finally {
    progress.stop();
  }
  await print(context, report, options);
  const wrong = report.findings.length + report.more;
  if (wrong > 0) throw new CommandError(EXIT.failed, `${wrong} findings: this ledger is not what was signed`);
  if (options.keep !== undefined) await keepCheckpoints(options.keep, notes.values());
}

/** One file, whatever it is. */
async function verifyFile(context: Context, key: LedgerKey, path: string, options: VerifyOptions): Promise<void> {
  const bytes = await readBytes(path);
  if (looksLikeCertificate(bytes)) {
    return printCertificate(context, verifyCertificate({ ...checking, key }, bytes), options);
  }
  const text = decodeUtf8(bytes);
  if (text?.startsWith('c2sp.org/tlog-proof@')) return verifyOne(context, key, text, options);
  throw new CommandError(EXIT.usage, `${path} is neither a certificate nor a receipt`);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

async function verifyOne(context: Context, key: LedgerKey, text: string, { json }: VerifyOptions): Promise<void> {
  const { log, index, checkpoint } = verifyReceipt({ ...checking, key }, text);
  const root = Buffer.from(checkpoint.root).toString('base64');
  if (json) await context.output.line(formatJson({ ok: true, log, index, size: checkpoint.size, root }));
  else await context.output.line(`ok  ${log}  index ${index}  in the tree of ${checkpoint.size} entries, root ${root}`);
}

async function openSource(context: Context, from: string | undefined, options: VerifyOptions): Promise<TileSource> {
  if (from !== undefined && !/^https?:\/\//.test(from)) return openFolderSource(from);
  const { target } = await openClient(context, from === undefined ? options : { ...options, url: from });
  const url = target.url.endsWith('/ledger') ? target.url : `${target.url}/ledger`;
  return openHttpSource(url, target.token === undefined ? {} : { token: target.token });
}

async function print({ output }: Context, report: LedgerReport, { json }: VerifyOptions): Promise<void> {
  const wrong = new Set(report.findings.map(({ log }) => log));
  const logs = report.logs.map((log) => ({ ...log, root: log.root && Buffer.from(log.root).toString('base64') }));
  if (json) {
    const { ledger, findings, more } = report;
    await output.line(formatJson({ ok: findings.length + more === 0, ledger, logs, findings, more }));
    return;
  }
  for (const { log, origin, size, root, checked } of logs) {
    const state = wrong.has(log) ? 'WRONG' : 'ok   ';
    const head =
      size === undefined ? 'no checkpoint that can be trusted' : `${size} entries, ${checked} checked, root ${root}`;
    await output.line(neutralise(`${state}  ${origin}  ${head}`));
  }
  for (const finding of report.findings) await output.line(neutralise(`  ${describe(finding)}`));
  if (report.more > 0) await output.line(`  and ${report.more} more`);
}

function describe({ log, index, tile, code, message }: Finding): string {
  const where = [log, index === undefined ? undefined : `index ${index}`, tile].filter((part) => part !== undefined);
  return `${where.join(', ')}: ${message} [${code}]`;
}

import type { Command } from 'commander';
import { encodeUtf8 } from '../../core/bytes.js';
import { verifyCertificate } from '../../verify/verify-certificate.js';
import { asObject, textOf } from '../answer.js';
import { printCertificate } from '../certificate.js';
import { createCommand, openClient, withExamples, withTarget, type Context, type TargetOptions } from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { writeNew } from '../new-file.js';
import { neutralise } from '../text.js';
import { checking, readKey } from '../verification.js';

interface CertificateOptions extends TargetOptions {
  key?: string;
  output?: string;
}

/** `keelson certificate`: the evidence that a closed case leaves, checked before it is kept. */
export function createCertificate(context: Context): Command {
  const command = withTarget(createCommand('certificate', 'get the certificate of a closed case, and check it'))
    .argument('<order>', 'the order whose case it is, 32 hex digits')
    .option(
      '-o, --output <file>',
      'write it to a new file, and show what it says; otherwise the file itself is the result',
    )
    .option('--key <key>', "the ledger's verifier key, or a file with it (default: the one the server names)")
    .action((order: string, options: CertificateOptions) => certify(context, order, options));
  return withExamples(command, [
    'keelson certificate 5f0c… -o certificate.json',
    'keelson certificate 5f0c… --key ledger.key > certificate.json',
  ]);
}

async function certify(context: Context, order: string, options: CertificateOptions): Promise<void> {
  const { output } = context;
  const client = await openClient(context, options);
  const key = await readKey(options.key ?? textOf(asObject(await client.getJson('/v1/keys')), 'ledger'));
  const file = await client.getText(`/v1/cases/${encodeURIComponent(order)}/certificate`);
  const report = verifyCertificate({ ...checking, key }, encodeUtf8(file));
  if (report.certificate.order !== order) {
    throw new CommandError(EXIT.failed, `the server certifies another order: ${neutralise(report.certificate.order)}`);
  }
  if (options.key === undefined)
    output.note('checked with the key that the server names; --key checks the server, too');
  if (options.output !== undefined) {
    await writeNew(options.output, file);
    return printCertificate(context, report, options);
  }
  const [text] = file.split('\n');
  if (neutralise(text!) !== text)
    throw new CommandError(EXIT.usage, 'it holds characters that act on a terminal: use -o');
  await output.line(text);
}

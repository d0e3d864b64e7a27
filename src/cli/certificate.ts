/** What a certificate says, for people and for machines. */
import type { CertificateReport } from '../verify/verify-certificate.js';
import type { Context, JsonOption } from './command.js';
import { formatJson } from './command.js';
import { CommandError, EXIT } from './exit.js';
import { neutralise, wrap } from './text.js';

/** What stands behind each part of the words. */
const BEHIND = {
  proved: 'proved: in the logs that the ledger signed',
  attested: 'attested: signed by each instance, its own word',
  fenced: 'fenced: not attested, and the time of every lease from before is over',
  stated: 'stated: Keelson’s word, which nothing in this file proves',
} as const;

const WIDTH = 100;

/** Prints a certificate that was verified. @throws CommandError `failed`, after it, where something is wrong */
export async function printCertificate(
  { output }: Context,
  report: CertificateReport,
  { json }: JsonOption,
): Promise<void> {
  const { certificate, positions, findings } = report;
  const { ledger, order, result, seq, issuedAt, says } = certificate;
  if (json) {
    const logs = Object.fromEntries(positions);
    await output.line(
      formatJson({ ok: findings.length === 0, ledger, order, result, seq, issuedAt, says, logs, findings }),
    );
  } else {
    const lines = [`order ${order}: ${result}`, `certified by ${ledger} at ${issuedAt}`];
    for (const [part, title] of Object.entries(BEHIND) as [keyof typeof BEHIND, string][]) {
      if (says[part].length > 0) lines.push('', title, ...says[part].map((line) => `  ${line}`));
    }
    if (findings.length === 0)
      lines.push('', 'ok  not one bit is other than was signed, and it says no more than is shown');
    else lines.push('', 'WRONG', ...findings.map(({ code, message }) => `  ${message} [${code}]`));
    for (const line of lines) for (const part of wrap(neutralise(line), WIDTH, 4)) await output.line(part);
  }
  if (findings.length > 0) {
    throw new CommandError(EXIT.failed, `${findings.length} findings: this certificate says what is not shown`);
  }
}

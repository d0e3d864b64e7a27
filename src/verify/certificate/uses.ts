/** The tokens of a certificate, and when each was used last as far as is recorded. */
import type { Certificate, CertifiedToken, EntryRef } from '../../protocol/certificate.js';
import { readRecord, type Body, type Envelope } from '../record.js';
import { objectOf, textOf } from './body.js';
import { fail, nameOf, type ProvedEntries, type ProvedEntry } from './entries.js';
import type { CertificateFindings } from './finding.js';

export interface ProvedUse extends CertifiedToken {
  readonly used: ProvedEntry & { readonly envelope: Envelope; readonly body: Body };
}

export function checkUses(
  { tokens }: Certificate,
  entries: ProvedEntries,
  findings: CertificateFindings,
): (ProvedUse | undefined)[] {
  if (tokens === undefined) return [];
  const { count, shown, asOf } = tokens;
  findings.attempt('use_wrong', () => {
    const names = new Set(shown.map(({ issuer, token }) => `${token}\n${issuer}`));
    if (names.size < shown.length) fail('a token is shown twice');
    if (shown.length > count) fail(`${shown.length} of ${count} tokens are shown`);
    for (const [i, { log, size }] of asOf.entries()) {
      if (i > 0 && log <= asOf[i - 1]!.log) fail(`${log} does not stand in its order`);
      const checkpoint = entries.checkpoints.get(log);
      if (checkpoint === undefined || checkpoint.size < BigInt(size))
        fail(`no checkpoint covers ${size} entries of ${log}`);
    }
  });
  const sizes = new Map(asOf.map(({ log, size }) => [log, size]));
  return shown
    .filter((one): one is CertifiedToken & { readonly use: EntryRef } => one.use !== undefined)
    .map((one) => findings.attempt('use_wrong', () => readUse(one, sizes, entries)));
}

/** That what was looked through for decisions that the order forbids is there. */
export function checkWatched({ watched = [] }: Certificate, entries: ProvedEntries): void {
  for (const [i, { log, from, size }] of watched.entries()) {
    if (i > 0 && log <= watched[i - 1]!.log) fail(`${log} does not stand in its order`);
    const checkpoint = entries.checkpoints.get(log);
    if (from > size || checkpoint === undefined || checkpoint.size < BigInt(size))
      fail(`no checkpoint covers ${from} up to ${size} entries of ${log}`);
  }
}

function readUse(
  { issuer, token, use }: CertifiedToken & { readonly use: EntryRef },
  sizes: ReadonlyMap<string, number>,
  entries: ProvedEntries,
): ProvedUse {
  const entry = entries.take(use);
  const { body, ...envelope } = readRecord(entry.record);
  if (envelope.type !== 'decision.made' || body.decision !== 'allow') fail(`${nameOf(use)} lets nobody do anything`);
  if (use.index >= (sizes.get(use.log) ?? 0)) fail(`${nameOf(use)} is behind what was looked through`);
  if (!isUseOf(body, issuer, token)) fail(`${nameOf(use)} is no use of ${token}`);
  return { issuer, token, use, used: { ...entry, envelope, body } };
}

/** Whether a decision is about the token of that name: its (issuer, jti), or, where it goes by none, its digest. */
export function isUseOf(body: Body, issuer: string, token: string): boolean {
  const named = objectOf(body, 'token') ?? {};
  const jti = textOf(named, 'jti');
  if (jti !== '') return jti === token && textOf(named, 'issuer') === issuer;
  return issuer === '' && textOf(named, 'digest') === token;
}

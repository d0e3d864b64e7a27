/** The instances of a certificate: who joined, who attested what, and that the others have no lease any more. */
import { equalBytes, formatHex, parseBase64 } from '../../core/bytes.js';
import { ACK_BYTES, checkAck, parseAck, type Ack } from '../../protocol/ack.js';
import type { CertifiedInstance } from '../../protocol/certificate.js';
import { instanceOf } from '../../protocol/join.js';
import { DEFAULT_STALENESS_US } from '../../protocol/staleness.js';
import { bytesOf, numberOf, textOf } from './body.js';
import { fail, nameOf, type OwnRecord, type ProvedEntries, type ProvedEntry, type Trusted } from './entries.js';
import type { CertificateFindings } from './finding.js';
import type { ProvedOrder } from './order.js';

/** A lease is at most so long by a clock that is 1 % slow. */
export const LEASE_GONE_US = Math.ceil(DEFAULT_STALENESS_US * 1.01);

/** Statuses of instances that attested the order: all of it, keys of some types only, or another table than there is. */
const ATTESTED: ReadonlySet<string> = new Set(['acked', 'partial', 'contradicting']);

export interface ProvedInstance extends CertifiedInstance {
  readonly joined: ProvedEntry;
  readonly attested: (ProvedEntry & { readonly ack: Ack }) | undefined;
}

/** @param seq what an ack must have reached. */
export function checkInstances(
  trusted: Trusted,
  instances: readonly CertifiedInstance[],
  seq: number,
  entries: ProvedEntries,
  findings: CertificateFindings,
): (ProvedInstance | undefined)[] {
  const states = new Map<number, Uint8Array>();
  return instances.map((one) =>
    findings.attempt('instance_wrong', () => {
      const { instance, enrolled, status } = one;
      if (enrolled === undefined) fail(`nothing shows that ${instance} joined`);
      const joined = entries.takeOwn(enrolled, 'point.enrolled');
      const publicKey = readKey(trusted, one, joined);
      if (ATTESTED.has(status) !== (one.ack !== undefined))
        fail(`${instance} is ${status}, and its ack says otherwise`);
      if (one.ack === undefined) return { ...one, joined, attested: undefined };
      const collected = entries.takeOwn(one.ack, 'ack.collected');
      const ack = readAck(trusted, one, seq, publicKey, collected);
      if (ack.generation !== numberOf(joined.body, 'generation'))
        fail(`the ack of ${instance} is of another generation`);
      if (status !== 'contradicting') {
        const state = states.get(ack.seq);
        if (state !== undefined && !equalBytes(state, ack.stateHash)) {
          fail(`${instance} had another table at ${ack.seq} than others`);
        }
        states.set(ack.seq, ack.stateHash);
      }
      return { ...one, joined, attested: { ...collected, ack } };
    }),
  );
}

/** That nobody can have a lease from before the order any more, by the times at which its last part and the end of the case were recorded. */
export function checkFence({ lastPart }: ProvedOrder, closed: ProvedEntry): void {
  const waitedUs = closed.appendedUs - lastPart.appendedUs;
  if (waitedUs < LEASE_GONE_US) {
    fail(`the case was closed ${waitedUs / 1e6} s after its last part: a lease may be ${LEASE_GONE_US / 1e6} s old`);
  }
}

/** The key it joined with, from which its name follows. */
function readKey({ hasher, key }: Trusted, { instance, point }: CertifiedInstance, joined: OwnRecord): Uint8Array {
  const { body } = joined;
  const publicKey = parseBase64(textOf(body, 'public_key'));
  if (publicKey?.length !== 32) fail(`${nameOf(joined)} names no key`);
  if (textOf(body, 'instance') !== instance || textOf(body, 'point') !== point) {
    fail(`${nameOf(joined)} is of another instance than ${instance} of ${point}`);
  }
  if (formatHex(instanceOf(hasher, key.ledger, publicKey)) !== instance) {
    fail(`${nameOf(joined)} names a key that is not that of ${instance}`);
  }
  return publicKey;
}

/** The instance's own ack among those that were collected. */
function readAck(
  { verifier, key: { ledger } }: Trusted,
  { instance }: CertifiedInstance,
  seq: number,
  publicKey: Uint8Array,
  collected: OwnRecord,
): Ack {
  const all = bytesOf(collected.body, 'acks');
  for (let at = 0; at + ACK_BYTES <= all.length; at += ACK_BYTES) {
    const bytes = all.subarray(at, at + ACK_BYTES);
    const ack = parseAck(bytes);
    if (formatHex(ack.instance) !== instance) continue;
    checkAck({ ledger, verifier }, publicKey, bytes);
    if (ack.seq < seq) fail(`${instance} attested ${ack.seq} only, the order is ${seq}`);
    return ack;
  }
  return fail(`${nameOf(collected)} holds no ack of ${instance}`);
}

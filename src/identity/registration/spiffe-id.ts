/** SPIFFE IDs and the trust domains in them (SPIFFE-ID §2). */
import { Failure } from './finding.js';

/** §2.3: whatever is longer need not be supported. */
const BYTES_MAX = 2048;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[a-zA-Z0-9._-]+$/;
const SCHEME = 'spiffe://';

export const isTrustDomain = (text: string): boolean => TRUST_DOMAIN.test(text);

/**
 * The trust domain of a workload's SPIFFE ID. Byte for byte as written: no case folding, so that two spellings are never one name.
 * @throws Failure `not_an_svid` for what is none, or has no path.
 */
export function parseSpiffeId(id: string): string {
  if (!id.startsWith(SCHEME) || id.length > BYTES_MAX) throw new Failure('not_an_svid', 'not a SPIFFE ID');
  const [trustDomain = '', ...segments] = id.slice(SCHEME.length).split('/');
  if (!isTrustDomain(trustDomain)) throw new Failure('not_an_svid', 'a SPIFFE ID without a trust domain');
  if (segments.length === 0) throw new Failure('not_an_svid', 'a SPIFFE ID without a path names no workload');
  for (const segment of segments) {
    if (!SEGMENT.test(segment) || segment === '.' || segment === '..') {
      throw new Failure('not_an_svid', 'a SPIFFE ID with a path that SPIFFE does not allow');
    }
  }
  return trustDomain;
}

/**
 * What the SPIFFE ID of an agent's evidence must be, all of these: the one that is claimed, and the agent itself where it is called by one.
 * So nobody shows their own SVID for an agent that has another's name.
 */
export function expectedIds(agent: string | undefined, claimed: string | undefined): readonly string[] {
  const ids = claimed === undefined ? [] : [claimed];
  if (agent !== undefined && (claimed === undefined || agent.startsWith(SCHEME))) ids.push(agent);
  return ids;
}

/** @throws Failure `wrong_subject` */
export function requireSubject(subject: string, expected: readonly string[]): void {
  if (expected.length > 0 && expected.every((id) => id === subject)) return;
  throw new Failure('wrong_subject', `it names ${subject}`);
}

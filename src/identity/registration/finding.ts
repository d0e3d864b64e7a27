/** What checking one piece of evidence came to. */
import type { JsonObject } from '../../events/json.js';
import { formatTimestamp } from '../../events/time.js';

export type Method = 'jwt_svid' | 'x509_svid' | 'jws' | 'detached' | 'allow_list' | 'metadata_document';

/** Why evidence does not hold: `code` of `registration.failed`. docs/registration.md says what each means. */
export type FailureCode =
  | 'no_evidence'
  | 'evidence_not_kept'
  | 'check_failed'
  | 'malformed'
  | 'too_large'
  | 'algorithm_not_allowed'
  | 'unknown_trust_domain'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_subject'
  | 'not_an_svid'
  | 'no_path'
  | 'unknown_signer'
  | 'signer_not_allowed'
  | 'wrong_digest'
  | 'client_not_approved'
  | 'address_not_allowed'
  | 'metadata_unavailable'
  | 'metadata_refused';

export interface Finding {
  readonly method?: Method;
  /** Undefined: it holds. */
  readonly code?: FailureCode;
  /** For people: public facts alone. */
  readonly detail?: string;
  readonly trustDomain?: string;
  readonly keyId?: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly certificateFingerprint?: string;
  readonly manifestDigest?: string;
  /** Until when the evidence holds, microseconds since 1970. */
  readonly expiresUs?: bigint;
}

/** What makes evidence fail; where it is thrown is where checking ends. */
export class Failure extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
  ) {
    super(message);
  }
}

/** What is needed for checking can't be had just now: it says nothing about the evidence. */
export class Unavailable extends Error {}

/** Too much is asked for at the same time: nothing was asked. */
export class Busy extends Unavailable {}

/** A finding on its way. */
export type Known = { -readonly [Member in keyof Finding]: Finding[Member] };

/**
 * A finding of what `check` answers, or of the `Failure` it throws; `known` was learned on the way. Anything else that is thrown is a bug:
 * evidence that runs into one does not hold.
 * @throws Unavailable
 */
export async function findingOf(
  method: Method,
  check: (known: Known) => void | Promise<void>,
  onBug: (error: unknown) => void,
): Promise<Finding> {
  const known: Known = { method };
  try {
    await check(known);
    return known;
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    if (error instanceof Failure) return { ...known, code: error.code, detail: cut(error.message) };
    onBug(error);
    return { ...known, code: 'check_failed', detail: 'the check itself failed' };
  }
}

/** As members of an event. */
export function formatFinding(finding: Finding): JsonObject {
  const { method, code, detail, trustDomain, keyId, certificateFingerprint, manifestDigest, expiresUs } = finding;
  const members = {
    method,
    code,
    detail,
    trust_domain: trustDomain,
    key_id: keyId,
    certificate_fingerprint: certificateFingerprint,
    manifest_digest: manifestDigest,
    expires_at: expiresUs === undefined ? undefined : formatTimestamp(expiresUs),
  };
  const event: JsonObject = {};
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) event[name] = typeof value === 'string' ? cut(value) : value;
  }
  return event;
}

/** UTF-16 code units of a text in a finding: less than a schema holds. */
const TEXT_MAX = 500;
/** Texts in findings come from evidence: what can't stand in a line of a log is left out. */
const cut = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, TEXT_MAX);

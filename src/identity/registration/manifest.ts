/**
 * Signatures over tool manifests. What is signed is the manifest (a JWS that carries it) or its digest: then the signed bytes are the text
 * of `manifest_digest`, as it stands in the event.
 */
import { constants, createHash, verify as verifySignature } from 'node:crypto';
import { compactVerify, decodeProtectedHeader, errors } from 'jose';
import { parseBase64 } from '../../core/bytes.js';
import type { Algorithm, Signer, SignerKey } from './configuration.js';
import { Failure, type Known, type Method } from './finding.js';

/** UTF-16 code units of a JWS that carries its manifest. */
const JWS_MAX = 262_144;
const DIGEST = /^(?:sha256:)?[0-9a-f]{64}$/;

export interface Manifest {
  readonly tool: string;
  readonly digest: string | undefined;
  readonly signature: string;
  /** As the event names them; undefined: whoever has the key that the JWS names. */
  readonly signer: string | undefined;
}

/** A JWS has three parts (RFC 7515 §7.1); a signature alone is one text of base64. */
export const methodOf = (signature: string): Method => (signature.includes('.') ? 'jws' : 'detached');

/** Whether the JWS carries what it signs: then it looks like a token, and is masked before anything is kept. */
export const carriesManifest = (signature: string): boolean =>
  /^[\w-]+\.[\w-]+\.[\w-]*$/.test(signature.slice(0, JWS_MAX));

/** @throws Failure */
export async function verifyManifest(
  manifest: Manifest,
  signers: ReadonlyMap<string, Signer>,
  known: Known,
): Promise<void> {
  const { tool, digest, signature, signer } = manifest;
  if (digest !== undefined && !DIGEST.test(digest))
    throw new Failure('malformed', 'manifest_digest is no SHA-256 in hex');
  if (digest !== undefined) known.manifestDigest = digest;
  if (methodOf(signature) === 'jws') return verifyJws(manifest, signers, known);
  if (digest === undefined) throw new Failure('malformed', 'a signature without the digest it is over');
  const bytes = parseBase64(signature);
  if (bytes === undefined || bytes.length === 0) throw new Failure('malformed', 'a signature that is not base64');
  if (signer === undefined) throw new Failure('unknown_signer', 'nobody is named as signer');
  const { keys } = allowed(signers.get(signer), tool);
  const key = keys.find((one) => verifyDetached(one, Buffer.from(digest), bytes));
  if (key === undefined) throw new Failure('bad_signature', `no key of ${signer} made this signature`);
  known.keyId = key.kid ?? signer;
}

async function verifyJws(manifest: Manifest, signers: ReadonlyMap<string, Signer>, known: Known): Promise<void> {
  const { signature: jws, digest } = manifest;
  if (jws.length > JWS_MAX) throw new Failure('too_large', `more than ${JWS_MAX} characters`);
  const key = chooseKey(manifest, signers);
  known.keyId = key.kid ?? manifest.signer!;
  const [header, payload, signature] = jws.split('.') as [string, string, string];
  const isDetached = payload === '';
  if (isDetached && digest === undefined)
    throw new Failure('malformed', 'a detached JWS without the digest it is over');
  // RFC 7515, appendix F: what was taken out is put back.
  const whole = isDetached ? `${header}.${Buffer.from(digest!).toString('base64url')}.${signature}` : jws;
  let signed;
  try {
    signed = (await compactVerify(whole, key.key, { algorithms: [key.algorithm] })).payload;
  } catch (error) {
    throw failureOf(error);
  }
  if (!isDetached) requireDigest(Buffer.from(signed), digest, known);
}

/** A JWS that carries the manifest, or the text of its digest, must carry that of the event. */
function requireDigest(signed: Buffer, digest: string | undefined, known: Known): void {
  if (signed.toString('latin1') === digest) return;
  const hex = createHash('sha256').update(signed).digest('hex');
  if (digest === undefined) known.manifestDigest = `sha256:${hex}`;
  else if (digest.replace('sha256:', '') !== hex) {
    throw new Failure('wrong_digest', `what is signed has the digest sha256:${hex}`);
  }
}

/** The key that the JWS names; of a signer with a single key, that one. */
function chooseKey({ signature, signer, tool }: Manifest, signers: ReadonlyMap<string, Signer>): SignerKey {
  let header;
  try {
    header = decodeProtectedHeader(signature);
  } catch {
    throw new Failure('malformed', 'not a JWS');
  }
  const { kid, alg } = header;
  const named = signer === undefined ? undefined : allowed(signers.get(signer), tool);
  const candidates = named?.keys ?? [...signers.values()].flatMap(({ keys }) => keys);
  const key = kid === undefined ? only(named?.keys) : candidates.find((one) => one.kid === kid);
  if (key === undefined) throw new Failure('unknown_key', 'no signer has the key that it names');
  if (named === undefined)
    allowed(
      [...signers.values()].find(({ keys }) => keys.includes(key)),
      tool,
    );
  if (alg !== key.algorithm)
    throw new Failure('algorithm_not_allowed', `alg ${String(alg)}, where ${key.algorithm} belongs`);
  return key;
}

const only = (keys: readonly SignerKey[] | undefined): SignerKey | undefined =>
  keys?.length === 1 ? keys[0] : undefined;

/** @throws Failure `unknown_signer`, `signer_not_allowed` */
function allowed(signer: Signer | undefined, tool: string): Signer {
  if (signer === undefined) throw new Failure('unknown_signer', 'no such signer is configured');
  if (signer.tools !== undefined && !signer.tools.some((pattern) => matches(pattern, tool))) {
    throw new Failure('signer_not_allowed', 'the signer may not sign this tool');
  }
  return signer;
}

/** Exact, or by what stands before a `*` at the end. */
export const matches = (pattern: string, text: string): boolean =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : pattern === text;

const HASH: Readonly<Record<Algorithm, string | null>> = {
  RS256: 'sha256',
  PS256: 'sha256',
  ES256: 'sha256',
  ES384: 'sha384',
  EdDSA: null,
};

/** Of ECDSA both forms are taken: DER, as OpenSSL writes it, and r ‖ s, as JWS does. */
function verifyDetached({ algorithm, key }: SignerKey, data: Uint8Array, signature: Uint8Array): boolean {
  const padding =
    algorithm === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      : {};
  const encodings = algorithm.startsWith('ES') ? (['der', 'ieee-p1363'] as const) : (['der'] as const);
  return encodings.some((dsaEncoding) =>
    verifySignature(HASH[algorithm], data, { key, dsaEncoding, ...padding }, signature),
  );
}

function failureOf(error: unknown): unknown {
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new Failure('bad_signature', 'its signature fails');
  if (error instanceof errors.JOSEError) return new Failure('malformed', error.code);
  return error;
}

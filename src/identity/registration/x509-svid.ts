/**
 * X.509-SVIDs (X509-SVID §2–5). Paths are validated by pkijs (RFC 5280 §6); here is what SPIFFE adds, and what that engine leaves
 * to its callers: the order of the chain, the length of a path, critical extensions of the leaf, and weak signatures.
 */
import { hash } from 'node:crypto';
import type { GeneralName } from 'pkijs';
import { BasicConstraints, Certificate, CertificateChainValidationEngine, ExtKeyUsage, type Extension } from 'pkijs';
import type { Bundle } from './bundle.js';
import { Failure, type Known } from './finding.js';
import { parseSpiffeId, requireSubject } from './spiffe-id.js';

const CERTIFICATES_MAX = 8;
const BYTES_MAX = 48 * 1024;

const OID = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
/** Extensions that are acted on, here or by the engine (RFC 5280 §4.2). */
const PROCESSED = new Set<string>([
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.extKeyUsage,
  '2.5.29.30', // name constraints
  '2.5.29.32', // policies, their mappings, constraints and the limit to any of them
  '2.5.29.33',
  '2.5.29.36',
  '2.5.29.54',
]);
/** RSA PKCS #1 and PSS, ECDSA, all with SHA-2. */
const SIGNATURES = new Set([
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
]);
/** First byte of a key usage (RFC 5280 §4.2.1.3). */
const USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const;
const GENERAL_NAME_URI = 6;

export interface X509SvidOptions {
  readonly bundles: ReadonlyMap<string, Bundle>;
  /** Whose it must be (`expectedIds`). */
  readonly spiffeIds: readonly string[];
  /** When it had to hold, milliseconds since 1970. */
  readonly atMs: number;
}

/**
 * @param chain base64 of DER: the SVID, then the intermediate certificates, each issuing the one before it
 * @param known gets what the certificate says of itself
 * @throws Failure
 */
export async function verifyX509Svid(
  chain: readonly string[],
  { bundles, spiffeIds, atMs }: X509SvidOptions,
  known: Known,
): Promise<void> {
  const certificates = parseChain(chain);
  const leaf = certificates[0]!;
  known.certificateFingerprint = hash('sha256', Buffer.from(chain[0]!, 'base64'), 'hex');
  const subject = requireLeaf(leaf);
  const trustDomain = parseSpiffeId(subject);
  const bundle = bundles.get(trustDomain);
  if (bundle === undefined) throw new Failure('unknown_trust_domain', `no bundle for ${trustDomain}`);
  known.trustDomain = trustDomain;
  known.expiresUs = BigInt(leaf.notAfter.value.getTime()) * 1000n;
  for (const signing of certificates.slice(1)) requireSigning(signing, trustDomain);
  for (const certificate of certificates) requireValid(certificate, atMs);
  await requirePath(certificates, bundle.authorities, atMs);
  requireSubject(subject, spiffeIds);
  known.detail = subject;
}

function parseChain(chain: readonly string[]): Certificate[] {
  if (chain.length === 0) throw new Failure('malformed', 'no certificate');
  if (chain.length > CERTIFICATES_MAX) throw new Failure('too_large', `more than ${CERTIFICATES_MAX} certificates`);
  if (chain.reduce((sum, { length }) => sum + length, 0) > BYTES_MAX) {
    throw new Failure('too_large', `more than ${BYTES_MAX} bytes`);
  }
  // The engine drops repeats, and would then take another one for the leaf.
  if (new Set(chain).size !== chain.length) throw new Failure('malformed', 'a certificate stands there twice');
  return chain.map((text) => {
    const der = Buffer.from(text, 'base64');
    if (der.toString('base64') !== text) throw new Failure('malformed', 'not base64');
    let certificate;
    try {
      certificate = Certificate.fromBER(der);
    } catch {
      throw new Failure('malformed', 'not a certificate');
    }
    // Only what is written in one way: the engine compares certificates by their bytes.
    if (!der.equals(Buffer.from(certificate.toSchema(false).toBER()))) {
      throw new Failure('malformed', 'a certificate that is not DER');
    }
    return certificate;
  });
}

/** §2, §4, §5.2. Answers its SPIFFE ID. */
function requireLeaf(leaf: Certificate): string {
  if (isAuthority(leaf)) throw new Failure('not_an_svid', 'a signing certificate is no workload’s');
  const usage = keyUsage(leaf);
  if ((usage & USAGE.digitalSignature) === 0) throw new Failure('not_an_svid', 'its key is not for signatures');
  if ((usage & (USAGE.keyCertSign | USAGE.cRLSign)) !== 0) {
    throw new Failure('not_an_svid', 'its key may sign certificates');
  }
  const extended = parsed(leaf, OID.extKeyUsage, ExtKeyUsage);
  if (extended !== undefined) {
    for (const purpose of [OID.serverAuth, OID.clientAuth]) {
      if (!extended.keyPurposes.includes(purpose)) throw new Failure('not_an_svid', 'its extended key usage lacks TLS');
    }
  }
  const uris = urisOf(leaf);
  if (uris.length !== 1) throw new Failure('not_an_svid', `${uris.length} URI names, where one belongs`);
  return uris[0]!;
}

/** §4.1, §4.3; its own name, where it has one, is of the trust domain (SPIFFE-ID §3.1). */
function requireSigning(certificate: Certificate, trustDomain: string): void {
  if (!isAuthority(certificate)) throw new Failure('no_path', 'an intermediate certificate that may not sign');
  if ((keyUsage(certificate) & USAGE.keyCertSign) === 0) {
    throw new Failure('no_path', 'an intermediate certificate whose key may not sign certificates');
  }
  for (const uri of urisOf(certificate)) {
    if (uri !== `spiffe://${trustDomain}` && !uri.startsWith(`spiffe://${trustDomain}/`)) {
      throw new Failure('no_path', 'an intermediate certificate of another trust domain');
    }
  }
}

/** The engine takes an extension for known when it can parse it at all. */
function requireValid(certificate: Certificate, atMs: number): void {
  for (const { critical, extnID } of certificate.extensions ?? []) {
    if (critical && !PROCESSED.has(extnID)) throw new Failure('not_an_svid', `an unknown critical extension ${extnID}`);
  }
  if (!SIGNATURES.has(certificate.signatureAlgorithm.algorithmId)) {
    throw new Failure('algorithm_not_allowed', `signed with ${certificate.signatureAlgorithm.algorithmId}`);
  }
  if (certificate.notAfter.value.getTime() < atMs) throw new Failure('expired', 'a certificate has expired');
  if (certificate.notBefore.value.getTime() > atMs)
    throw new Failure('not_yet_valid', 'a certificate is not valid yet');
}

/**
 * RFC 5280 §6. The chain comes in its order, so every certificate has at most one issuer in it: what is walked can't run in circles, as
 * it could were any certificate tried as the issuer of any.
 */
async function requirePath(
  chain: readonly Certificate[],
  authorities: readonly Certificate[],
  atMs: number,
): Promise<void> {
  const findIssuer = async (certificate: Certificate): Promise<Certificate[]> => {
    const next = chain[chain.indexOf(certificate) + 1];
    for (const issuer of next === undefined ? authorities : [...authorities, next]) {
      if (!certificate.issuer.isEqual(issuer.subject)) continue;
      if (await certificate.verify(issuer).catch(() => false)) return [issuer];
    }
    return [];
  };
  const engine = new CertificateChainValidationEngine({
    trustedCerts: [...authorities],
    certs: [...chain].reverse(),
    checkDate: new Date(atMs),
    findIssuer,
  });
  const { result, resultMessage, certificatePath } = await engine.verify();
  if (!result) throw new Failure('no_path', resultMessage);
  if (certificatePath?.[0] !== chain[0]) throw new Failure('no_path', 'the path is not the certificate’s');
  requireLength(certificatePath!);
}

/** RFC 5280 §6.1.4 (l), (m): how many certificates may follow one that signs, beside the leaf; those it issued to itself don't count. */
function requireLength(path: readonly Certificate[]): void {
  let below = 0;
  for (const signing of path.slice(1)) {
    const limit = parsed(signing, OID.basicConstraints, BasicConstraints)?.pathLenConstraint;
    if (limit !== undefined && !(typeof limit === 'number' && below <= limit)) {
      throw new Failure('no_path', 'a path that is longer than a certificate in it allows');
    }
    if (!signing.subject.isEqual(signing.issuer)) below++;
  }
}

const find = (certificate: Certificate, oid: string): Extension | undefined =>
  certificate.extensions?.find(({ extnID }) => extnID === oid);

function parsed<Value extends object>(
  certificate: Certificate,
  oid: string,
  type: abstract new (...args: never[]) => Value,
): Value | undefined {
  const extension = find(certificate, oid);
  if (extension === undefined) return undefined;
  if (!(extension.parsedValue instanceof type)) throw new Failure('malformed', `extension ${oid} can't be read`);
  return extension.parsedValue;
}

const isAuthority = (certificate: Certificate): boolean =>
  parsed(certificate, OID.basicConstraints, BasicConstraints)?.cA === true;

/** The first byte of the key usage, which must be there. @throws Failure `not_an_svid` */
function keyUsage(certificate: Certificate): number {
  const value = find(certificate, OID.keyUsage)?.parsedValue as
    { valueBlock?: { valueHexView?: Uint8Array } } | undefined;
  const byte = value?.valueBlock?.valueHexView?.[0];
  if (byte === undefined) throw new Failure('not_an_svid', 'a certificate without a key usage');
  return byte;
}

/** Of every such extension: RFC 5280 allows one, and a second must not hide behind it. */
function urisOf(certificate: Certificate): string[] {
  return (certificate.extensions ?? [])
    .filter(({ extnID }) => extnID === OID.subjectAltName)
    .flatMap(({ parsedValue }) => (parsedValue as { altNames?: GeneralName[] } | undefined)?.altNames ?? [])
    .filter(({ type }) => type === GENERAL_NAME_URI)
    .map(({ value }) => String(value));
}

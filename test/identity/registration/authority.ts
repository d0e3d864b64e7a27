/** A SPIFFE trust domain that issues real certificates and tokens, good ones and bad ones. */
import { webcrypto, type JsonWebKey } from 'node:crypto';
import * as asn1js from 'asn1js';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import {
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  ExtKeyUsage,
  Extension,
  GeneralName,
  GeneralNames,
  GeneralSubtree,
  NameConstraints,
} from 'pkijs';

const { subtle } = webcrypto;
const HOUR_MS = 3_600_000;

export interface Pair {
  readonly publicKey: webcrypto.CryptoKey;
  readonly privateKey: webcrypto.CryptoKey;
}

export const makePair = (): Promise<Pair> =>
  subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);

export interface Issued {
  readonly certificate: Certificate;
  readonly pair: Pair;
  /** Base64 of DER, as in `x5c`. */
  readonly x5c: string;
  readonly name: string;
}

export interface CertificateOptions {
  readonly name: string;
  readonly issuer?: Issued;
  readonly pair?: Pair;
  readonly uris?: readonly string[];
  /** One extension for each: RFC 5280 allows one. */
  readonly moreNames?: readonly string[];
  /** A host, for TLS. */
  readonly dns?: string;
  readonly ca?: boolean;
  /** First byte of the key usage; undefined: none. */
  readonly keyUsage?: number | undefined;
  readonly extended?: readonly string[];
  readonly pathLength?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly critical?: string;
  readonly permitted?: string;
  readonly hash?: string;
  /** A key that is not the issuer's. */
  readonly forgedBy?: Pair;
}

export const KEY_USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const;
const TLS = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];
let serial = 1;

const nameOf = (text: string): AttributeTypeAndValue =>
  new AttributeTypeAndValue({ type: '2.5.4.3', value: new asn1js.Utf8String({ value: text }) });

const uri = (value: string): GeneralName => new GeneralName({ type: 6, value });

export async function issue(options: CertificateOptions): Promise<Issued> {
  const { name, issuer, ca = false, uris = [], moreNames = [] } = options;
  const pair = options.pair ?? (await makePair());
  const certificate = new Certificate();
  certificate.version = 2;
  certificate.serialNumber = new asn1js.Integer({ value: serial++ });
  certificate.subject.typesAndValues.push(nameOf(name));
  certificate.issuer.typesAndValues.push(nameOf(issuer?.name ?? name));
  certificate.notBefore.value = options.notBefore ?? new Date(Date.now() - HOUR_MS);
  certificate.notAfter.value = options.notAfter ?? new Date(Date.now() + HOUR_MS);
  await certificate.subjectPublicKeyInfo.importKey(pair.publicKey);
  certificate.extensions = extensionsOf(options, ca, uris, moreNames);
  const signing = options.forgedBy ?? issuer?.pair ?? pair;
  await certificate.sign(signing.privateKey, options.hash ?? 'SHA-256');
  const x5c = Buffer.from(certificate.toSchema(true).toBER()).toString('base64');
  return { certificate: Certificate.fromBER(Buffer.from(x5c, 'base64')), pair, x5c, name };
}

function extensionsOf(
  options: CertificateOptions,
  ca: boolean,
  uris: readonly string[],
  moreNames: readonly string[],
): Extension[] {
  const add = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension =>
    new Extension({ extnID, critical, extnValue: value.toBER() });
  const extensions = [];
  const { pathLength } = options;
  const basic = new BasicConstraints({
    cA: ca,
    ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
  });
  extensions.push(add('2.5.29.19', true, basic.toSchema()));
  const usage = 'keyUsage' in options ? options.keyUsage : ca ? KEY_USAGE.keyCertSign : KEY_USAGE.digitalSignature;
  if (usage !== undefined) {
    const bits = new asn1js.BitString({ valueHex: new Uint8Array([usage]).buffer, unusedBits: usage & 2 ? 1 : 2 });
    extensions.push(add('2.5.29.15', true, bits));
  }
  const extended = options.extended ?? (ca ? [] : TLS);
  if (extended.length > 0) {
    extensions.push(add('2.5.29.37', false, new ExtKeyUsage({ keyPurposes: [...extended] }).toSchema()));
  }
  if (uris.length > 0) extensions.push(add('2.5.29.17', false, new GeneralNames({ names: uris.map(uri) }).toSchema()));
  if (options.dns !== undefined) {
    const names = [new GeneralName({ type: 2, value: options.dns })];
    extensions.push(add('2.5.29.17', false, new GeneralNames({ names }).toSchema()));
  }
  for (const more of moreNames)
    extensions.push(add('2.5.29.17', false, new GeneralNames({ names: [uri(more)] }).toSchema()));
  if (options.permitted !== undefined) {
    const permittedSubtrees = [new GeneralSubtree({ base: uri(options.permitted) })];
    extensions.push(add('2.5.29.30', true, new NameConstraints({ permittedSubtrees }).toSchema()));
  }
  if (options.critical !== undefined) extensions.push(add(options.critical, true, new asn1js.Null()));
  return extensions;
}

const pem = (label: string, base64: string): string =>
  `-----BEGIN ${label}-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END ${label}-----\n`;

export const certificatePem = ({ x5c }: Issued): string => pem('CERTIFICATE', x5c);

export async function keyPem({ pair }: Issued): Promise<string> {
  return pem('PRIVATE KEY', Buffer.from(await subtle.exportKey('pkcs8', pair.privateKey)).toString('base64'));
}

export interface JwtKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JsonWebKey & { kid: string };
}

export async function makeJwtKey(kid: string, alg = 'ES256'): Promise<JwtKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...((await exportJWK(publicKey)) as JsonWebKey), kid } };
}

export class TrustDomain {
  private constructor(
    readonly name: string,
    readonly root: Issued,
    readonly jwtKey: JwtKey,
  ) {}

  static async make(name: string, kid = 'k1'): Promise<TrustDomain> {
    const root = await issue({ name: `root of ${name}`, ca: true, uris: [`spiffe://${name}`] });
    return new TrustDomain(name, root, await makeJwtKey(kid));
  }

  id(path: string): string {
    return `spiffe://${this.name}/${path}`;
  }

  /** A leaf straight under the root, unless told otherwise. */
  leaf(path: string, options: Partial<CertificateOptions> = {}): Promise<Issued> {
    return issue({ name: path, issuer: this.root, uris: [this.id(path)], ...options });
  }

  intermediate(options: Partial<CertificateOptions> = {}): Promise<Issued> {
    return issue({ name: `intermediate of ${this.name}`, issuer: this.root, ca: true, ...options });
  }

  jwt(
    path: string,
    audience: string | undefined,
    claims: JWTPayload = {},
    header: Record<string, unknown> = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const payload = { sub: this.id(path), aud: audience, iat: now, exp: now + 300, ...claims };
    const defined = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
    return new SignJWT(defined)
      .setProtectedHeader({ alg: this.jwtKey.alg, kid: this.jwtKey.kid, typ: 'JWT', ...header })
      .sign(this.jwtKey.privateKey);
  }

  /** In the SPIFFE bundle format. */
  bundle(more: readonly object[] = []): string {
    return JSON.stringify({
      spiffe_sequence: 1,
      keys: [{ use: 'x509-svid', kty: 'EC', x5c: [this.root.x5c] }, { use: 'jwt-svid', ...this.jwtKey.jwk }, ...more],
    });
  }
}

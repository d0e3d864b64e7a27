/**
 * The certificate of a closed case: the evidence that it leaves, in one file that is checked without a server. docs/certificate.md is the
 * format. A file is the document in canonical JSON (RFC 8785) and a line break, so that no two files are one certificate; what is
 * signed is the same without `signature`. Here is only how it is written and read; what it proves is judged in src/verify.
 */
import { decodeUtf8, encodeUtf8, formatBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import {
  base64,
  canonical,
  count,
  hex,
  list,
  malformed,
  object,
  text,
  time,
  type Json,
  type Members,
} from './certificate-json.js';
import { checkSignature, sign, SIGNATURE_BYTES, type Realm } from './signed.js';

const CERTIFICATE_FORMAT = 'keelson-certificate-v1';
/** A file is at most so long. */
const MAX_CERTIFICATE_BYTES = 64 * 1024 * 1024;

/** Where an entry stands; it is one of those in `logs`. */
export interface EntryRef {
  /** `activity/0/g1` */
  readonly log: string;
  readonly index: number;
}

export interface CertifiedInstance {
  /** 32 digits of hex. */
  readonly instance: string;
  readonly point: string;
  /** As the case says: `acked`, `fenced` … */
  readonly status: string;
  /** The entry with which it joined. */
  readonly enrolled?: EntryRef;
  /** The entry that holds its ack. */
  readonly ack?: EntryRef;
}

export interface CertifiedToken {
  /** Empty where the token is known by its digest alone. */
  readonly issuer: string;
  /** Its `jti`, else its SHA-256 in lower-case hex. */
  readonly token: string;
  /** Its last recorded use. */
  readonly use?: EntryRef;
}

/** Entries of a log of decisions that were held against the order. */
export interface Watched {
  readonly log: string;
  /** The first one. */
  readonly from: number;
  /** How many there were before the next one. */
  readonly size: number;
}

export interface CertifiedEntry {
  readonly index: number;
  /** The entry's bytes. */
  readonly entry: Uint8Array;
  /** Its inclusion proof, from leaf to root. */
  readonly proof: readonly Uint8Array[];
}

export interface CertifiedLog {
  readonly log: string;
  /** The signed note that the proofs lead to, verbatim. */
  readonly checkpoint: string;
  /** In ascending order of their index. */
  readonly entries: readonly CertifiedEntry[];
}

/** What the certificate says, in words, by what stands behind it. */
export interface Says {
  /** That it is recorded: follows from entries, proofs and signatures in this file. */
  readonly proved: readonly string[];
  /** Signed by an instance: its word. */
  readonly attested: readonly string[];
  /** By the time that passed: nobody has a lease from before. */
  readonly fenced: readonly string[];
  /** Keelson's word. */
  readonly stated: readonly string[];
}

/** What is certified, without the words and the signature, which follow from it. */
export interface Evidence {
  readonly ledger: string;
  /** The order, 32 digits of hex. */
  readonly order: string;
  /** RFC 3339. */
  readonly issuedAt: string;
  readonly result: string;
  /** The change of the table that completes the order. */
  readonly seq: number;
  readonly cause: EntryRef;
  /** What followed from the cause up to the order's last part, in order. */
  readonly records: readonly EntryRef[];
  /** The entry that closed the case. */
  readonly closed: EntryRef;
  /** Entries that say that a decision contradicts it, as far as they are known by then. */
  readonly reopened: readonly EntryRef[];
  readonly instances: readonly CertifiedInstance[];
  /** Tokens that are concerned; undefined where nobody can tell which they are. */
  readonly tokens?: {
    /** How many there are. */
    readonly count: number;
    /** Those shown here. */
    readonly shown: readonly CertifiedToken[];
    /** Up to which entry of each log their last use was looked for. */
    readonly asOf: readonly { readonly log: string; readonly size: number }[];
  };
  /** Where decisions that the order forbids were looked for, in ascending order; undefined: that is not known. */
  readonly watched?: readonly Watched[];
  /** In ascending order of their names. */
  readonly logs: readonly CertifiedLog[];
}

export interface Certificate extends Evidence {
  readonly says: Says;
}

/** The bytes of the file. */
export function writeCertificate(signer: Signer, certificate: Certificate): Uint8Array {
  const document = toJson(certificate);
  const signed = sign(signer, 'certificate', certificate.ledger, encodeUtf8(canonical(document)));
  const signature = formatBase64(signed.subarray(-SIGNATURE_BYTES));
  return encodeUtf8(`${canonical({ ...document, signature })}\n`);
}

/** Whether bytes are meant as a certificate: what they begin with, whether they are one or not. */
export const looksLikeCertificate = (bytes: Uint8Array): boolean => bytes[0] === 0x7b;

/** Who a file says it is of, without looking at the rest. @throws KeelsonError `malformed_certificate` */
export const readCertificateLedger = (bytes: Uint8Array): string => text(parse(bytes).document.ledger, '/ledger');

/**
 * Reads a file and checks its signature.
 * @param publicKey of the ledger, 32 bytes.
 * @throws KeelsonError `malformed_certificate`: anything but the bytes that `writeCertificate` writes; `bad_signature`.
 */
export function openCertificate(realm: Realm, publicKey: Uint8Array, bytes: Uint8Array): Certificate {
  const { file, document } = parse(bytes);
  const { signature: given, ...unsigned } = document;
  const signature = base64(given, '/signature', SIGNATURE_BYTES);
  const certificate = fromJson(unsigned);
  const json = toJson(certificate);
  if (`${canonical({ ...json, signature: formatBase64(signature) })}\n` !== file) {
    malformed('', 'not in canonical form (RFC 8785) with a line break behind it');
  }
  const message = encodeUtf8(canonical(json));
  const signed = new Uint8Array(message.length + SIGNATURE_BYTES);
  signed.set(message);
  signed.set(signature, message.length);
  checkSignature(realm, [publicKey], 'certificate', signed);
  return certificate;
}

/** The file and its members, not looked at yet. */
function parse(bytes: Uint8Array): { file: string; document: Members } {
  if (bytes.length > MAX_CERTIFICATE_BYTES) malformed('', 'too long');
  const file = decodeUtf8(bytes) ?? malformed('', 'not UTF-8');
  let document: unknown;
  try {
    document = JSON.parse(file);
  } catch (cause) {
    throw new KeelsonError('malformed_certificate', 'not a certificate: no JSON', { cause });
  }
  const members = object(document, '', null);
  if (members.format !== CERTIFICATE_FORMAT) malformed('/format', `not ${CERTIFICATE_FORMAT}`);
  return { file, document: members };
}

function toJson(certificate: Certificate): { readonly [member: string]: Json } {
  const {
    ledger,
    order,
    issuedAt,
    result,
    seq,
    cause,
    records,
    closed,
    reopened,
    instances,
    tokens,
    watched,
    logs,
    says,
  } = certificate;
  return {
    format: CERTIFICATE_FORMAT,
    ledger,
    order,
    issued_at: issuedAt,
    result,
    seq,
    cause: refJson(cause),
    records: records.map(refJson),
    closed: refJson(closed),
    reopened: reopened.map(refJson),
    instances: instances.map(({ instance, point, status, enrolled, ack }) => ({
      instance,
      point,
      status,
      ...(enrolled === undefined ? {} : { enrolled: refJson(enrolled) }),
      ...(ack === undefined ? {} : { ack: refJson(ack) }),
    })),
    ...(tokens === undefined ? {} : { tokens: tokensJson(tokens) }),
    ...(watched === undefined ? {} : { watched: watched.map(({ log, from, size }) => ({ log, from, size })) }),
    logs: logs.map(({ log, checkpoint, entries }) => ({
      log,
      checkpoint,
      entries: entries.map(({ index, entry, proof }) => ({
        index,
        entry: formatBase64(entry),
        proof: proof.map(formatBase64),
      })),
    })),
    says: { ...says },
  };
}

const tokensJson = ({ count, shown, asOf }: NonNullable<Evidence['tokens']>): Json => ({
  count,
  shown: shown.map(({ issuer, token, use }) => ({
    issuer,
    token,
    ...(use === undefined ? {} : { use: refJson(use) }),
  })),
  as_of: asOf.map(({ log, size }) => ({ log, size })),
});

const refJson = ({ log, index }: EntryRef): Json => ({ log, index });

function fromJson(document: Members): Certificate {
  const required = [
    'format',
    'ledger',
    'order',
    'issued_at',
    'result',
    'seq',
    'cause',
    'records',
    'closed',
    'reopened',
    'instances',
  ];
  const members = object(document, '', [...required, 'logs', 'says'], ['tokens', 'watched']);
  const says = object(members.says, '/says', ['proved', 'attested', 'fenced', 'stated']);
  const words = (part: keyof Says): string[] => list(says[part], `/says/${part}`, text);
  return {
    ledger: text(members.ledger, '/ledger'),
    order: hex(members.order, '/order'),
    issuedAt: time(members.issued_at, '/issued_at'),
    result: text(members.result, '/result'),
    seq: count(members.seq, '/seq'),
    cause: ref(members.cause, '/cause'),
    records: list(members.records, '/records', ref),
    closed: ref(members.closed, '/closed'),
    reopened: list(members.reopened, '/reopened', ref),
    instances: list(members.instances, '/instances', instance),
    ...(members.tokens === undefined ? {} : { tokens: concerned(members.tokens, '/tokens') }),
    ...(members.watched === undefined ? {} : { watched: list(members.watched, '/watched', watch) }),
    logs: list(members.logs, '/logs', log),
    says: {
      proved: words('proved'),
      attested: words('attested'),
      fenced: words('fenced'),
      stated: words('stated'),
    },
  };
}

function concerned(value: unknown, at: string): NonNullable<Evidence['tokens']> {
  const tokens = object(value, at, ['count', 'shown', 'as_of']);
  return {
    count: count(tokens.count, `${at}/count`),
    shown: list(tokens.shown, `${at}/shown`, token),
    asOf: list(tokens.as_of, `${at}/as_of`, (one, positionAt) => {
      const { log, size } = object(one, positionAt, ['log', 'size']);
      return { log: text(log, `${positionAt}/log`), size: count(size, `${positionAt}/size`) };
    }),
  };
}

function watch(value: unknown, at: string): Watched {
  const { log, from, size } = object(value, at, ['log', 'from', 'size']);
  return { log: text(log, `${at}/log`), from: count(from, `${at}/from`), size: count(size, `${at}/size`) };
}

function instance(value: unknown, at: string): CertifiedInstance {
  const one = object(value, at, ['instance', 'point', 'status'], ['enrolled', 'ack']);
  return {
    instance: hex(one.instance, `${at}/instance`),
    point: text(one.point, `${at}/point`),
    status: text(one.status, `${at}/status`),
    ...(one.enrolled === undefined ? {} : { enrolled: ref(one.enrolled, `${at}/enrolled`) }),
    ...(one.ack === undefined ? {} : { ack: ref(one.ack, `${at}/ack`) }),
  };
}

function token(value: unknown, at: string): CertifiedToken {
  const one = object(value, at, ['issuer', 'token'], ['use']);
  return {
    issuer: text(one.issuer, `${at}/issuer`),
    token: text(one.token, `${at}/token`),
    ...(one.use === undefined ? {} : { use: ref(one.use, `${at}/use`) }),
  };
}

function log(value: unknown, at: string): CertifiedLog {
  const one = object(value, at, ['log', 'checkpoint', 'entries']);
  return {
    log: text(one.log, `${at}/log`),
    checkpoint: text(one.checkpoint, `${at}/checkpoint`),
    entries: list(one.entries, `${at}/entries`, (item, entryAt) => {
      const entry = object(item, entryAt, ['index', 'entry', 'proof']);
      return {
        index: count(entry.index, `${entryAt}/index`),
        entry: base64(entry.entry, `${entryAt}/entry`),
        proof: list(entry.proof, `${entryAt}/proof`, (hash, hashAt) => base64(hash, hashAt, 32)),
      };
    }),
  };
}

function ref(value: unknown, at: string): EntryRef {
  const { log, index } = object(value, at, ['log', 'index']);
  return { log: text(log, `${at}/log`), index: count(index, `${at}/index`) };
}

/** Whose evidence is believed: the file that `KEELSON_REGISTRATION_FILE` names, and what it names. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { BlockList } from 'node:net';
import { dirname, resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { KeelsonError } from '../../core/error.js';
import { parseJson, stringifyJson } from '../../events/index.js';
import { parseBundle, type Bundle } from './bundle.js';
import { addNetwork } from './addresses.js';
import { readClientUrl } from './client-url.js';
import { isTrustDomain } from './spiffe-id.js';

const Path = Type.String({ minLength: 1, maxLength: 4096 });
const Name = Type.String({ minLength: 1, maxLength: 2048 });
const closed = { additionalProperties: false } as const;

const Key = Type.Object(
  {
    kid: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
    alg: Type.Optional(Type.Enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])),
    jwk: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    pem_file: Type.Optional(Path),
  },
  closed,
);

const File = Type.Object(
  {
    audiences: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 20 })),
    trust_domains: Type.Optional(Type.Record(Type.String(), Type.Object({ bundle: Path }, closed))),
    signers: Type.Optional(
      Type.Record(
        Type.String({ minLength: 1, maxLength: 500 }),
        Type.Object(
          {
            keys: Type.Array(Key, { minItems: 1, maxItems: 100 }),
            tools: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 1_000 })),
          },
          closed,
        ),
      ),
    ),
    clients: Type.Optional(
      Type.Object(
        {
          ids: Type.Optional(Type.Array(Name, { maxItems: 100_000 })),
          metadata_documents: Type.Optional(Type.Array(Name, { maxItems: 10_000 })),
          allow_networks: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 100 })),
          ca_file: Type.Optional(Path),
        },
        closed,
      ),
    ),
    require: Type.Optional(Type.Array(Type.Enum(['agent', 'tool']), { maxItems: 2, uniqueItems: true })),
  },
  closed,
);
type File = Static<typeof File>;

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA';

export interface SignerKey {
  readonly kid: string | undefined;
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
}

export interface Signer {
  readonly keys: readonly SignerKey[];
  /** Exact names, or beginnings before a `*` at the end. Undefined: every tool. */
  readonly tools: readonly string[] | undefined;
}

export interface ClientRules {
  readonly ids: ReadonlySet<string>;
  /** URLs, or their beginnings before a `*` at the end. */
  readonly documents: readonly string[];
  /** Addresses that may be asked although they are not public. */
  readonly networks: BlockList;
  /** Certificates that are trusted instead of the usual ones: PEM. */
  readonly ca: string | undefined;
}

export interface Configuration {
  /** What a JWT-SVID may name as its audience. Undefined: the ledger's name. */
  readonly audiences: readonly string[] | undefined;
  readonly bundles: ReadonlyMap<string, Bundle>;
  readonly signers: ReadonlyMap<string, Signer>;
  /** Undefined: clients are not checked. */
  readonly clients: ClientRules | undefined;
  /** What must bring evidence. */
  readonly required: ReadonlySet<'agent' | 'tool'>;
  /** Every file it was made of. */
  readonly files: readonly string[];
}

export const NOTHING: Configuration = {
  audiences: undefined,
  bundles: new Map(),
  signers: new Map(),
  clients: undefined,
  required: new Set(),
  files: [],
};

const FILE_MAX = 16 * 1024 * 1024;
const LIMITS = { maxDepth: 16, maxStringLength: 1024 * 1024, maxValues: 1_000_000 };

/**
 * Reads the configuration and every file it names; paths are relative to its own.
 * @throws KeelsonError `invalid_config`, with every problem in its message, one per line.
 */
export function readConfiguration(path: string): Configuration {
  const reading = new Reading(path);
  const configuration = reading.read();
  if (configuration === undefined || reading.problems.length > 0) {
    throw new KeelsonError('invalid_config', reading.problems.map((problem) => `${path}: ${problem}`).join('\n'));
  }
  return configuration;
}

class Reading {
  readonly problems: string[] = [];
  readonly #files: string[];

  constructor(private readonly path: string) {
    this.#files = [resolve(path)];
  }

  read(): Configuration | undefined {
    const document = this.#try('', () => JSON.parse(stringifyJson(parseJson(readFile(this.path), LIMITS))) as unknown);
    if (document === undefined) return undefined;
    if (!Value.Check(File, document)) {
      for (const { instancePath, message } of Value.Errors(File, document)) {
        this.problems.push(`${instancePath || '/'}: ${message}`);
      }
      return undefined;
    }
    const file: File = document;
    return {
      audiences: file.audiences,
      bundles: this.#bundles(file),
      signers: this.#signers(file),
      clients: file.clients && this.#clients(file.clients),
      required: this.#required(file),
      files: this.#files,
    };
  }

  #bundles({ trust_domains: domains = {} }: File): Map<string, Bundle> {
    const bundles = new Map<string, Bundle>();
    for (const [name, { bundle }] of Object.entries(domains)) {
      const at = `/trust_domains/${name}`;
      if (!isTrustDomain(name)) this.problems.push(`${at}: not the name of a trust domain`);
      const parsed = this.#try(at, () => parseBundle(this.#file(bundle)));
      if (parsed !== undefined) bundles.set(name, parsed);
    }
    return bundles;
  }

  #signers({ signers: named = {} }: File): Map<string, Signer> {
    const signers = new Map<string, Signer>();
    for (const [name, { keys, tools }] of Object.entries(named)) {
      const read: SignerKey[] = [];
      keys.forEach((key, i) => {
        const at = `/signers/${name}/keys/${i}`;
        const parsed = this.#try(at, () => this.#key(key));
        if (parsed !== undefined) read.push(parsed);
      });
      signers.set(name, { keys: read, tools });
    }
    return signers;
  }

  #key({ kid, alg, jwk, pem_file: pem }: Static<typeof Key>): SignerKey {
    if ((jwk === undefined) === (pem === undefined)) throw new Error('either `jwk` or `pem_file`');
    if (jwk !== undefined && 'd' in jwk) throw new Error('a private key: only the public one belongs here');
    const key = createPublicKey(jwk === undefined ? this.#file(pem!) : { key: jwk, format: 'jwk' });
    const named = kid ?? (typeof jwk?.kid === 'string' ? jwk.kid : undefined);
    return { kid: named, algorithm: algorithmOf(key, alg ?? jwk?.alg), key };
  }

  #clients(rules: NonNullable<File['clients']>): ClientRules {
    const networks = new BlockList();
    rules.allow_networks?.forEach((network, i) =>
      this.#try(`/clients/allow_networks/${i}`, () => addNetwork(networks, network)),
    );
    rules.metadata_documents?.forEach((url, i) =>
      this.#try(`/clients/metadata_documents/${i}`, () => readClientUrl(url.endsWith('*') ? url.slice(0, -1) : url)),
    );
    const ca = rules.ca_file;
    return {
      ids: new Set(rules.ids),
      documents: rules.metadata_documents ?? [],
      networks,
      ca: ca === undefined ? undefined : this.#try('/clients/ca_file', () => this.#file(ca).toString('latin1')),
    };
  }

  #required(file: File): Set<'agent' | 'tool'> {
    const required = new Set(file.require);
    const sources = { agent: file.trust_domains, tool: file.signers };
    for (const type of required) {
      if (Object.keys(sources[type] ?? {}).length > 0) continue;
      this.problems.push(`/require: ${type} needs ${type === 'agent' ? 'trust_domains' : 'signers'}`);
    }
    return required;
  }

  #file(path: string): Buffer {
    const absolute = resolve(dirname(this.path), path);
    this.#files.push(absolute);
    return readFile(absolute);
  }

  #try<T>(at: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.problems.push(`${at || '/'}: ${(error as Error).message}`);
      return undefined;
    }
  }
}

function readFile(path: string): Buffer {
  const { size } = statSync(path);
  if (size > FILE_MAX) throw new Error(`${path} has ${size} bytes, more than ${FILE_MAX}`);
  return readFileSync(path);
}

/** The algorithm that a key is for: what is named must fit it. */
function algorithmOf(key: KeyObject, named: unknown): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const fitting: Record<string, readonly Algorithm[]> = {
    rsa: ['RS256', 'PS256'],
    ed25519: ['EdDSA'],
    prime256v1: ['ES256'],
    secp384r1: ['ES384'],
  };
  const algorithms = fitting[type === 'ec' ? (details?.namedCurve ?? '') : (type ?? '')] ?? [];
  if (algorithms.length === 0) throw new Error(`keys of this type are not used: ${type}`);
  if (type === 'rsa' && (details?.modulusLength ?? 0) < 2048) throw new Error('an RSA key of less than 2,048 bits');
  const chosen = named === undefined ? algorithms[0] : algorithms.find((one) => one === named);
  if (chosen === undefined) throw new Error(`${String(named)} does not fit this key`);
  return chosen;
}

/** Who is told: the endpoints of `KEELSON_WEBHOOKS`, a JSON document that holds their secrets. */
import { createHash } from 'node:crypto';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { KeelsonError } from '../core/error.js';
import { parseJson } from '../events/index.js';
import { parseSigningKey, type SigningKey } from './keys.js';

const ENDPOINTS_MAX = 32;
const KEYS_MAX = 4;

const Document = Type.Array(
  Type.Object(
    {
      id: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,62}$' }),
      url: Type.String({ minLength: 1, maxLength: 2048 }),
      keys: Type.Array(Type.String(), { minItems: 1, maxItems: KEYS_MAX }),
      types: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 100 })),
    },
    { additionalProperties: false },
  ),
  { maxItems: ENDPOINTS_MAX },
);

export interface Endpoint {
  readonly id: string;
  readonly url: URL;
  /** SHA-256 of the address. */
  readonly address: Buffer;
  readonly keys: readonly SigningKey[];
  /** The types of messages it is told; undefined: all. */
  readonly types: ReadonlySet<string> | undefined;
}

/**
 * @param text `[{"id": "ops", "url": "https://…", "keys": ["whsec_…"], "types": ["revocation.overdue"]}]`
 * @throws KeelsonError `invalid_config`; never with a key or an address in it
 */
export function parseEndpoints(text: string): Endpoint[] {
  const endpoints = readDocument(text).map(readEndpoint);
  if (new Set(endpoints.map(({ id }) => id)).size < endpoints.length) throw invalid('two endpoints have the same id');
  return endpoints;
}

function readDocument(text: string): Static<typeof Document> {
  let json: unknown;
  try {
    json = parseJson(Buffer.from(text), { maxDepth: 8, maxStringLength: 4096, maxValues: 10_000 });
  } catch (error) {
    throw invalid(`KEELSON_WEBHOOKS is no JSON: ${error instanceof KeelsonError ? error.code : 'unreadable'}`);
  }
  if (Value.Check(Document, json)) return json;
  const [first] = Value.Errors(Document, json);
  throw invalid(`KEELSON_WEBHOOKS${first?.instancePath ?? ''} ${first?.message ?? 'is malformed'}`);
}

function readEndpoint({ id, url: text, keys, types }: Static<typeof Document>[number]): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = url !== null && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname);
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && isLocal))) {
    throw invalid(`KEELSON_WEBHOOKS: the url of ${id} must be https, or http on this machine`);
  }
  if (url.username !== '' || url.password !== '') throw invalid(`KEELSON_WEBHOOKS: the url of ${id} names a user`);
  return {
    id,
    url,
    address: createHash('sha256').update(url.href).digest(),
    keys: keys.map((key) => {
      try {
        return parseSigningKey(key);
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw error;
        throw invalid(`KEELSON_WEBHOOKS: a key of ${id}: ${error.message}`);
      }
    }),
    types: types && new Set(types),
  };
}

const invalid = (message: string): KeelsonError => new KeelsonError('invalid_config', message);

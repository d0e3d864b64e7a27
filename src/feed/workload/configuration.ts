/** Which workloads join which point: the file that `KEELSON_FEED_JOIN_FILE` names, and what it names. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { KeelsonError } from '../../core/error.js';
import { parseJson, stringifyJson } from '../../events/index.js';
import { ClusterKeys } from './cluster-keys.js';

const Path = Type.String({ minLength: 1, maxLength: 4096 });
const Name = Type.String({ minLength: 1, maxLength: 2048 });
const closed = { additionalProperties: false } as const;

const Cluster = Type.Object(
  {
    issuer: Name,
    jwks_file: Type.Optional(Path),
    jwks_uri: Type.Optional(Name),
    ca_file: Type.Optional(Path),
    token_file: Type.Optional(Path),
  },
  closed,
);
const File = Type.Object(
  {
    audiences: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 20 })),
    clusters: Type.Optional(Type.Record(Type.String({ pattern: '^[\\w.-]{1,200}$' }), Cluster)),
    points: Type.Record(
      Type.String({ pattern: '^[\\w.:/@-]{1,200}$' }),
      Type.Object(
        {
          spiffe_ids: Type.Optional(Type.Array(Name, { maxItems: 10_000 })),
          service_accounts: Type.Optional(Type.Array(Name, { maxItems: 10_000 })),
        },
        closed,
      ),
    ),
  },
  closed,
);
type File = Static<typeof File>;

export interface Cluster {
  readonly name: string;
  readonly issuer: string;
  readonly keys: ClusterKeys;
}

/** What joins a point: whole names, or what stands before a `*` at the end. */
export interface PointRule {
  readonly point: string;
  readonly spiffeIds: readonly string[];
  /** `<cluster>/<namespace>/<service account>` */
  readonly serviceAccounts: readonly string[];
}

export interface WorkloadConfiguration {
  /** What a token must name as its audience, one of them. Undefined: the ledger's name. */
  readonly audiences: readonly string[] | undefined;
  readonly clusters: readonly Cluster[];
  readonly points: readonly PointRule[];
  /** Every file it was made of. */
  readonly files: readonly string[];
}

export const NO_WORKLOADS: WorkloadConfiguration = { audiences: undefined, clusters: [], points: [], files: [] };

const FILE_MAX = 16 * 1024 * 1024;
const LIMITS = { maxDepth: 16, maxStringLength: 1024 * 1024, maxValues: 1_000_000 };
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}\/[a-zA-Z0-9._/-]*\*?$/;
const ACCOUNT = /^([\w.-]+)\/[a-z0-9-]+\/(?:[a-z0-9.-]+\*?|\*)$/;

/**
 * Reads the configuration and every file it names; paths are relative to its own.
 * @throws KeelsonError `invalid_config`, with every problem in its message, one per line.
 */
export function readWorkloads(path: string): WorkloadConfiguration {
  const problems: string[] = [];
  const files = [resolve(path)];
  const attempt = <T>(at: string, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      problems.push(`${at}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const document = attempt('/', () => JSON.parse(stringifyJson(parseJson(readFile(path), LIMITS))) as unknown);
  let configuration: WorkloadConfiguration | undefined;
  if (document !== undefined && !Value.Check(File, document)) {
    for (const { instancePath, message } of Value.Errors(File, document)) {
      problems.push(`${instancePath || '/'}: ${message}`);
    }
  } else if (document !== undefined) {
    const read = (named: string): Buffer => {
      const absolute = resolve(dirname(path), named);
      files.push(absolute);
      return readFile(absolute);
    };
    const file: File = document;
    const clusters = Object.entries(file.clusters ?? {}).flatMap(([name, cluster]) => {
      const keys = attempt(`/clusters/${name}`, () => keysOf(cluster, read, (named) => resolve(dirname(path), named)));
      return keys === undefined ? [] : [{ name, issuer: cluster.issuer, keys }];
    });
    configuration = { audiences: file.audiences, clusters, points: rulesOf(file, problems), files };
  }
  if (configuration === undefined || problems.length > 0) {
    throw new KeelsonError('invalid_config', problems.map((problem) => `${path}: ${problem}`).join('\n'));
  }
  return configuration;
}

function keysOf(
  { issuer, jwks_file: file, jwks_uri: uri, ca_file: ca, token_file: token }: Static<typeof Cluster>,
  read: (path: string) => Buffer,
  absolute: (path: string) => string,
): ClusterKeys {
  if (file !== undefined && (uri ?? ca ?? token) !== undefined) throw new Error('`jwks_file` stands alone');
  if (file !== undefined) return ClusterKeys.local(JSON.parse(read(file).toString('utf8')));
  return ClusterKeys.remote({
    issuer,
    jwksUri: uri,
    ca: ca === undefined ? undefined : read(ca),
    // Projected: another every hour, so read when it is needed.
    tokenFile: token === undefined ? undefined : absolute(token),
  });
}

function rulesOf({ clusters = {}, points }: File, problems: string[]): PointRule[] {
  const issuers = Object.values(clusters).map(({ issuer }) => issuer);
  if (new Set(issuers).size < issuers.length) problems.push('/clusters: two of one issuer');
  return Object.entries(points).map(([point, { spiffe_ids: spiffeIds = [], service_accounts: accounts = [] }]) => {
    spiffeIds.forEach((id, i) => {
      if (!SPIFFE.test(id)) problems.push(`/points/${point}/spiffe_ids/${i}: no SPIFFE ID, nor the beginning of one`);
    });
    accounts.forEach((account, i) => {
      const cluster = ACCOUNT.exec(account)?.[1];
      const at = `/points/${point}/service_accounts/${i}`;
      if (cluster === undefined) problems.push(`${at}: expected <cluster>/<namespace>/<service account>`);
      else if (!Object.hasOwn(clusters, cluster)) problems.push(`${at}: no such cluster`);
    });
    return { point, spiffeIds, serviceAccounts: accounts };
  });
}

function readFile(path: string): Buffer {
  const { size } = statSync(path);
  if (size > FILE_MAX) throw new Error(`${path} has ${size} bytes, more than ${FILE_MAX}`);
  return readFileSync(path);
}

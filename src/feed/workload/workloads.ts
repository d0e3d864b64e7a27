/**
 * Workloads that join by what their platform gives them: a JWT-SVID (SPIFFE), or the projected token of a Kubernetes service account. Both are
 * bearer tokens, bound to this ledger by their audience and short-lived; the key of the instance is bound by its own signature over the token
 * (protocol/join.ts).
 */
import { decodeJwt, errors, jwtVerify } from 'jose';
import { KeelsonError } from '../../core/error.js';
import type { Bundle } from '../../identity/registration/bundle.js';
import { Failure } from '../../identity/registration/finding.js';
import { verifyJwtSvid } from '../../identity/registration/jwt-svid.js';
import type { Clock } from '../../platform/clock.js';
import type { Admission } from '../instances.js';
import type { Cluster, PointRule, WorkloadConfiguration } from './configuration.js';

export interface WorkloadsOptions {
  readonly configuration: { readonly current: WorkloadConfiguration };
  /** By trust domain. */
  readonly bundles: () => ReadonlyMap<string, Bundle>;
  /** What tokens must name as their audience, where nothing else is configured. */
  readonly ledgerName: string;
  readonly clock: Pick<Clock, 'nowUs'>;
}

/** Of service accounts; what a cluster signs with. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];
/** Seconds that clocks may differ. */
const LEEWAY_S = 10;

export class Workloads {
  constructor(private readonly options: WorkloadsOptions) {}

  /**
   * What a JWT lets in; undefined: it is of nobody who is configured.
   * @throws KeelsonError `forbidden`, with what is wrong with it; `not_ready`: the keys of its cluster can't be had
   */
  async find(token: string): Promise<Admission | undefined> {
    const { configuration } = this.options;
    const { points, clusters } = configuration.current;
    const { sub: subject, iss: issuer } = readUnverified(token);
    if (points.length === 0 || subject === undefined) return undefined;
    try {
      if (subject.startsWith('spiffe://')) {
        await this.#verifySvid(token, subject);
        return admit(points, subject, ({ spiffeIds }) => spiffeIds);
      }
      const cluster = clusters.find((one) => one.issuer === issuer);
      if (cluster === undefined) return undefined;
      const account = await this.#verifyAccount(token, cluster);
      return admit(points, account, ({ serviceAccounts }) => serviceAccounts);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new KeelsonError('forbidden', `this token does not let you in: ${error.code}: ${error.message}`);
    }
  }

  #verifySvid(token: string, subject: string): Promise<void> {
    const nowMs = Number(this.options.clock.nowUs()) / 1000;
    const options = { bundles: this.options.bundles(), audiences: this.#audiences(), spiffeIds: [subject], nowMs };
    return verifyJwtSvid(token, options, {});
  }

  /** `<cluster>/<namespace>/<service account>` @throws Failure */
  async #verifyAccount(token: string, { name: cluster, issuer, keys }: Cluster): Promise<string> {
    let payload;
    try {
      ({ payload } = await jwtVerify(token, keys.find, {
        algorithms: ALGORITHMS,
        issuer,
        audience: [...this.#audiences()],
        requiredClaims: ['exp', 'aud', 'sub'],
        clockTolerance: LEEWAY_S,
        currentDate: new Date(Number(this.options.clock.nowUs()) / 1000),
      }));
    } catch (error) {
      throw failureOf(error);
    }
    const { namespace, serviceaccount } = (payload['kubernetes.io'] ?? {}) as {
      namespace?: unknown;
      serviceaccount?: { name?: unknown };
    };
    const name = serviceaccount?.name;
    if (typeof namespace !== 'string' || typeof name !== 'string') {
      throw new Failure('malformed', 'not the token of a service account');
    }
    if (payload.sub !== `system:serviceaccount:${namespace}:${name}`) {
      throw new Failure('wrong_subject', 'its subject is another service account');
    }
    return `${cluster}/${namespace}/${name}`;
  }

  #audiences(): readonly string[] {
    return this.options.configuration.current.audiences ?? [this.options.ledgerName];
  }
}

/** The one point whose rules name it. @throws Failure `wrong_subject` where two do: nobody can tell which is meant */
function admit(
  points: readonly PointRule[],
  name: string,
  rulesOf: (rule: PointRule) => readonly string[],
): Admission | undefined {
  const matching = points.filter((rule) => rulesOf(rule).some((pattern) => matches(pattern, name)));
  if (matching.length > 1) throw new Failure('wrong_subject', `${name} is let into two points`);
  return matching[0] && { point: matching[0].point, by: name };
}

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

function readUnverified(token: string): { sub?: string; iss?: string } {
  try {
    const { sub, iss } = decodeJwt(token);
    return { ...(typeof sub === 'string' ? { sub } : {}), ...(typeof iss === 'string' ? { iss } : {}) };
  } catch {
    return {};
  }
}

function failureOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new Failure('expired', 'it has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return new Failure('wrong_audience', 'it is not for this ledger');
    if (error.claim === 'nbf') return new Failure('not_yet_valid', 'it is not valid yet');
    return new Failure('malformed', `claim ${error.claim}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) return new Failure('unknown_key', 'its cluster has no such key');
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new Failure('bad_signature', 'its signature fails');
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new Failure('algorithm_not_allowed', 'an alg that is not taken');
  if (error instanceof errors.JOSEError) return new Failure('malformed', error.code);
  return error;
}

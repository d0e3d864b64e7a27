/** What a registration in the ledger comes to: what its evidence says, under the configuration of now and at the time of its entry. */
import type { Body, BodyValue, DecodedRecord } from '../../events/index.js';
import type { JsonObject } from '../../events/json.js';
import { INTAKE_CHECK } from '../../intake/evidence-port.js';
import type { Clients } from './clients.js';
import type { Configuration } from './configuration.js';
import { Busy, findingOf, formatFinding, Unavailable, type FailureCode, type Finding, type Method } from './finding.js';
import { methodOf, verifyManifest } from './manifest.js';
import { expectedIds } from './spiffe-id.js';
import { verifyX509Svid } from './x509-svid.js';

/** Events that are judged. Later evidence for what is registered comes as `attested`. */
export const JUDGED: ReadonlySet<string> = new Set([
  'agent.registered',
  'agent.attested',
  'client.registered',
  'client.attested',
  'tool.registered',
]);

export interface Registration {
  /** Its place in lifecycle. */
  readonly index: bigint;
  /** When the event log took it, microseconds since 1970: the time at which certificates had to be valid. */
  readonly appendedUs: bigint;
  readonly record: DecodedRecord;
}

export interface JudgeOptions {
  readonly configuration: Configuration;
  readonly clients: Clients;
  /** Until when what can't be had is asked for again, microseconds since 1970. */
  readonly nowUs: bigint;
  readonly retryUs: bigint;
  readonly onBug: (error: unknown) => void;
}

/**
 * The verdict, as an event of Keelson's own; undefined: none is asked for.
 * @throws Unavailable where it has to be asked again later
 */
export async function judge(
  registration: Registration,
  options: JudgeOptions,
): Promise<{ readonly type: string; readonly id: string; readonly event: JsonObject } | undefined> {
  const { index, record } = registration;
  const [kind] = record.type.split('.') as ['agent' | 'client' | 'tool'];
  const finding = await findingFor(kind, registration, options);
  if (finding === undefined) return undefined;
  const issuer = kind === 'client' ? textOf(record.body.issuer) : undefined;
  return {
    type: finding.code === undefined ? 'registration.verified' : 'registration.failed',
    // Of the place of what is judged: whoever judges it, and however often, says it once.
    id: `registration/${index}`,
    event: {
      registration: record.id,
      index: Number(index),
      [kind]: textOf(record.body[kind])!,
      ...(issuer === undefined ? {} : { issuer }),
      ...formatFinding(finding),
    },
  };
}

function findingFor(
  kind: 'agent' | 'client' | 'tool',
  registration: Registration,
  options: JudgeOptions,
): Promise<Finding | undefined> | Finding | undefined {
  if (kind === 'agent') return judgeAgent(registration, options);
  return kind === 'tool' ? judgeTool(registration, options) : judgeClient(registration, options);
}

async function judgeAgent(
  { record, appendedUs }: Registration,
  { configuration, onBug }: JudgeOptions,
): Promise<Finding | undefined> {
  const { body, masked } = record;
  const proof = objectOf(body.agent_identity);
  const token = intakeFinding(body);
  const configured = configuration.bundles.size > 0;
  if (token === undefined && !configured) return undefined;
  const findings: Finding[] = [];
  if (token !== undefined) findings.push(token);
  else if (masked.some(({ pointer }) => pointer === '/agent_identity/jwt_svid')) {
    findings.push(failure('evidence_not_kept', 'jwt_svid'));
  }
  const chain = proof?.x509_svid;
  if (Array.isArray(chain) && configured) {
    const spiffeIds = expectedIds(textOf(body.agent), textOf(proof?.spiffe_id));
    const atMs = Number(appendedUs / 1000n);
    const { bundles } = configuration;
    findings.push(
      await findingOf(
        'x509_svid',
        (known) => verifyX509Svid(chain as string[], { bundles, spiffeIds, atMs }, known),
        onBug,
      ),
    );
  }
  // Of several, each must hold.
  return (
    findings.find(({ code }) => code !== undefined) ?? findings.at(-1) ?? missing('agent', record.type, configuration)
  );
}

async function judgeTool(
  { record }: Registration,
  { configuration, onBug }: JudgeOptions,
): Promise<Finding | undefined> {
  const { body, masked } = record;
  const carried = intakeFinding(body);
  if (carried !== undefined) return carried;
  const { signers } = configuration;
  if (signers.size === 0) return undefined;
  if (masked.some(({ pointer }) => pointer === '/signature')) return failure('evidence_not_kept', 'jws');
  const signature = textOf(body.signature);
  if (signature === undefined) return missing('tool', record.type, configuration);
  const manifest = {
    tool: textOf(body.tool) ?? '',
    digest: textOf(body.manifest_digest),
    signature,
    signer: textOf(body.signer),
  };
  return findingOf(methodOf(signature), (known) => verifyManifest(manifest, signers, known), onBug);
}

async function judgeClient(
  { record, appendedUs }: Registration,
  { configuration, clients, nowUs, retryUs, onBug }: JudgeOptions,
): Promise<Finding | undefined> {
  const { clients: rules } = configuration;
  const client = textOf(record.body.client);
  if (rules === undefined || client === undefined) return undefined;
  try {
    return await findingOf('allow_list', (known) => clients.verify(client, rules, known), onBug);
  } catch (error) {
    if (!(error instanceof Unavailable) || error instanceof Busy || nowUs < appendedUs + retryUs) throw error;
    return { method: 'metadata_document', code: 'metadata_unavailable', detail: error.message };
  }
}

const failure = (code: FailureCode, method: Method): Finding => ({ method, code });

const missing = (kind: 'agent' | 'tool', type: string, { required }: Configuration): Finding | undefined =>
  required.has(kind) && type.endsWith('.registered') ? { code: 'no_evidence' } : undefined;

/** What intake found, as it stands in the record. */
function intakeFinding(body: Body): Finding | undefined {
  const check = objectOf(body[INTAKE_CHECK]);
  if (check === undefined) return undefined;
  const text = (name: string): string | undefined => textOf(check[name]);
  const expiresUs = check.expires_at;
  const members = {
    method: text('method'),
    code: text('code'),
    detail: text('detail'),
    trustDomain: text('trust_domain'),
    keyId: text('key_id'),
    manifestDigest: text('manifest_digest'),
    expiresUs: typeof expiresUs === 'bigint' ? expiresUs : undefined,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

const textOf = (value: BodyValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const objectOf = (value: BodyValue | undefined): Body | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value) ? value : undefined;

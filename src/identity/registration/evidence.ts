/** Evidence that is masked before anything is kept, so has to be checked by intake: JWT-SVIDs, and manifests inside of a JWS. */
import { isObject, type JsonObject } from '../../events/index.js';
import type { EvidencePort } from '../../intake/evidence-port.js';
import type { Clock } from '../../platform/clock.js';
import type { Logger } from '../../platform/logger.js';
import type { Configuration } from './configuration.js';
import { findingOf, formatFinding } from './finding.js';
import { verifyJwtSvid } from './jwt-svid.js';
import { carriesManifest, verifyManifest } from './manifest.js';
import { expectedIds } from './spiffe-id.js';

export interface EvidenceOptions {
  readonly configuration: { readonly current: Configuration };
  /** What a JWT-SVID must name as its audience, where nothing else is configured. */
  readonly ledgerName: string;
  readonly clock: Pick<Clock, 'nowUs'>;
  readonly logger: Logger;
}

const TYPES = new Set(['agent.registered', 'agent.attested', 'tool.registered']);

export class Evidence implements EvidencePort {
  constructor(private readonly options: EvidenceOptions) {}

  concerns(type: string): boolean {
    return TYPES.has(type);
  }

  async check(event: JsonObject): Promise<JsonObject | undefined> {
    const found = event.type === 'tool.registered' ? this.#checkTool(event) : this.#checkAgent(event);
    return found && formatFinding(await found);
  }

  #checkAgent(event: JsonObject): ReturnType<typeof findingOf> | undefined {
    const { configuration, ledgerName, clock } = this.options;
    const { bundles, audiences = [ledgerName] } = configuration.current;
    const proof = event.agent_identity;
    const token = isObject(proof) ? proof.jwt_svid : undefined;
    if (bundles.size === 0 || typeof token !== 'string') return undefined;
    const spiffeIds = expectedIds(textOf(event.agent), textOf((proof as JsonObject).spiffe_id));
    const nowMs = Number(clock.nowUs() / 1000n);
    return findingOf(
      'jwt_svid',
      (known) => verifyJwtSvid(token, { bundles, audiences, spiffeIds, nowMs }, known),
      this.#onBug,
    );
  }

  #checkTool(event: JsonObject): ReturnType<typeof findingOf> | undefined {
    const { signers } = this.options.configuration.current;
    const { signature, tool } = event;
    if (signers.size === 0 || typeof signature !== 'string' || !carriesManifest(signature)) return undefined;
    const manifest = {
      tool: textOf(tool) ?? '',
      digest: textOf(event.manifest_digest),
      signature,
      signer: textOf(event.signer),
    };
    return findingOf('jws', (known) => verifyManifest(manifest, signers, known), this.#onBug);
  }

  readonly #onBug = (error: unknown): void => {
    this.options.logger.error({ err: error }, 'registration: a check failed by itself');
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

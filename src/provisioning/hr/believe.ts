/** From a request to a webhook that is its source's, or why it is not believed. */
import type { FastifyRequest } from 'fastify';
import type { Access } from '../../access/access.js';
import type { HrSignature } from '../../access/hr-config.js';
import type { Producer } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { parseJson, type Json } from '../../events/index.js';
import { readWire } from '../../http/body.js';
import type { Hold } from '../../http/gate.js';
import type { Clock } from '../../platform/clock.js';
import type { ProvisioningSettings } from '../settings.js';
import type { WebhookSecrets } from './secrets.js';
import { checkBodyTime, readClaim, type Refusal } from './sender.js';

export interface BelieveOptions {
  readonly access: Pick<Access, 'producer'>;
  readonly secrets: Pick<WebhookSecrets, 'of'>;
  readonly clock: Clock;
  readonly settings: ProvisioningSettings;
}

/** A webhook whose sender is known. */
export interface Webhook {
  readonly producer: Producer;
  readonly bytes: Buffer;
  /** What it says, or why that can't be read. */
  readonly body: Json | KeelsonError;
  /** What tells it from every other one of its source. */
  readonly id: string;
  /** When it was sent, microseconds since 1970 UTC, as it says where it does. */
  readonly sentAtUs: bigint;
}

const LIMITS = { maxDepth: 32, maxStringLength: 1_048_576, maxValues: 1_000_000 };
export const STANDARD: HrSignature = { scheme: 'standard' };

/**
 * Reads no body where its headers say already that it is not the source's.
 * @throws KeelsonError `too_large`, `overloaded`, `malformed_request`, `database_unavailable`
 */
export async function believe(
  request: FastifyRequest,
  source: string,
  { access, secrets, clock, settings }: BelieveOptions,
  hold: Hold,
): Promise<Webhook | Refusal> {
  const producer = await findSource(access, source);
  const hr = producer?.config.hr;
  if (producer === undefined || hr === undefined) return 'unknown_source';
  const { signature = STANDARD, zone = 'UTC' } = hr;
  const nowUs = clock.nowUs();
  const nowS = Number(nowUs / 1_000_000n);
  const claimed = readClaim(signature, request.headers, nowS);
  if (typeof claimed === 'string') return claimed;
  const known = await secrets.of(source);
  if (known.length === 0) return 'no_secret';
  const limits = { maxBytes: settings.KEELSON_HR_BODY_BYTES, oversize: 'refuse' } as const;
  const wire = await readWire(request.raw, limits, hold);
  if (!wire.whole) throw new Error('a body that is refused when it is too large is whole');
  const { bytes } = wire;
  if (!claimed.isSigned(known, bytes)) return 'bad_signature';
  const webhook = { producer, bytes, id: claimed.identify(bytes) };
  const body = parseBody(bytes);
  if (body instanceof KeelsonError) return { ...webhook, body, sentAtUs: claimed.sentAtUs ?? nowUs };
  const sent = checkBodyTime(signature, body, zone, nowS);
  if (sent.refusal !== undefined) return sent.refusal;
  return { ...webhook, body, sentAtUs: claimed.sentAtUs ?? sent.sentAtUs ?? nowUs };
}

async function findSource(access: Pick<Access, 'producer'>, source: string): Promise<Producer | undefined> {
  try {
    return await access.producer(source);
  } catch (error) {
    if (error instanceof KeelsonError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function parseBody(bytes: Buffer): Json | KeelsonError {
  try {
    return parseJson(bytes, LIMITS);
  } catch (error) {
    if (error instanceof KeelsonError) return error;
    throw error;
  }
}

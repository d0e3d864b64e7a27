/** What the routes of this folder share. */
import { hash } from 'node:crypto';
import type { Access } from '../../access/access.js';
import type { Producer } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import type { Vault } from '../../vault/index.js';
import { publish, type Outgoing, type PublicationOptions } from '../publication.js';
import type { KeySets } from './key-sets.js';

export interface OAuthParts extends PublicationOptions {
  readonly access: Pick<Access, 'authenticate' | 'producer'>;
  readonly vault: Pick<Vault, 'lookup'>;
  readonly keySets: KeySets;
  /** `KEELSON_OAUTH_WAIT_MS` */
  readonly waitMs: number;
}

export const OAUTH_PROTOCOL = 'oauth';

/**
 * Publishes what was asked for; resolves when the ledger has it.
 * @param showedToken where the token itself was shown
 * @throws KeelsonError `replayed` where the same id stands for something else; `forbidden`; as `publish`
 */
export async function say(
  parts: OAuthParts,
  producer: Producer,
  events: readonly Outgoing[],
  showedToken?: true,
): Promise<void> {
  const { outcome } = await publish(parts, OAUTH_PROTOCOL, producer, events, parts.waitMs, showedToken);
  if (outcome === 'conflict') {
    throw new KeelsonError('replayed', 'the same jti, or Idempotency-Key, was used for something else');
  }
}

/** An id for an event: the same from the same parts, whatever is in them. */
export function eventId(kind: string, ...parts: readonly string[]): string {
  return `oauth/${kind}/${hash('sha256', JSON.stringify(parts), 'hex')}`;
}

/** What a producer's configuration is checked for before it is taken, beyond its form. */
import { ownedIssuers, type ProducerConfig } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import { requireUsableHr } from './hr/usable.js';
import { requireUsableProvider } from './oauth/provider.js';
import { requireUsableScim } from './scim/source.js';

/** @throws KeelsonError `invalid_request` with the pointer: something that could never work, or does not belong here */
export async function requireUsable(config: ProducerConfig): Promise<void> {
  requireUsableScim(config);
  requireUsableHr(config);
  if (config.openid !== undefined) await requireUsableProvider(config.openid);
  requireOwnGroups(config);
}

/** A mover ends tokens of issuers that the source owns, and no others. */
function requireOwnGroups(config: ProducerConfig): void {
  const owned = ownedIssuers({ id: '', config });
  for (const [i, issuer] of (config.groupless ?? []).entries()) {
    if (owned.has(issuer)) continue;
    const pointer = `/groupless/${i}`;
    throw new KeelsonError('invalid_request', 'this issuer is none that the producer owns', { pointer });
  }
}

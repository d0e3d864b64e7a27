/** `@keelson/guard`: what an enforcement point imports. docs/guard.md; `./fastify.ts` and `./mcp.ts` are entry points of their own. */
export type { Allowed, Decision, KnownToken, Refused, RefusalReason } from './check.js';
export type { TransportChoice } from './connection.js';
export type { Membership } from './core.js';
export { Guard, type GuardConfig, type Probe } from './guard.js';
export type { Revoked, Session } from './holdings.js';
export { join, readMembership, type MembershipJson } from './join.js';
export { ENTRA, KEYCLOAK, STANDARD, type ClaimSet, type Mapping } from './mapping.js';
export { formatMetrics, type GuardMetrics } from './metrics.js';
export { openGuard, type OpenOptions } from './open.js';
export {
  Publisher,
  type DecidedOn,
  type PublishedDecision,
  type PublisherCounts,
  type PublisherOptions,
} from './publisher.js';
export { KeelsonError, type ErrorCode } from '../core/error.js';
export type { Signer } from '../core/signer.js';
export type { Named, TokenFacts } from '../protocol/token-keys.js';
export { nodeSigner } from '../platform/signer.js';

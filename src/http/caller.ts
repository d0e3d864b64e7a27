/** Who calls, as every route sees it. Who a bearer is and what they may do is decided behind the `Authenticate` port. */
import { KeelsonError } from '../core/error.js';

export const SCOPES = [
  'publish:decisions',
  'publish:lifecycle',
  'provision',
  'read',
  'read:personal',
  'admin',
] as const;
export type Scope = (typeof SCOPES)[number];

/** A person as an issuer knows them. */
export interface Holder {
  readonly issuer: string;
  readonly id: string;
}

export interface Caller {
  /** Public id of the credential; safe to log. */
  readonly tokenId: string;
  /** The producer that this caller's events are recorded under. */
  readonly producer: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Who holds the credential, where that is known. */
  readonly holder?: Holder;
}

/**
 * The Authorization header (undefined where there was none) → the caller.
 * @throws KeelsonError `unauthenticated`; `database_unavailable` where nobody can tell just now.
 */
export type Authenticate = (authorization: string | undefined) => Caller | Promise<Caller>;

/**
 * What a route says of itself in `config.access`: open to everyone; `own`, where the route itself tells who calls (a signature, other
 * credentials), and work is bounded as for callers; or to callers with at least one of these scopes.
 */
export type Access = 'public' | 'own' | readonly [Scope, ...Scope[]];

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Required on every route: a route without it is refused when it is registered. */
    access?: Access;
  }
  interface FastifyRequest {
    /** Set on every route whose access are scopes. */
    caller: Caller;
  }
}

/** @throws KeelsonError `forbidden` unless the caller has at least one of the scopes. */
export function requireAnyScope(caller: Caller, scopes: readonly Scope[]): void {
  if (!scopes.some((scope) => caller.scopes.has(scope))) {
    throw new KeelsonError('forbidden', `this needs a token with the scope ${scopes.join(' or ')}`);
  }
}

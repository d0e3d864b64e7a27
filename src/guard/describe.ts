/** What a token says of who acts, as members of a decision (docs/events.md): so that the ledger knows every token that was shown. */
import type { Named, TokenFacts } from '../protocol/token-keys.js';

/** Never the token itself; its digest where it has no id. */
export function describeToken(facts: TokenFacts): Record<string, unknown> {
  const {
    issuer,
    jti,
    digest,
    subject,
    person: name = subject,
    clientId,
    sessionId,
    issuedAtUs,
    environment,
    actors = [],
    agents = [],
  } = facts;
  const isPerson = name !== undefined && name !== clientId && !isSpiffe(name);
  const person = isPerson ? (issuer === undefined ? name : { issuer, id: name }) : undefined;
  const issuedAt = issuedAtUs === undefined ? undefined : formatTime(issuedAtUs);
  return defined({
    agent: actors[0]?.id ?? agents[0],
    client: clientId,
    user: person,
    delegation: facts.delegations?.[0],
    grant: facts.grants?.[0],
    delegation_chain: actors.length === 0 ? undefined : actors.map(({ id }: Named) => ({ agent: id })),
    context:
      sessionId === undefined && environment === undefined
        ? undefined
        : defined({ session_id: sessionId, environment }),
    token: defined({
      jti,
      digest: jti === undefined ? digest : undefined,
      issuer,
      client_id: clientId,
      issued_at: issuedAt,
      subject: person,
    }),
  });
}

const isSpiffe = (name: string): boolean => name.startsWith('spiffe://');

/** RFC 3339; undefined for what is no date. */
function formatTime(us: number): string | undefined {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

const defined = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/** What is known of a token, or of anything else in the graph, as the facts that keys of the revocation table are derived from. */
import type { TokenFacts } from '../protocol/token-keys.js';
import type { PersonName } from './people.js';
import type { NodeAnswer } from './reader.js';
import type { Standing } from './standing.js';

const optional = <K extends string>(name: K, value: string | undefined): { [P in K]?: string } =>
  (value === undefined || value === '' ? {} : { [name]: value }) as { [P in K]?: string };

/**
 * The facts of a node; of a token that names several clients or sessions, or goes by several digests, several sets of them. None where
 * nothing of this kind can be revoked.
 *
 * @param people who is behind the pseudonyms it names.
 * @param nowUs what says no issue time counts as issued now.
 */
export function factsOf(
  { node, names }: Pick<NodeAnswer, 'node' | 'names'>,
  people: ReadonlyMap<string, PersonName>,
  nowUs: bigint,
): TokenFacts[] {
  const issued = { issuedAtUs: Number(node.token?.issuedUs ?? nowUs) };
  const { issuer, id } = node;
  switch (node.kind) {
    case 'token':
      return factsOfToken(node, names, people).map((facts) => ({ ...facts, ...issued }));
    case 'principal': {
      const person = people.get(id);
      return person === undefined ? [] : [{ subjects: [person], ...issued }];
    }
    case 'agent':
      return [{ agents: [id], ...issued }];
    case 'client':
      return [{ ...optional('issuer', issuer), clientId: id, ...issued }];
    case 'grant':
      return [{ ...optional('issuer', issuer), grants: [id], ...issued }];
    case 'session':
      return [{ ...optional('issuer', issuer), sessionId: id, ...issued }];
    case 'delegation':
      return [{ delegations: [id], ...issued }];
    case 'tool':
      return [{ tool: id, ...issued }];
    case 'environment':
      return [{ environment: id, ...issued }];
    default:
      return [];
  }
}

function factsOfToken(
  { issuer, id, token }: Standing,
  names: readonly Standing[],
  people: ReadonlyMap<string, PersonName>,
): TokenFacts[] {
  const ids = (kind: Standing['kind']): string[] => [
    ...new Set(names.filter((one) => one.kind === kind).map((one) => one.id)),
  ];
  const by = optional('issuer', issuer);
  const isDigest = issuer === '' && /^[0-9a-f]{64}$/.test(id);
  const digests = [...(isDigest ? [id] : []), ...token!.digests];
  const [client, ...clients] = ids('client');
  const [session, ...sessions] = ids('session');
  return [
    {
      ...by,
      ...(isDigest ? {} : { jti: id }),
      ...optional('digest', digests[0]),
      subjects: ids('principal').flatMap((pseudonym) => people.get(pseudonym) ?? []),
      ...optional('clientId', client),
      ...optional('sessionId', session),
      agents: ids('agent'),
      delegations: ids('delegation'),
      grants: ids('grant'),
    },
    ...digests.slice(1).map((digest) => ({ digest })),
    ...clients.map((clientId) => ({ ...by, clientId })),
    ...sessions.map((sessionId) => ({ ...by, sessionId })),
  ];
}

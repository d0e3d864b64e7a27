/** Random events over few names, so that they meet; each log's in an order of its own. */
import fc from 'fast-check';
import type { JsonObject } from '../../src/events/json.js';
import type { TestEvent } from './support.js';

const among = (prefix: string, count = 4): fc.Arbitrary<string> => fc.nat(count - 1).map((n) => `${prefix}${n}`);
const maybe = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.option(arbitrary, { nil: undefined });
const person = fc.record({ issuer: among('https://idp', 2), id: among('person', 5) });
const issuer = fc.constantFrom('https://as.example', 'https://other.example');
/** Past, or to come: tests say that it is the year 2027. */
const time = fc.oneof(
  fc.nat(3).map((n) => 1_900_000_000 + n),
  fc.nat(3).map((n) => 1_750_000_000 + n),
);

/** Members that may be missing, without those that are. */
const event = (type: string, members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<JsonObject> =>
  fc.record(members).map((values) => ({
    type,
    ...(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as JsonObject),
  }));

const token = fc
  .record({
    jti: maybe(among('jti', 6)),
    digest: fc.nat(5).map((n) => String(n).repeat(64)),
    issuer: maybe(issuer),
    subject: maybe(person),
    client_id: maybe(among('client')),
    issued_at: maybe(fc.nat(3).map((n) => 1_700_000_000 + n)),
    expires_at: maybe(time),
  })
  .map((values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as JsonObject);

const chain = fc.array(fc.record({ agent: among('agent'), delegation: among('delegation'), principal: person }), {
  maxLength: 2,
});
const link = { principal: person, aliases: fc.array(person, { minLength: 1, maxLength: 2 }) };
const registered = {
  owner: maybe(person),
  successor: maybe(person),
  on_owner_leave: maybe(fc.constantFrom('block', 'hold', 'transfer')),
  environment: maybe(among('env', 2)),
};
const risk = { risk_level: maybe(fc.constantFrom('low', 'high')) };

const checked = { registration: fc.constant('event'), index: fc.nat(20) };

const lifecycle = fc.oneof(
  event('principal.linked', { ...link, absent_issuers: maybe(fc.array(issuer, { maxLength: 2 })) }),
  event('principal.unlinked', link),
  event('principal.offboarded', { principal: person }),
  event('principal.reinstated', { principal: person }),
  event('agent.registered', {
    agent: among('agent'),
    ...registered,
    ...risk,
    tools: maybe(fc.array(among('tool'), { maxLength: 2 })),
    client: maybe(among('client')),
  }),
  event('agent.approved', { agent: among('agent'), ...registered, ...risk }),
  event('agent.attested', { agent: among('agent') }),
  event('registration.verified', {
    ...checked,
    agent: among('agent'),
    method: fc.constant('jwt_svid'),
    expires_at: maybe(time),
  }),
  event('registration.failed', {
    ...checked,
    client: among('client'),
    issuer: maybe(issuer),
    code: fc.constant('expired'),
  }),
  event('agent.retired', { agent: among('agent') }),
  event('client.registered', {
    client: among('client'),
    issuer: maybe(issuer),
    agent: maybe(among('agent')),
    ...registered,
  }),
  event('grant.given', {
    grant: among('grant'),
    principal: maybe(person),
    agent: maybe(among('agent')),
    issuer: maybe(issuer),
    expires_at: maybe(time),
    session_id: maybe(among('session')),
  }),
  event('grant.withdrawn', { grant: among('grant'), issuer: maybe(issuer) }),
  event('delegation.granted', {
    delegation: among('delegation'),
    from: maybe(person),
    to_agent: maybe(among('agent')),
    parent: maybe(among('delegation')),
    expires_at: maybe(time),
  }),
  event('delegation.ended', { delegation: among('delegation') }),
  event('tool.registered', { tool: among('tool'), owner: maybe(person), ...risk }),
  event('point.enrolled', { point: among('point'), instance: maybe(among('instance')) }),
);

const activity = fc.oneof(
  event('token.seen', {
    token,
    user: maybe(person),
    agent: maybe(among('agent')),
    client: maybe(among('client')),
    session_id: maybe(among('session')),
    grant: maybe(among('grant')),
    delegation: maybe(among('delegation')),
    delegation_chain: chain,
    point: maybe(among('point')),
    tool: maybe(among('tool')),
    parent: maybe(among('jti', 6)),
  }),
  event('token.expired', { token }),
  event('session.started', {
    session_id: among('session'),
    user: maybe(person),
    issuer: maybe(issuer),
    agent: maybe(among('agent')),
    parent: maybe(among('session')),
    token: maybe(token),
    expires_at: maybe(time),
  }),
  event('session.ended', { session_id: among('session'), issuer: maybe(issuer) }),
);

const decision = event('decision.made', {
  decision: fc.constantFrom('allow', 'deny'),
  token: maybe(token),
  user: maybe(person),
  agent: maybe(among('agent')),
  tool: maybe(among('tool')),
  client: maybe(among('client')),
  grant: maybe(among('grant')),
  context: maybe(fc.record({ session_id: among('session'), environment: among('env', 2) })),
  delegation_chain: chain,
  point: maybe(among('point')),
});

const log = (events: fc.Arbitrary<JsonObject>): fc.Arbitrary<TestEvent[]> =>
  fc.array(fc.record({ event: events, producer: fc.constantFrom('hr', 'okta') }), { maxLength: 25 });

/** Lifecycle, two of activity, two of decisions. */
export const logsArbitrary: fc.Arbitrary<TestEvent[][]> = fc.tuple(
  log(lifecycle),
  log(activity),
  log(activity),
  log(decision),
  log(decision),
);

/** What really decides, against a naive world that looks through everything for every token. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../../src/core/bytes.js';
import type { TokenFacts } from '../../../src/protocol/token-keys.js';
import {
  AS,
  issuerOf,
  NaiveWorld,
  type Name,
  type Op,
  type Policy,
  type Target,
  type Token,
  type Valve,
} from './naive-world.js';
import { SETTINGS, SmallKeelson, type Said } from './small-keelson.js';

const BOSS = { issuer: 'hr', id: 'boss' };
const policies: Record<string, Policy> = {
  hr: { owns: ['hr', 'iss0'], expects: [], groupless: [] },
  okta: { owns: ['iss0'], expects: [], groupless: [] },
  admin: { owns: [], expects: [], groupless: [] },
};

const among = (prefix: string, count: number): fc.Arbitrary<string> => fc.nat(count - 1).map((n) => `${prefix}${n}`);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const human: fc.Arbitrary<Name> = among('h', 3).map((id) => ({ issuer: 'hr', id }));
const alias: fc.Arbitrary<Name> = fc.record({ issuer: fc.constantFrom('iss0', 'iss1', AS), id: among('a', 2) });
const person = fc.oneof(human, alias);
const source = fc.constantFrom('hr', 'okta');
const agent = among('agent', 3);
const client = among('client', 2);
const grant = among('grant', 3);
const delegation = among('delegation', 4);
const session = among('session', 2);
const group = among('group', 2);
const tool = among('tool', 2);
const environment = among('env', 2);

const token = fc.record({
  subject: maybe(person),
  agent: maybe(agent),
  client: maybe(client),
  grant: maybe(grant),
  delegation: maybe(delegation),
  session: maybe(session),
  groups: fc.uniqueArray(group, { maxLength: 2 }),
  tool: maybe(tool),
  environment: maybe(environment),
  issued: fc.nat(20),
  user: maybe(person),
  parent: maybe(fc.nat(7)),
  isNameless: fc.nat(3).map((n) => n === 0),
});
const tokens = fc
  .array(token, { minLength: 4, maxLength: 8 })
  .map((list): Token[] => list.map((one, n) => ({ n, ...one, parent: one.parent === n ? undefined : one.parent })));

const some = (members: object): object =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
const op = <T extends Op['op']>(name: T, members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Op> =>
  fc.record(members).map((values) => ({ op: name, ...some(values) }) as Op);
const registration = {
  agent,
  owner: maybe(person),
  mode: maybe(fc.constantFrom('block', 'hold', 'transfer')),
  successor: maybe(person),
};
const target = fc.oneof(
  fc.record({ type: fc.constant('agent'), value: agent }),
  fc.record({ type: fc.constant('client'), value: client }),
  fc.record({ type: fc.constant('grant'), value: grant }),
  fc.record({ type: fc.constant('session'), value: session }),
  fc.record({ type: fc.constant('delegation'), value: delegation }),
  fc.record({ type: fc.constant('token'), value: fc.nat(7).map(String) }),
  fc.record({ type: fc.constant('tool'), value: tool }),
  fc.record({ type: fc.constant('environment'), value: environment }),
);
const effect = fc.constantFrom(undefined, 'block', 'cutoff');
const mode = maybe(fc.constantFrom('revoke', 'hold', 'transfer'));
const successor = maybe(person);
const nth = fc.nat(4);
const by = fc.constantFrom('admin', 'hr', 'okta');
/** Minutes; between those at which anything happens. */
const ahead = fc.constantFrom(undefined, undefined, undefined, 5, 25);
const link = { source, person: human, alias };
const ops: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: op('link', link) },
  { weight: 2, arbitrary: op('unlink', link) },
  { weight: 3, arbitrary: op('register', { ...registration, client: maybe(client) }) },
  { weight: 2, arbitrary: op('approve', registration) },
  {
    weight: 3,
    arbitrary: op('grant', { grant, principal: maybe(person), agent: maybe(agent), session: maybe(session) }),
  },
  {
    weight: 4,
    arbitrary: op('delegate', {
      delegation,
      from: maybe(person),
      fromAgent: maybe(agent),
      toAgent: maybe(agent),
      parent: maybe(delegation),
    }),
  },
  { weight: 2, arbitrary: op('session', { session, user: maybe(person), agent: maybe(agent) }) },
  { weight: 6, arbitrary: op('see', { token: fc.nat(7) }) },
  { weight: 2, arbitrary: op('decide', { token: fc.nat(7), user: maybe(person) }) },
  { weight: 2, arbitrary: op('fold', { count: fc.constantFrom(1, 3, 1000) }) },
  {
    weight: 4,
    arbitrary: op('offboard', {
      source,
      principal: person,
      scope: fc.constantFrom(undefined, undefined, 'source'),
      successor: maybe(person),
      in: ahead,
    }),
  },
  { weight: 2, arbitrary: op('reinstate', { source, principal: person, in: ahead }) },
  { weight: 1, arbitrary: op('join', { source, principal: person, in: ahead }) },
  {
    weight: 3,
    arbitrary: op('move', {
      source,
      principal: person,
      removed: fc.uniqueArray(group, { maxLength: 2 }),
      added: fc.uniqueArray(group, { maxLength: 2 }),
      in: ahead,
    }),
  },
  {
    weight: 2,
    arbitrary: op('request', { principal: person, security: fc.boolean(), effect, mode, successor, in: ahead }),
  },
  { weight: 2, arbitrary: op('request', { principal: person, group, security: fc.boolean(), effect, in: ahead }) },
  { weight: 2, arbitrary: op('sign_out', { principal: alias }) },
  { weight: 3, arbitrary: op('request', { target, security: fc.boolean(), effect, in: ahead }) },
  { weight: 1, arbitrary: op('lift', { nth }) },
  { weight: 1, arbitrary: op('cancel', { nth, by }) },
  { weight: 1, arbitrary: op('reschedule', { nth, by, in: fc.constantFrom(-5, 5, 35) }) },
  { weight: 1, arbitrary: op('approve_leave', { nth }) },
  { weight: 1, arbitrary: op('deny_leave', { nth }) },
  { weight: 2, arbitrary: op('pass', { minutes: fc.constantFrom(10, 20, 60) }) },
);

const jtiOf = (n: number): string => `jti${n}`;
const digestOf = (n: number): string => String(n).repeat(64).slice(0, 64);
/** As those tell who saw it. */
const tellToken = ({ n, isNameless, subject, client }: Token): object => ({
  ...(isNameless === true ? { digest: digestOf(n) } : { jti: jtiOf(n) }),
  ...some({ issuer: AS, subject, client_id: client }),
});

function tellTarget({ type, value }: Target, tokens: readonly Token[]): object {
  if (type === 'session') return some({ type, issuer: issuerOf(value), value });
  if (type !== 'token') return { type, value };
  const isNameless = tokens[Number(value)]?.isNameless === true;
  return { type, issuer: AS, ...(isNameless ? { digest: digestOf(Number(value)) } : { value: jtiOf(Number(value)) }) };
}

/** An op as the event that says it. `orders`: the ids of causes that have an order. */
function eventOf(one: Op, tokens: readonly Token[], orders: readonly string[], nowUs: number): Said | undefined {
  const at = (minutes: number | undefined): string | undefined =>
    minutes === undefined ? undefined : new Date(nowUs / 1000 + minutes * 60_000).toISOString();
  const event = (type: string, members: object, producer = 'hr'): Said => ({
    producer,
    event: { type, ...some(members) },
  });
  switch (one.op) {
    case 'link':
    case 'unlink':
      return event(`principal.${one.op}ed`, { principal: one.person, aliases: [one.alias] }, one.source);
    case 'register':
    case 'approve': {
      const { agent, owner, mode, successor, client } = one;
      return event(`agent.${one.op === 'register' ? 'registered' : 'approved'}`, {
        agent,
        owner,
        successor,
        client,
        on_owner_leave: mode,
      });
    }
    case 'grant':
      return event('grant.given', {
        grant: one.grant,
        principal: one.principal,
        agent: one.agent,
        session_id: one.session,
        issuer: issuerOf(one.session),
      });
    case 'delegate': {
      const { delegation, from, fromAgent, toAgent, parent } = one;
      return event('delegation.granted', { delegation, from, from_agent: fromAgent, to_agent: toAgent, parent });
    }
    case 'session':
      return event('session.started', {
        ...{ session_id: one.session, issuer: issuerOf(one.session), user: one.user, agent: one.agent },
      });
    case 'see': {
      const seen = tokens[one.token];
      if (seen === undefined) return undefined;
      const { agent, grant, delegation, session, user, parent } = seen;
      const nameOf = tokens[parent ?? -1]?.isNameless === true ? digestOf : jtiOf;
      return event('token.seen', {
        token: tellToken(seen),
        ...{ agent, grant, delegation, session_id: session, user },
        parent: parent === undefined ? undefined : nameOf(parent),
      });
    }
    case 'decide': {
      const used = tokens[one.token];
      if (used === undefined) return undefined;
      const { agent, client, grant, delegation, session, tool, environment } = used;
      return event('decision.made', {
        decision: 'allow',
        agent: agent ?? 'agent-of-nobody',
        tool: tool ?? 'tool-of-nobody',
        token: tellToken(used),
        ...{ client, grant, delegation, user: one.user },
        context: some({ session_id: session, environment }),
      });
    }
    case 'offboard':
      return event(
        'principal.offboarded',
        { principal: one.principal, scope: one.scope, successor: one.successor, effective_at: at(one.in) },
        one.source,
      );
    case 'reinstate':
    case 'join': {
      const type = one.op === 'join' ? 'principal.joined' : 'principal.reinstated';
      return event(type, { principal: one.principal, effective_at: at(one.in) }, one.source);
    }
    case 'move': {
      const { principal, removed, added } = one;
      const members = { principal, groups_removed: removed, groups_added: added, effective_at: at(one.in) };
      return event('principal.moved', members, one.source);
    }
    case 'sign_out': {
      const target = { type: 'session', issuer: one.principal.issuer };
      return event('revocation.requested', { principal: one.principal, target, effect: 'cutoff' }, 'okta');
    }
    case 'request':
      return event(
        'revocation.requested',
        {
          ...{ principal: one.principal, group: one.group },
          target: one.target && tellTarget(one.target, tokens),
          security: one.security,
          effect: one.effect,
          mode: one.mode,
          successor: one.successor,
          effective_at: at(one.in),
        },
        'admin',
      );
    case 'lift': {
      const id = orders[one.nth];
      return id === undefined ? undefined : event('revocation.lift_requested', { orders: [id] }, 'admin');
    }
    case 'cancel':
    case 'reschedule': {
      const cause = orders[one.nth];
      if (cause === undefined) return undefined;
      const members = { cause, by_source: one.by === 'admin' ? undefined : true };
      if (one.op === 'cancel') return event('revocation.cancelled', members, one.by);
      return event('revocation.rescheduled', { ...members, effective_at: at(one.in) }, one.by);
    }
    case 'approve_leave':
    case 'deny_leave': {
      const cause = orders[one.nth];
      const type = one.op === 'approve_leave' ? 'revocation.approved' : 'revocation.denied';
      return cause === undefined ? undefined : event(type, { cause, actor: BOSS }, 'admin');
    }
    case 'pass':
    case 'fold':
      return undefined;
  }
}

const factsOf = (
  { n, isNameless, subject, agent, client, grant, delegation, session, groups, tool, environment }: Token,
  issuedAtUs: number,
): TokenFacts => ({
  issuer: AS,
  ...(isNameless === true ? { digest: digestOf(n) } : { jti: jtiOf(n) }),
  subjects: subject === undefined ? [] : [subject],
  agents: agent === undefined ? [] : [agent],
  clientId: client,
  grants: grant === undefined ? [] : [grant],
  delegations: delegation === undefined ? [] : [delegation],
  sessionId: session,
  groups,
  tool,
  environment,
  issuedAtUs,
});

/** Keelson and the naive world, told the same. */
class Both {
  readonly orders: string[] = [];
  readonly keelson: SmallKeelson;
  readonly naive: NaiveWorld;
  /** After each happening. */
  readonly #timesUs: number[];

  constructor(
    readonly tokens: readonly Token[],
    valve: Valve,
    readonly isPrompt: boolean,
  ) {
    const settings = { ...SETTINGS, holdCount: valve.count, holdShare: valve.share };
    this.keelson = new SmallKeelson((producer) => policies[producer]!, settings);
    this.naive = new NaiveWorld(tokens, (source) => policies[source]!.owns, valve, isPrompt);
    this.keelson.isPrompt = isPrompt;
    this.#timesUs = [this.keelson.nowUs];
  }

  /** Answers whether there was something to say. */
  say(one: Op): boolean {
    if (one.op === 'pass' || one.op === 'fold') {
      if (one.op === 'pass') this.keelson.nowUs += one.minutes * 60_000_000;
      else this.keelson.foldActivity(one.count);
      this.naive.say(one);
      return true;
    }
    const said = eventOf(one, this.tokens, this.orders, this.keelson.nowUs);
    if (said === undefined) return false;
    const before = this.naive.orderCount;
    const id = this.keelson.say(said);
    this.naive.say(one);
    if (this.naive.orderCount > before) this.orders.push(id);
    return true;
  }

  compare(): void {
    this.#timesUs.push(this.keelson.nowUs);
    for (const token of this.tokens) {
      const verdicts = this.#verdicts(token);
      const expected = this.naive.verdict(token);
      // What an order holds wrongly it lets go when the graph knows all that was there before it.
      if (!this.isPrompt) for (const which of WHICH) verdicts[which] &&= expected[which];
      expect({ token: token.n, ...verdicts }).toEqual({ token: token.n, ...expected });
    }
  }

  /** When the graph knows everything, what is issued now is refused exactly where it has to be. */
  async finish(): Promise<void> {
    this.keelson.foldActivity();
    this.naive.say({ op: 'fold', count: Infinity });
    await this.keelson.settle();
    for (const token of this.tokens) {
      expect([token.n, this.#verdicts(token).fresh]).toEqual([token.n, this.naive.verdict(token).fresh]);
    }
  }

  #verdicts(token: Token): Record<(typeof WHICH)[number], boolean> {
    const { nowUs } = this.keelson;
    return {
      fresh: this.keelson.check({ ...factsOf(token, nowUs), jti: 'new', digest: undefined }).revoked,
      issued: this.keelson.check(factsOf(token, this.#timesUs[token.issued] ?? nowUs)).revoked,
      old: this.keelson.check(factsOf(token, 1)).revoked,
    };
  }
}

/** A token from now, from when it was issued, from long ago. */
const WHICH = ['fresh', 'issued', 'old'] as const;

/** As many other worlds as one likes: MODEL_SEED, MODEL_RUNS. */
const PARAMETERS = { numRuns: Number(process.env['MODEL_RUNS'] ?? 130), seed: Number(process.env['MODEL_SEED'] ?? 1) };
const happenings = fc.array(fc.record({ one: ops, dies: fc.array(fc.nat(2), { maxLength: 2 }) }), {
  maxLength: 30,
  size: 'max',
});

/** Nobody is held, or nearly everybody who does not leave alone. */
const OPEN: Valve = { count: 1000, share: 1 };
const valve = fc.constantFrom<Valve>(OPEN, { count: 1, share: 0.5 });

async function run(
  list: Token[],
  happens: readonly { one: Op; dies: readonly number[] }[],
  valve: Valve = OPEN,
  isPrompt = true,
): Promise<void> {
  const both = new Both(list, valve, isPrompt);
  for (const { one, dies } of happens) {
    if (!both.say(one)) continue;
    for (const written of dies) await both.keelson.die(written);
    await both.keelson.settle();
    both.compare();
  }
  await both.finish();
  const folded = both.keelson.refold().table.head();
  const { table } = both.keelson.state;
  expect([folded.seq, formatHex(folded.chainHash), formatHex(folded.stateHash)]).toEqual([
    table.seq,
    formatHex(table.head().chainHash),
    formatHex(table.head().stateHash),
  ]);
}

const h0: Name = { issuer: 'hr', id: 'h0' };
const h1: Name = { issuer: 'hr', id: 'h1' };
const h2: Name = { issuer: 'hr', id: 'h2' };
const a0: Name = { issuer: 'iss0', id: 'a0' };
const named = (more: Partial<Token>): Token[] => [{ n: 0, groups: [], issued: 0, ...more }];

/** What random events found once. */
const cases: [string, Token[], Op[], number[]?][] = [
  [
    'who is back stays back, although something was attached to them just then',
    named({ client: 'client0', user: h0 }),
    [
      { op: 'offboard', source: 'okta', principal: h0 },
      { op: 'register', agent: 'agent0', owner: h0, client: 'client0' },
      { op: 'see', token: 0 },
      { op: 'register', agent: 'agent0', owner: a0 },
      { op: 'join', source: 'okta', principal: h0 },
      { op: 'link', source: 'hr', person: h0, alias: a0 },
    ],
  ],
  [
    'who was only thought to be a leaver is free again, although the process died between the two records that say so',
    named({ subject: h2 }),
    [
      { op: 'link', source: 'hr', person: h2, alias: a0 },
      { op: 'offboard', source: 'hr', principal: a0 },
      { op: 'link', source: 'hr', person: h0, alias: a0 },
    ],
    [1],
  ],
  [
    'an agent waits for a new owner when who took it over leaves, too',
    named({ agent: 'agent0' }),
    [
      { op: 'register', agent: 'agent0', owner: h0, mode: 'transfer', successor: h1 },
      { op: 'offboard', source: 'hr', principal: h0 },
      { op: 'offboard', source: 'hr', principal: h1 },
    ],
  ],
  [
    'who takes over gets an alias that was the leaver’s, and has not left with them',
    named({ client: 'client0' }),
    [
      { op: 'link', source: 'hr', person: h2, alias: { issuer: 'iss1', id: 'a0' } },
      { op: 'register', agent: 'agent0', owner: { issuer: 'iss1', id: 'a0' }, mode: 'transfer', client: 'client0' },
      { op: 'offboard', source: 'hr', principal: { issuer: 'iss1', id: 'a0' }, successor: h1 },
      { op: 'link', source: 'okta', person: h2, alias: { issuer: 'iss0', id: 'a1' } },
      { op: 'link', source: 'okta', person: h1, alias: { issuer: 'iss0', id: 'a1' } },
    ],
  ],
  [
    'a group that was given back is lost again when that is lifted',
    named({ subject: h0, groups: ['group0'] }),
    [
      { op: 'move', source: 'okta', principal: h0, removed: ['group0'], added: [] },
      { op: 'move', source: 'okta', principal: h0, removed: [], added: ['group0'] },
      { op: 'lift', nth: 1 },
    ],
  ],
  [
    'what is granted to an agent after it was revoked is revoked',
    named({ delegation: 'delegation1' }),
    [
      { op: 'request', target: { type: 'agent', value: 'agent0' }, security: true },
      { op: 'delegate', delegation: 'delegation0', toAgent: 'agent0' },
      { op: 'delegate', delegation: 'delegation1', parent: 'delegation0' },
      { op: 'delegate', delegation: 'delegation0', parent: 'delegation1' },
    ],
  ],
  [
    'tokens that were exchanged for a revoked one, which nobody ever showed, before and after',
    [...named({}), ...[0, 1, 2].map((parent) => ({ n: parent + 1, groups: [], issued: 0, parent }))],
    [
      { op: 'see', token: 1 },
      { op: 'see', token: 3 },
      { op: 'request', target: { type: 'token', value: '0' }, security: false },
      { op: 'see', token: 2 },
    ],
  ],
  [
    'an agent goes on under its new owner when that one stays after all',
    named({ agent: 'agent0' }),
    [
      { op: 'register', agent: 'agent0', owner: h0, mode: 'hold' },
      { op: 'offboard', source: 'hr', principal: h0 },
      { op: 'offboard', source: 'okta', principal: h1, in: 25 },
      { op: 'approve', agent: 'agent0', owner: h1 },
      { op: 'cancel', nth: 1, by: 'okta' },
    ],
  ],
  [
    "a token that is exchanged for a leaver's after they left",
    [...named({ subject: h0 }), { n: 1, groups: [], issued: 0, parent: 0 }],
    [
      { op: 'see', token: 0 },
      { op: 'offboard', source: 'hr', principal: h0 },
      { op: 'see', token: 1 },
    ],
  ],
  [
    'a group that is lost later than it was given again is lost by every name, also by one that is told then',
    named({ subject: a0, groups: ['group0'] }),
    [
      { op: 'move', source: 'hr', principal: h0, removed: ['group0'], added: [], in: 25 },
      { op: 'move', source: 'hr', principal: h0, removed: [], added: ['group0'] },
      { op: 'pass', minutes: 60 },
      { op: 'link', source: 'hr', person: h0, alias: a0 },
    ],
  ],
  [
    'of two that wait the one that is due first counts first, also when nobody was there to see it',
    named({ subject: h0, groups: ['group0'] }),
    [
      { op: 'move', source: 'hr', principal: h0, removed: ['group0'], added: [], in: 25 },
      { op: 'move', source: 'hr', principal: h0, removed: [], added: ['group0'], in: 5 },
      { op: 'pass', minutes: 60 },
    ],
  ],
  [
    'who is to leave before they come back leaves',
    named({ subject: h0 }),
    [
      { op: 'offboard', source: 'hr', principal: h0, in: 5 },
      { op: 'reinstate', source: 'hr', principal: h0, in: 25 },
      { op: 'pass', minutes: 10 },
      { op: 'pass', minutes: 20 },
    ],
  ],
  [
    'who is back before they were to leave stays',
    named({ subject: h0 }),
    [
      { op: 'offboard', source: 'hr', principal: h0, in: 5 },
      { op: 'reinstate', source: 'hr', principal: h0, in: 25 },
      { op: 'reschedule', nth: 0, by: 'hr', in: 35 },
      { op: 'pass', minutes: 60 },
    ],
  ],
  [
    'who leaves after it was said when they come back has left',
    named({ subject: h0 }),
    [
      { op: 'reinstate', source: 'hr', principal: h0, in: 5 },
      { op: 'offboard', source: 'hr', principal: h0 },
      { op: 'pass', minutes: 10 },
    ],
  ],
];

describe('revocation against a naive world', { timeout: 300_000 }, () => {
  it.each(cases)('%s', async (_, list, happens, dies = []) => {
    const last = happens.length - 1;
    await run(
      list,
      happens.map((one, i) => ({ one, dies: i === last ? dies : [] })),
    );
  });

  it('says of every token, fresh or old, what a walk through everything says, after everything that happens', async () => {
    const alive = happenings.map((all) => all.map(({ one }) => ({ one, dies: [] })));
    await fc.assert(fc.asyncProperty(tokens, alive, valve, fc.constant(true), run), PARAMETERS);
  });

  it('says the same where processes die in the middle of what they write, and what they wrote lands late', async () => {
    await fc.assert(fc.asyncProperty(tokens, happenings, valve, fc.constant(true), run), PARAMETERS);
  });

  it('refuses no less where the graph learns of tokens and sessions late, and the same once it has', async () => {
    await fc.assert(fc.asyncProperty(tokens, happenings, valve, fc.constant(false), run), PARAMETERS);
  });
});

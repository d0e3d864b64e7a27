import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/events/json.js';
import { ROLE } from '../../src/identity/kinds.js';
import { graphOf, hexOf, identityOf, NOW_US, type TestEvent } from './support.js';

const dana = hexOf('dana');
const token = (jti: string, members: JsonObject = {}): JsonObject => ({
  jti,
  issuer: 'https://as.example',
  ...members,
});
const ask = (events: readonly (JsonObject | TestEvent)[]) => identityOf(graphOf(events));
const jtis = (tokens: readonly { jti: string | null }[]): (string | null)[] => tokens.map(({ jti }) => jti).sort();

describe('what ends with a person', () => {
  it('is what they granted, delegated, and what stems from it, not the agent that acts for them', () => {
    const found = ask([
      { type: 'grant.given', grant: 'g1', principal: 'dana', agent: 'shared' },
      { type: 'delegation.granted', delegation: 'd1', from: 'dana', to_agent: 'shared' },
      { type: 'delegation.granted', delegation: 'd2', parent: 'd1', from_agent: 'shared', to_agent: 'other' },
      { type: 'session.started', session_id: 's1', user: 'dana' },
      { type: 'token.seen', token: token('t1', { subject: 'dana' }), agent: 'shared' },
      { type: 'token.seen', token: token('t2'), delegation: 'd2' },
      { type: 'token.seen', token: token('t3'), agent: 'shared', client: 'c1' },
      { type: 'token.seen', token: token('t4', { subject: 'eve' }), agent: 'shared' },
    ]).descendantsOf({ subjects: [dana] }, NOW_US);
    expect(found.grants).toMatchObject([{ issuer: '', id: 'g1' }]);
    expect(found.delegations.toSorted()).toEqual(['d1', 'd2']);
    expect(found.sessions).toMatchObject([{ issuer: '', id: 's1' }]);
    expect(found.agents).toEqual([]);
    // t1 names her; t2 names a delegation that stems from hers.
    expect(jtis(found.tokens)).toEqual(['t2']);
  });

  it('are tokens that are theirs and name nothing, unless somebody else has them, too', () => {
    const found = ask([
      { type: 'token.seen', token: { digest: 'a'.repeat(64) }, user: 'dana' },
      { type: 'token.seen', token: token('both'), user: 'dana' },
      { type: 'token.seen', token: token('both'), user: 'eve' },
      { type: 'decision.made', decision: 'allow', token: token('agents own'), user: 'dana', agent: 'shared' },
    ]).descendantsOf({ subjects: [dana] }, NOW_US);
    expect(found.tokens).toMatchObject([{ jti: null, digest: 'a'.repeat(64), subjects: [] }]);
    expect(found.sharedCount).toBe(2);
  });

  it('a delegation that stems from itself ends the walk like any other', () => {
    const found = ask([
      { type: 'delegation.granted', delegation: 'd1', from: 'dana', parent: 'd3' },
      { type: 'delegation.granted', delegation: 'd2', parent: 'd1' },
      { type: 'delegation.granted', delegation: 'd3', parent: 'd2' },
      { type: 'token.seen', token: token('t'), delegation: 'd3' },
    ]).descendantsOf({ subjects: [dana] }, NOW_US);
    expect(found.delegations.toSorted()).toEqual(['d1', 'd2', 'd3']);
    expect(jtis(found.tokens)).toEqual(['t']);
  });

  it('a very long chain of delegations is walked to its end', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => ({
      type: 'delegation.granted',
      delegation: `d${i}`,
      ...(i === 0 ? { from: 'dana' } : { parent: `d${i - 1}` }),
    }));
    expect(ask(chain).descendantsOf({ subjects: [dana] }, NOW_US).delegations).toHaveLength(20_000);
  });

  it('what had ended is left out, unless a living token names it', () => {
    const found = ask([
      { type: 'grant.given', grant: 'old', principal: 'dana' },
      { type: 'grant.withdrawn', grant: 'old' },
      { type: 'grant.given', grant: 'outlived', principal: 'dana', expires_at: 1_700_000_000 },
      { type: 'token.seen', token: token('alive', { expires_at: 1_900_000_000 }), grant: 'outlived' },
      { type: 'token.seen', token: token('expired', { expires_at: 1_700_000_000 }), grant: 'outlived' },
      { type: 'token.seen', token: token('told expired'), grant: 'outlived' },
      { type: 'token.expired', token: token('told expired') },
    ]).descendantsOf({ subjects: [dana] }, NOW_US);
    // With the issuer of the token, and without: either may be what a guard is told.
    expect(found.grants.map(({ issuer, id }) => ({ issuer, id }))).toEqual(
      expect.arrayContaining([
        { issuer: '', id: 'outlived' },
        { issuer: 'https://as.example', id: 'outlived' },
      ]),
    );
    expect(found.grants).toHaveLength(2);
    expect(jtis(found.tokens)).toEqual(['alive']);
  });

  it('tokens exchanged for a token of theirs end with it, in whichever order they were seen, over any number of steps', () => {
    const events = [
      { type: 'token.seen', token: token('first', { subject: 'dana' }) },
      { type: 'token.seen', token: { jti: 'second', issuer: 'https://b.example' }, parent: 'first' },
      { type: 'token.seen', token: { jti: 'third', issuer: 'https://c.example' }, parent: 'second' },
    ];
    for (const order of [events, events.toReversed()]) {
      const found = ask(order).descendantsOf({ subjects: [dana] }, NOW_US);
      expect(jtis(found.tokens)).toEqual(['second', 'third']);
    }
  });

  it('tokens exchanged for one that is named end with it, whether it was seen or not', () => {
    const events = ['first', 'second'].map((parent, n) => ({
      type: 'token.seen',
      token: { jti: `after-${n}`, issuer: 'https://b.example' },
      parent,
    }));
    const identity = ask([{ type: 'token.seen', token: token('first') }, ...events]);
    for (const id of ['first', 'second']) {
      const found = identity.descendantsOf({ type: 'token', issuer: 'https://as.example', id }, NOW_US);
      expect(jtis(found.tokens)).toEqual([id === 'first' ? 'after-0' : 'after-1']);
    }
  });
});

describe('what ends with an agent', () => {
  it('are delegations by and to it, its name in its certificate, and a client that nobody else uses', () => {
    const identity = ask([
      {
        type: 'agent.registered',
        agent: 'bot',
        owner: 'dana',
        client: 'own',
        agent_identity: { spiffe_id: 'spiffe://x/bot', client_id: 'common' },
      },
      { type: 'agent.registered', agent: 'else', client: 'common' },
      { type: 'delegation.granted', delegation: 'd1', from_agent: 'bot' },
      { type: 'delegation.granted', delegation: 'd2', to_agent: 'bot', from: 'eve' },
      { type: 'token.seen', token: token('t1'), client: 'own' },
      { type: 'token.seen', token: token('t2'), client: 'common' },
      { type: 'token.seen', token: token('t3'), agent: 'spiffe://x/bot' },
    ]);
    const found = identity.descendantsOf({ type: 'agent', issuer: '', id: 'bot' }, NOW_US);
    expect(found.delegations.toSorted()).toEqual(['d1', 'd2']);
    expect(found.agents).toEqual(['spiffe://x/bot']);
    expect(found.clients).toContainEqual({ issuer: '', id: 'own' });
    expect(found.clients.map(({ id }) => id)).not.toContain('common');
    expect(jtis(found.tokens)).toEqual(['t1', 't3']);
    const both = identity.descendantsOf(
      ['bot', 'else'].map((id) => ({ type: 'agent' as const, issuer: '', id })),
      NOW_US,
    );
    expect(both.clients.map(({ id }) => id)).toContain('common');
  });
});

describe('who owns what', () => {
  it('is as the last registration or approval says; what it leaves open stays', () => {
    const identity = ask([
      { type: 'agent.registered', agent: 'bot', owner: 'dana', successor: 'eve', on_owner_leave: 'transfer' },
      { type: 'agent.registered', agent: 'given', owner: 'dana' },
      { type: 'agent.approved', agent: 'given', owner: 'eve' },
      { type: 'agent.registered', agent: 'gone', owner: 'dana' },
      { type: 'agent.retired', agent: 'gone' },
      { type: 'client.registered', client: 'c', issuer: 'https://as.example', owner: 'dana', on_owner_leave: 'hold' },
      { type: 'agent.approved', agent: 'bot' },
    ]);
    expect(identity.ownedBy([dana])).toEqual([
      { type: 'agent', issuer: '', id: 'bot', onOwnerLeave: 'transfer', successor: hexOf('eve') },
      { type: 'client', issuer: 'https://as.example', id: 'c', onOwnerLeave: 'hold', successor: null },
    ]);
    expect(identity.ownedBy([hexOf('eve')]).map(({ id }) => id)).toEqual(['given']);
  });
});

describe('who is one human', () => {
  const linked = (principal: string, ...aliases: string[]): JsonObject => ({
    type: 'principal.linked',
    principal,
    aliases,
  });
  const subjects = (events: readonly (JsonObject | TestEvent)[], of = 'dana'): string[] =>
    [...ask(events).aliasesOf(hexOf(of)).subjects].sort();
  const hexes = (...ids: string[]): string[] => ids.map((id) => hexOf(id)).sort();

  it('are all whom links connect', () => {
    const events = [linked('dana', 'mail', 'oid'), linked('oid', 'sub'), linked('eve', 'eve mail')];
    for (const one of ['dana', 'mail', 'oid', 'sub'])
      expect(subjects(events, one)).toEqual(hexes('dana', 'mail', 'oid', 'sub'));
    expect(subjects([], 'unknown')).toEqual(hexes('unknown'));
  });

  it('an unlinked alias is by itself again, or with those who came by it', () => {
    const events = [
      linked('dana', 'mail', 'oid'),
      linked('oid', 'sub'),
      { type: 'principal.unlinked', principal: 'dana', aliases: ['oid'] },
    ];
    expect(subjects(events)).toEqual(hexes('dana', 'mail'));
    expect(subjects(events, 'sub')).toEqual(hexes('oid', 'sub'));
  });

  it('a source that links an alias to somebody else takes back its word; another source joins two', () => {
    const events = [linked('dana', 'mail'), linked('eve', 'mail')].map((event) => ({ event, producer: 'hr' }));
    expect(subjects(events)).toEqual(hexes('dana'));
    expect(subjects(events, 'mail')).toEqual(hexes('eve', 'mail'));
    expect(subjects([events[0]!, { ...events[1]!, producer: 'okta' }])).toEqual(hexes('dana', 'eve', 'mail'));
  });

  it('issuers without an account are told of the human', () => {
    const human = ask([
      { ...linked('dana', 'mail'), absent_issuers: ['https://b.example'] },
      { ...linked('mail', 'oid'), absent_issuers: ['https://a.example'] },
    ]).aliasesOf(hexOf('oid'));
    expect(human.absentIssuers).toEqual(['https://a.example', 'https://b.example']);
  });
});

describe('what changed for whom', () => {
  it('is told since the mark: tokens, agents, links, and what hangs below', () => {
    const graph = graphOf([{ type: 'delegation.granted', delegation: 'd1', from: 'dana' }]);
    const identity = identityOf(graph);
    const { mark } = identity.changedSince(undefined);
    expect(identity.changedSince(mark).subjects).toEqual([]);
    const eve = graph.mention('principal', '', Buffer.from(hexOf('eve'), 'hex'), 1);
    const parent = graph.mention('delegation', '', 'd1', 1);
    graph.hang(parent, graph.mention('delegation', '', 'd2', 1), 1, 1);
    expect(identity.changedSince(mark).subjects).toEqual([dana]);
    graph.register(graph.mention('agent', '', 'bot', 1), {
      owner: eve,
      successor: -1,
      onOwnerLeave: undefined,
      riskLevel: undefined,
    });
    expect([...identity.changedSince(mark).subjects].sort()).toEqual([dana, hexOf('eve')].sort());
    expect(identity.changedSince('another graph/0').subjects).toBe('all');
  });

  it('a node that is told of again and again between two marks counts once', () => {
    const graph = graphOf([]);
    const identity = identityOf(graph);
    const { mark } = identity.changedSince(undefined);
    const parent = graph.mention('principal', '', Buffer.from(dana, 'hex'), 1);
    for (let i = 0; i < 70_000; i++) graph.hang(parent, graph.mention('token', '', `t${i}`, 1), ROLE.served, 1);
    const told = identity.changedSince(mark);
    expect(told.subjects).toEqual([dana]);
    graph.hang(parent, graph.mention('token', '', 'later', 1), ROLE.served, 1);
    expect(identity.changedSince(told.mark).subjects).toEqual([dana]);
  });
});

describe('a dry run', () => {
  const events = [
    { type: 'agent.registered', agent: 'bot', owner: 'dana', tools: ['meant'] },
    { type: 'session.started', session_id: 's1', user: 'dana' },
    { type: 'token.seen', token: token('t1'), agent: 'bot', point: 'gateway', tool: 'deploy' },
    {
      type: 'decision.made',
      decision: 'allow',
      user: 'dana',
      agent: 'shared',
      tool: 'mail',
      context: { environment: 'production' },
    },
    { type: 'token.seen', token: token('t2'), agent: 'stranger', point: 'door', tool: 'other' },
  ];

  it('reaches agents, tools, environments and points, with what the person owns where that is named', async () => {
    const bot = { type: 'agent', issuer: '', id: 'bot' } as const;
    const reach = await ask(events).reachOf([{ subjects: [dana] }, bot], NOW_US);
    expect(reach).toMatchObject({ points: ['gateway'], environments: ['production'], tokenCount: 1 });
    expect([...reach.agents].sort()).toEqual(['bot', 'shared']);
    expect([...reach.tools].sort()).toEqual(['deploy', 'mail', 'meant']);
    expect((await ask(events).reachOf({ subjects: [dana] }, NOW_US)).agents).toEqual(['shared']);
  });

  it('of a tool or an environment reaches who used it or is meant for it, and what is theirs', async () => {
    const of = (type: 'tool' | 'environment', id: string) => ask(events).reachOf({ type, issuer: '', id }, NOW_US);
    const used = { agents: ['bot'], points: ['gateway'], tokenCount: 1, sessionCount: 0 };
    expect(await of('tool', 'deploy')).toMatchObject({ ...used, tools: ['deploy'] });
    expect(await of('tool', 'meant')).toMatchObject({ ...used, tools: ['meant'] });
    expect(await of('environment', 'production')).toMatchObject({ agents: ['shared'], sessionCount: 1 });
    expect(await of('tool', 'nobody used')).toMatchObject({ agents: [], tokenCount: 0 });
  });

  it('counts the token that it is about', async () => {
    const reach = await ask(events).reachOf({ type: 'token', issuer: 'https://as.example', id: 't1' }, NOW_US);
    expect(reach).toMatchObject({ tokenCount: 1, points: ['gateway'] });
  });
});

it('elsewhere than where it is folded it says so', () => {
  const identity = identityOf(undefined);
  expect(identity.isHere).toBe(false);
  expect(() => identity.aliasesOf(dana)).toThrow(expect.objectContaining({ code: 'not_ready' }));
});

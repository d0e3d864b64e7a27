/**
 * The fold: what one entry says of the graph. Pure but for the graph it writes to. Whatever comes from more than one log is a set that
 * only grows, or the least or greatest of what was said, so that it does not matter how the logs interleave; what only lifecycle
 * says, lifecycle's own order decides.
 */
import { objectAt, objectsAt, textAt, textsAt, timeAt, type EntryAt, type EntryPart } from './entry-part.js';
import type { NodeState, Registration } from './changes.js';
import type { Graph } from './graph.js';
import { PHASE, ROLE, type NodeKind, type OnOwnerLeave } from './kinds.js';
import type { Body } from '../events/separate.js';

/** Takes an entry into the graph. */
export function foldEntry(graph: Graph, part: EntryPart, at: EntryAt): void {
  const dot = part.type.indexOf('.');
  const what = part.type.slice(0, dot);
  const happened = part.type.slice(dot + 1);
  switch (what) {
    case 'decision':
      if (happened === 'made') foldDecision(graph, part, at);
      return;
    case 'token':
      return foldToken(graph, part, happened, at);
    case 'session':
      return foldSession(graph, part, happened, at);
    case 'agent':
    case 'client':
    case 'tool':
      return foldRegistration(graph, part, what, happened, at);
    case 'grant':
      return foldGrant(graph, part, happened, at);
    case 'delegation':
      return foldDelegation(graph, part, happened, at);
    case 'principal':
      return foldPrincipal(graph, part, happened, at);
    case 'point':
      return foldPoint(graph, part, happened, at);
    case 'registration':
      return foldCheck(graph, part, happened, at);
  }
}

/** The nodes that an event names, one method for each kind. */
class Mentions {
  /** Whether to be named here is to be used. */
  readonly #areUses: boolean;

  constructor(
    readonly graph: Graph,
    readonly part: EntryPart,
    readonly at: EntryAt,
  ) {
    this.#areUses = part.type === 'decision.made';
  }

  node(kind: NodeKind, id: string | undefined, issuer = ''): number {
    return id === undefined ? -1 : this.#mention(kind, issuer, id);
  }

  nodes(kind: NodeKind, ids: readonly string[]): number[] {
    return ids.map((id) => this.node(kind, id));
  }

  person(pointer: string): number {
    for (const { pointer: where, subject } of this.part.persons) {
      if (where === pointer) return this.#mention('principal', '', subject);
    }
    return -1;
  }

  persons(matches: (pointer: string) => boolean): number[] {
    const found: number[] = [];
    for (const { pointer, subject } of this.part.persons) {
      if (matches(pointer)) found.push(this.#mention('principal', '', subject));
    }
    return found;
  }

  hang(parent: number, child: number, roles: number): void {
    if (parent >= 0 && child >= 0) this.graph.hang(parent, child, roles, this.at.atUs);
  }

  use(user: number, used: number): void {
    if (user >= 0 && used >= 0) this.graph.use(user, used, this.at.atUs);
  }

  /** The entry is about a node, and says how it is from now on. */
  note(node: number, state?: NodeState): void {
    if (node >= 0) this.graph.note({ node, ...this.at, type: this.part.type, state });
  }

  tell(node: number, state: NodeState): void {
    this.graph.tell(node, this.at.index, this.at.atUs, state);
    this.note(node, state);
  }

  #mention(kind: NodeKind, issuer: string, id: string | Uint8Array): number {
    const node = this.graph.mention(kind, issuer, id, this.at.atUs);
    if (this.#areUses) this.graph.noteUse(node, this.at.atUs);
    return node;
  }
}

const isHop = (pointer: string): boolean => pointer.startsWith('/delegation_chain/');

/** A token by (issuer, jti), else by digest; −1 where the event names none. What names it in every event about it: its own claims. */
function mentionToken(mentions: Mentions, token: Body | undefined): number {
  const { graph } = mentions;
  const jti = textAt(token, 'jti');
  const digest = textAt(token, 'digest')?.toLowerCase();
  const id = jti ?? digest;
  if (id === undefined) return -1;
  const issuer = textAt(token, 'issuer') ?? '';
  const node = mentions.node('token', id, jti === undefined ? '' : issuer);
  graph.describeToken(
    node,
    timeAt(token, 'issued_at'),
    timeAt(token, 'expires_at'),
    jti === undefined ? undefined : digest,
  );
  mentions.hang(mentions.person('/token/subject'), node, ROLE.names);
  mentions.hang(mentions.node('client', textAt(token, 'client_id'), issuer), node, ROLE.names);
  return node;
}

/** Everything beside its claims that an event says of a token. */
function hangToken(mentions: Mentions, token: number, issuer: string, roles: number): void {
  const { body } = mentions.part;
  const hang = (parent: number): void => mentions.hang(parent, token, roles);
  hang(mentions.node('agent', textAt(body, 'agent')));
  hang(mentions.node('client', textAt(body, 'client'), issuer));
  hang(mentions.node('grant', textAt(body, 'grant'), issuer));
  hang(mentions.node('delegation', textAt(body, 'delegation')));
  for (const hop of objectsAt(body, 'delegation_chain')) {
    hang(mentions.node('agent', textAt(hop, 'agent')));
    hang(mentions.node('client', textAt(hop, 'client'), issuer));
    hang(mentions.node('grant', textAt(hop, 'grant'), issuer));
    hang(mentions.node('delegation', textAt(hop, 'delegation')));
  }
  for (const person of mentions.persons(isHop)) hang(person);
  mentions.hang(mentions.node('point', textAt(body, 'point')), token, ROLE.caches);
}

function foldDecision(graph: Graph, part: EntryPart, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const token = objectAt(body, 'token');
  const node = mentionToken(mentions, token);
  const issuer = textAt(token, 'issuer') ?? '';
  const context = objectAt(body, 'context');
  const users = mentions.persons((pointer) => pointer === '/user' || pointer === '/user_context/principal');
  const agent = mentions.node('agent', textAt(body, 'agent'));
  if (node >= 0) {
    hangToken(mentions, node, issuer, ROLE.context);
    const sessions = [textAt(context, 'session_id'), textAt(objectAt(body, 'user_context') ?? {}, 'sso_session')];
    for (const session of sessions) mentions.hang(mentions.node('session', session, issuer), node, ROLE.context);
    if (body.decision === 'allow') graph.accept(node, at.atUs);
    // Whom it served, where the token itself does not say: an agent's own token serves many.
    const subject = mentions.person('/token/subject');
    for (const user of users) if (user !== subject) mentions.hang(user, node, ROLE.served);
  }
  const used = [
    mentions.node('tool', textAt(body, 'tool')),
    mentions.node('environment', textAt(context, 'environment')),
  ];
  for (const thing of used) {
    mentions.use(agent, thing);
    for (const user of users) mentions.use(user, thing);
  }
  for (const user of users) mentions.use(user, agent);
  mentions.use(agent, mentions.node('client', textAt(body, 'client'), issuer));
}

function foldToken(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const token = objectAt(body, 'token');
  const node = mentionToken(mentions, token);
  if (node < 0) return;
  if (happened === 'expired') return graph.endToken(node, at.atUs);
  graph.accept(node, at.atUs);
  const issuer = textAt(token, 'issuer') ?? '';
  hangToken(mentions, node, issuer, ROLE.names);
  mentions.hang(mentions.node('session', textAt(body, 'session_id'), issuer), node, ROLE.names);
  mentions.hang(mentions.node('parent', textAt(body, 'parent')), node, ROLE.names);
  mentions.hang(mentions.person('/user'), node, ROLE.user);
  const agent = mentions.node('agent', textAt(body, 'agent'));
  mentions.use(agent, mentions.node('tool', textAt(body, 'tool')));
  mentions.use(agent, mentions.node('environment', textAt(body, 'environment')));
}

function foldSession(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const issuer = textAt(body, 'issuer') ?? '';
  const session = mentions.node('session', textAt(body, 'session_id'), issuer);
  if (session < 0) return;
  const phase = happened === 'ended' ? PHASE.ended : PHASE.registered;
  const state = { phase, expiresUs: timeAt(body, 'expires_at') };
  graph.tellSession(session, state);
  mentions.note(session, state);
  mentions.hang(mentions.person('/user'), session, ROLE.names);
  mentions.hang(mentions.node('session', textAt(body, 'parent'), issuer), session, ROLE.names);
  mentions.hang(mentions.node('agent', textAt(body, 'agent')), session, ROLE.names);
  mentions.hang(mentions.node('client', textAt(body, 'client'), issuer), session, ROLE.names);
  mentions.hang(mentions.node('environment', textAt(body, 'environment')), session, ROLE.related);
  const token = mentionToken(mentions, objectAt(body, 'token'));
  mentions.hang(session, token, ROLE.context);
  mentions.hang(mentions.node('point', textAt(body, 'point')), token, ROLE.caches);
}

function foldRegistration(
  graph: Graph,
  part: EntryPart,
  kind: 'agent' | 'client' | 'tool',
  happened: string,
  at: EntryAt,
): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const issuer = kind === 'client' ? (textAt(body, 'issuer') ?? '') : '';
  const node = mentions.node(kind, textAt(body, kind), issuer);
  if (node < 0) return;
  mentions.tell(node, {
    phase: phaseAfter(happened, graph.phase(node)),
    expiresUs: timeAt(body, 'expires_at'),
    registration: happened === 'retired' ? graph.registration(node) : registrationOf(mentions, node),
  });
  mentions.hang(mentions.node('environment', textAt(body, 'environment')), node, ROLE.related);
  if (kind === 'client') mentions.hang(mentions.node('agent', textAt(body, 'agent')), node, ROLE.related);
  if (kind !== 'agent') return;
  const proof = objectAt(body, 'agent_identity');
  // The same agent by the name that its certificate has.
  mentions.hang(node, mentions.node('agent', textAt(proof, 'spiffe_id')), ROLE.names);
  for (const client of [textAt(body, 'client'), textAt(proof, 'client_id')]) {
    mentions.hang(node, mentions.node('client', client), ROLE.related);
  }
  for (const tool of mentions.nodes('tool', textsAt(body, 'tools'))) mentions.hang(tool, node, ROLE.related);
}

/** An attestation, or whatever else is told of it, leaves a registration as far as it was. */
function phaseAfter(happened: string, before: number): number {
  if (happened === 'retired') return PHASE.ended;
  if (happened === 'approved') return PHASE.approved;
  return happened === 'registered' || before === PHASE.ended ? PHASE.registered : Math.max(before, PHASE.registered);
}

/** What the event leaves open stays as it was. */
function registrationOf(mentions: Mentions, node: number): Registration {
  const before = mentions.graph.registration(node);
  const owner = mentions.person('/owner');
  const successor = mentions.person('/successor');
  return {
    owner: owner < 0 ? before.owner : owner,
    successor: successor < 0 ? before.successor : successor,
    onOwnerLeave: (textAt(mentions.part.body, 'on_owner_leave') as OnOwnerLeave | undefined) ?? before.onOwnerLeave,
    riskLevel: textAt(mentions.part.body, 'risk_level') ?? before.riskLevel,
  };
}

function foldGrant(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const issuer = textAt(body, 'issuer') ?? '';
  const grant = mentions.node('grant', textAt(body, 'grant'), issuer);
  if (grant < 0) return;
  mentions.tell(grant, {
    phase: happened === 'withdrawn' ? PHASE.ended : PHASE.registered,
    expiresUs: timeAt(body, 'expires_at'),
  });
  mentions.hang(mentions.person('/principal'), grant, ROLE.names);
  mentions.hang(mentions.node('agent', textAt(body, 'agent')), grant, ROLE.names);
  mentions.hang(mentions.node('client', textAt(body, 'client'), issuer), grant, ROLE.names);
  mentions.hang(mentions.node('session', textAt(body, 'session_id'), issuer), grant, ROLE.names);
  mentions.hang(mentions.node('environment', textAt(body, 'environment')), grant, ROLE.related);
  for (const tool of mentions.nodes('tool', textsAt(body, 'tools'))) mentions.hang(tool, grant, ROLE.related);
}

function foldDelegation(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const delegation = mentions.node('delegation', textAt(body, 'delegation'));
  if (delegation < 0) return;
  mentions.tell(delegation, {
    phase: happened === 'ended' ? PHASE.ended : PHASE.registered,
    expiresUs: timeAt(body, 'expires_at'),
  });
  // It ends with whoever gave it, and with whoever it was given to.
  for (const pointer of ['/from', '/to']) mentions.hang(mentions.person(pointer), delegation, ROLE.names);
  for (const member of ['from_agent', 'to_agent']) {
    mentions.hang(mentions.node('agent', textAt(body, member)), delegation, ROLE.names);
  }
  mentions.hang(mentions.node('client', textAt(body, 'client')), delegation, ROLE.names);
  mentions.hang(mentions.node('delegation', textAt(body, 'parent')), delegation, ROLE.names);
  mentions.hang(mentions.node('environment', textAt(body, 'environment')), delegation, ROLE.related);
  for (const tool of mentions.nodes('tool', textsAt(body, 'tools'))) mentions.hang(tool, delegation, ROLE.related);
}

function foldPrincipal(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const mentions = new Mentions(graph, part, at);
  const principal = mentions.person('/principal');
  if (principal < 0) return;
  // Whether they are with the company; a change of group or name says nothing of that.
  if (happened === 'offboarded') mentions.tell(principal, { phase: PHASE.ended, expiresUs: 0 });
  else if (happened === 'joined' || happened === 'reinstated') {
    mentions.tell(principal, { phase: PHASE.registered, expiresUs: 0 });
  } else mentions.note(principal);
  const aliases = new Set(mentions.persons((pointer) => pointer.startsWith('/aliases/')));
  aliases.delete(principal);
  for (const alias of aliases) {
    if (happened === 'linked') graph.link({ source: part.producer, alias, principal, ...at });
    if (happened === 'unlinked') graph.unlink(principal, alias, at.atUs);
    if (happened === 'linked' || happened === 'unlinked') mentions.note(alias);
  }
  if (happened !== 'linked') return;
  for (const issuer of textsAt(part.body, 'absent_issuers')) graph.addAbsent(principal, issuer);
}

function foldPoint(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const mentions = new Mentions(graph, part, at);
  const point = mentions.node('point', textAt(body, 'point'));
  if (point < 0) return;
  // One of its instances comes and goes; the point stays.
  if (textAt(body, 'instance') !== undefined) mentions.note(point);
  else mentions.tell(point, { phase: happened === 'retired' ? PHASE.ended : PHASE.registered, expiresUs: 0 });
  mentions.hang(mentions.node('environment', textAt(body, 'environment')), point, ROLE.related);
  for (const tool of mentions.nodes('tool', textsAt(body, 'tools'))) mentions.hang(tool, point, ROLE.related);
}

/** `registration.verified`, `.failed`: part of the history of what was registered. */
function foldCheck(graph: Graph, part: EntryPart, happened: string, at: EntryAt): void {
  const { body } = part;
  const { index: registration } = body;
  const mentions = new Mentions(graph, part, at);
  for (const kind of ['agent', 'client', 'tool'] as const) {
    const issuer = kind === 'client' ? (textAt(body, 'issuer') ?? '') : '';
    const node = mentions.node(kind, textAt(body, kind), issuer);
    mentions.note(node);
    if (node < 0 || typeof registration !== 'bigint') continue;
    graph.judge({
      node,
      ...at,
      registration,
      isVerified: happened === 'verified',
      method: textAt(body, 'method'),
      code: textAt(body, 'code'),
      expiresUs: timeAt(body, 'expires_at'),
    });
  }
}

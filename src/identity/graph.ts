/**
 * The identity graph in memory: nodes, what hangs on what, who used what, who is one human. It only takes what entries say, in any
 * interleaving of the logs, and collects what that changed (`Changes`), for the database. What is over is dropped once nothing hangs on
 * it (sweep.ts), and comes back out of the tables when an entry names it again (load.ts).
 */
import { Changes, keepEarliest, type HistoryRow, type NodeState, type Registration } from './changes.js';
import { Column, Columns } from './column.js';
import { Edges } from './edges.js';
import { PASSING_KINDS, PHASE, ROLE, ROLES, SCOPED_KINDS, type NodeKind } from './kinds.js';
import { Links, type Link } from './links.js';
import { Nodes } from './nodes.js';
import { TokenSums } from './sums.js';
import { TimeColumn } from './time-column.js';
import { Touched } from './touched.js';
import { Uses } from './uses.js';
import type { VerdictRow } from './verdicts.js';

const NOBODY: Registration = { owner: -1, successor: -1, onOwnerLeave: undefined, riskLevel: undefined };

/** What may make an order grow, or say more of what it leaves: also a token that goes on, for it serves others, too. */
const TELLING_ROLES = ROLE.names | ROLE.user | ROLE.context | ROLE.served;

/** For each role: none. */
const NO_TIMES: readonly number[] = ROLES.map(() => 0);

const FLAG = { phase: 3, dirty: 4, exchanged: 8 } as const;

export class Graph {
  readonly nodes = new Nodes();
  readonly edges = new Edges();
  readonly uses = new Uses();
  readonly links = new Links();
  /** What something was attached to, or was told of anew. */
  readonly touched = new Touched();
  readonly sums = new TokenSums(this);
  readonly registrations = new Map<number, Registration>();
  readonly #owned = new Map<number, Set<number>>();
  readonly #flags = new Column(Uint8Array);
  readonly #firstUs = new Column(Float64Array);
  readonly #issuedUs = new TimeColumn();
  readonly #expiresUs = new TimeColumn();
  /** Of a token: when a point first took it, whole seconds; 0: none did. */
  readonly #acceptedSeconds = new Column(Uint32Array);
  /** The last day on which a decision named it, since 1970; 0: none did. */
  readonly #usedDays = new Column(Uint16Array);
  /** Of a token with a jti: 32 bits to know its digest by; 0, or beyond its end: none. As long as the last token that has one. */
  readonly #digests = new Column(Int32Array);
  /** Issuers of tokens, and whether any token says what it was exchanged for. */
  readonly #tokenIssuers = new Set<string>();
  #anyExchanged = false;
  /** What is kept of every node. */
  readonly #columns = new Columns(
    this.#flags,
    this.#firstUs,
    this.#issuedUs,
    this.#expiresUs,
    this.#acceptedSeconds,
    this.#usedDays,
  );
  #changes = new Changes();

  /** The node of this name, at the time of an entry that names it. */
  mention(kind: NodeKind, issuer: string, id: string | Uint8Array, atUs: number): number {
    const { nodes } = this;
    const node = nodes.intern(kind, issuer, id);
    if (nodes.isNew) {
      this.#columns.reserve(nodes.end);
      this.#firstUs.array[node] = atUs;
      this.#changes.fresh.add(node);
      if (kind === 'token') this.#noteToken(node, issuer, id);
      else if (kind === 'parent') this.#noteParent(id);
    } else if (atUs < this.#firstUs.array[node]!) this.#firstUs.array[node] = atUs;
    else return node;
    this.#touch(node);
    if (issuer !== '' && SCOPED_KINDS.has(kind)) this.hang(this.mention(kind, '', id, atUs), node, ROLE.names, atUs);
    return node;
  }

  /** One node hangs on another, as an entry of this time says. */
  hang(parent: number, child: number, roles: number, atUs: number): void {
    if (parent === child) return;
    const isToken = this.nodes.kind(child) === 'token';
    const edge = this.edges.add(parent, child, roles, atUs, isToken);
    if (edge < 0) return;
    if (isToken) this.sums.hear(edge, roles);
    let since = this.#changes.edges.get(edge);
    if (since === undefined) this.#changes.edges.set(edge, (since = NO_TIMES.slice()));
    for (let left = roles; left !== 0; left &= left - 1) {
      const role = 31 - Math.clz32(left & -left);
      if (since[role] === 0 || atUs < since[role]!) since[role] = atUs;
    }
    if ((roles & TELLING_ROLES) !== 0) this.touched.add(parent);
  }

  use(user: number, used: number, atUs: number): void {
    const use = this.uses.add(user, used, atUs);
    if (use >= 0) this.#changes.uses.add(use);
  }

  /** A decision of this time names a node. */
  noteUse(node: number, atUs: number): void {
    const day = Math.floor(atUs / DAY_US);
    if (day <= this.#usedDays.array[node]!) return;
    this.#usedDays.array[node] = day;
    this.sums.noteUse(node, day);
    this.#touch(node);
  }

  /** What an entry says of a token itself; reports may differ: it counts as issued at the earliest, and ends at the latest time told. */
  describeToken(token: number, issuedUs: number, expiresUs: number, digest: string | undefined): void {
    const issued = this.#issuedUs.get(token);
    if (issuedUs !== 0 && (issued === 0 || issuedUs < issued)) {
      this.#issuedUs.set(token, issuedUs);
      this.#touch(token);
    }
    this.#extend(token, expiresUs);
    if (digest !== undefined) this.#addDigest(token, digest);
  }

  /** An enforcement point took the token for good. */
  accept(token: number, atUs: number): void {
    const second = Math.floor(atUs / 1e6);
    const before = this.#acceptedSeconds.array[token]!;
    if (before !== 0 && second > before) return;
    this.#acceptedSeconds.array[token] = second;
    keepEarliest(this.#changes.accepted, token, atUs);
    this.#touch(token);
  }

  /** A token ends for good, whatever else is told. */
  endToken(token: number, atUs: number): void {
    this.#setPhase(token, PHASE.ended);
    this.sums.giveUp(token);
    keepEarliest(this.#changes.ended, token, atUs);
    this.#touch(token);
  }

  /** A session goes on, and ends for good; of several ends of its own the latest counts. */
  tellSession(session: number, { phase, expiresUs }: NodeState): void {
    if (phase > this.phase(session)) {
      this.#setPhase(session, phase);
      this.#touch(session);
    }
    this.#extend(session, expiresUs);
  }

  /** Lifecycle says how a node is from now on. Entries of lifecycle come in order: the last one counts. */
  tell(node: number, index: bigint, atUs: number, { phase, expiresUs, registration }: NodeState): void {
    this.#setPhase(node, phase);
    this.#expiresUs.set(node, expiresUs);
    const registered = this.#changes.told.get(node)?.registeredUs ?? 0;
    const isFirst = phase !== PHASE.ended && (registered === 0 || atUs < registered);
    this.#changes.told.set(node, { index, registeredUs: isFirst ? atUs : registered });
    this.#touch(node);
    if (registration !== undefined) this.register(node, registration);
  }

  register(node: number, registration: Registration): void {
    const before = this.registrations.get(node);
    if (before !== undefined && before.owner !== registration.owner) this.#owned.get(before.owner)?.delete(node);
    this.touched.add(node);
    this.registrations.set(node, registration);
    const owned = this.#owned.get(registration.owner);
    if (owned === undefined) this.#owned.set(registration.owner, new Set([node]));
    else owned.add(node);
  }

  link(link: Link): void {
    const before = this.links.add(link);
    if (before !== undefined) this.#changes.unlinked.set(before, link.atUs);
    this.#changes.linked.push(link);
    for (const person of [link.principal, link.alias, ...(before ? [before.principal] : [])]) this.touched.add(person);
  }

  unlink(principal: number, alias: number, atUs: number): void {
    for (const link of this.links.part(principal, alias)) {
      this.#changes.unlinked.set(link, atUs);
      for (const person of [link.principal, link.alias]) this.touched.add(person);
    }
  }

  addAbsent(principal: number, issuer: string): void {
    if (!this.links.addAbsent(principal, issuer)) return;
    this.#changes.absent.push({ principal, issuer });
    this.touched.add(principal);
  }

  note(row: HistoryRow): void {
    this.#changes.history.push(row);
  }

  judge(row: VerdictRow): void {
    this.#changes.verdicts.push(row);
  }

  /** What is registered with a person as its owner. */
  ownedBy(principal: number): ReadonlySet<number> {
    return this.#owned.get(principal) ?? NONE;
  }

  registration(node: number): Registration {
    return this.registrations.get(node) ?? NOBODY;
  }

  /** See `PHASE`. */
  phase(node: number): number {
    return this.#flags.array[node]! & FLAG.phase;
  }

  isEnded(node: number): boolean {
    return this.phase(node) === PHASE.ended;
  }

  isAccepted(node: number): boolean {
    return this.#acceptedSeconds.array[node] !== 0;
  }

  firstUs(node: number): number {
    return this.#firstUs.array[node]!;
  }

  /** Of a token; 0: not known. */
  issuedUs(node: number): number {
    return this.#issuedUs.get(node);
  }

  /** 0: it does not end by itself, as far as is known. */
  expiresUs(node: number): number {
    return this.#expiresUs.get(node);
  }

  /** Days since 1970; 0: no use is known. */
  usedDay(node: number): number {
    return this.#usedDays.array[node]!;
  }

  /** Whether other tokens say that they were exchanged for this one. */
  isExchanged(token: number): boolean {
    return this.#has(token, FLAG.exchanged);
  }

  /** The tokens of this id or digest, whoever issued them. */
  tokensOf(id: string | Uint8Array): number[] {
    return [...this.#tokenIssuers].map((issuer) => this.nodes.find('token', issuer, id)).filter((token) => token >= 0);
  }

  /** Whether it is still of use to somebody. */
  isLive(node: number, nowUs: number): boolean {
    const expiresUs = this.#expiresUs.get(node);
    return !this.isEnded(node) && (expiresUs === 0 || expiresUs > nowUs);
  }

  /** Whether the tables alone need to hold a node: it is over, or nothing was told of it, and nothing in memory hangs on it. */
  isPassed(node: number, nowUs: number): boolean {
    const { nodes, edges } = this;
    const kind = nodes.kind(node);
    if (!PASSING_KINDS.has(kind) || edges.hasChildren(node)) return false;
    if (kind === 'parent') return true;
    if (kind !== 'token') return this.phase(node) === PHASE.seen || !this.isLive(node, nowUs);
    return !this.isLive(node, nowUs) && !(this.isExchanged(node) && nodes.find('parent', '', nodes.id(node)) >= 0);
  }

  /** Forgets a node and its edges. Nothing may hang on it, and nothing of it may be waiting to be saved. */
  drop(node: number): void {
    if (this.nodes.kind(node) === 'parent') {
      for (const token of this.tokensOf(this.nodes.id(node))) this.#flags.array[token]! &= ~FLAG.exchanged;
    }
    this.sums.drop(node);
    this.edges.removeOf(node);
    this.nodes.remove(node);
    this.#columns.clear(node);
    this.#digests.clear(node);
  }

  /** Takes what was read from the database: nothing of it is a change. */
  restore(node: number, state: RestoredState): void {
    this.#flags.array[node] = (this.#flags.array[node]! & ~FLAG.phase) | state.phase;
    this.#digests.clear(node);
    if (state.digest !== undefined) this.#setDigest(node, shortOf(state.digest));
    this.#firstUs.array[node] = state.firstUs;
    this.#issuedUs.set(node, state.issuedUs);
    this.#expiresUs.set(node, state.expiresUs);
    this.#acceptedSeconds.array[node] = Math.floor(state.acceptedUs / 1e6);
    this.#usedDays.array[node] = state.usedDay;
    this.sums.giveUp(node);
  }

  /** Nodes made since the last `takeChanges`. */
  get nodesMade(): ReadonlySet<number> {
    return this.#changes.fresh;
  }

  /** What changed since the last call. */
  takeChanges(): Changes {
    const changes = this.#changes;
    this.#changes = new Changes();
    for (const node of changes.nodes) this.#flags.array[node]! &= ~FLAG.dirty;
    return changes;
  }

  get bytes(): number {
    const own = this.#columns.bytes + this.#digests.bytes;
    return own + this.nodes.bytes + this.edges.bytes + this.uses.bytes + this.touched.bytes + this.sums.bytes;
  }

  #noteToken(token: number, issuer: string, id: string | Uint8Array): void {
    this.#tokenIssuers.add(issuer);
    if (this.#anyExchanged && this.nodes.find('parent', '', id) >= 0) this.#flags.array[token]! |= FLAG.exchanged;
  }

  #noteParent(id: string | Uint8Array): void {
    this.#anyExchanged = true;
    for (const token of this.tokensOf(id)) {
      this.#flags.array[token]! |= FLAG.exchanged;
      this.sums.giveUp(token);
    }
  }

  /** A token has one digest. Where events tell of several, all are kept: somebody uses an id twice. */
  #addDigest(token: number, digest: string): void {
    const short = shortOf(digest);
    const before = this.#digests.array[token] ?? 0;
    if (before === short) return;
    if (before === 0) this.#setDigest(token, short);
    const digests = this.#changes.digests.get(token);
    if (digests === undefined) this.#changes.digests.set(token, [digest]);
    else if (!digests.includes(digest)) digests.push(digest);
    this.#touch(token);
  }

  #setDigest(token: number, short: number): void {
    this.#digests.reserve(token + 1);
    this.#digests.array[token] = short;
  }

  #has(node: number, flag: number): boolean {
    return (this.#flags.array[node]! & flag) !== 0;
  }

  #setPhase(node: number, phase: number): void {
    this.#flags.array[node] = (this.#flags.array[node]! & ~FLAG.phase) | phase;
  }

  #extend(node: number, expiresUs: number): void {
    const before = this.#expiresUs.get(node);
    if (expiresUs <= before) return;
    this.#expiresUs.set(node, expiresUs);
    this.sums.extend(node, before, expiresUs);
    // It may have been over already.
    if (before !== 0) this.touched.add(node);
    this.#touch(node);
  }

  #touch(node: number): void {
    if (this.#has(node, FLAG.dirty)) return;
    this.#flags.array[node]! |= FLAG.dirty;
    this.#changes.nodes.push(node);
  }
}

export interface RestoredState {
  readonly phase: number;
  readonly acceptedUs: number;
  readonly digest: string | undefined;
  readonly firstUs: number;
  readonly issuedUs: number;
  readonly expiresUs: number;
  readonly usedDay: number;
}

export const DAY_US = 86_400_000_000;

/** 32 bits to know a digest by, never 0. */
function shortOf(digest: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < digest.length; i++) h = Math.imul(h ^ digest.charCodeAt(i), 0x01000193);
  return h | 0 || 1;
}

const NONE: ReadonlySet<number> = new Set();

/**
 * The identity graph in memory: nodes, what hangs on what, who used what, who is one human. It only takes what entries say, in any
 * interleaving of the logs, and collects what that changed (`Changes`), for the database.
 */
import { Column } from './column.js';
import { Edges } from './edges.js';
import { ROLE, SCOPED_KINDS, type NodeKind, type OnOwnerLeave } from './kinds.js';
import { Links, type Link } from './links.js';
import { Nodes } from './nodes.js';
import { Touched } from './touched.js';
import { Uses } from './uses.js';

/** Who answers for an agent, a client or a tool, as its last registration or approval says. */
export interface Registration {
  /** A principal; −1: nobody was named. */
  readonly owner: number;
  /** A principal; −1: nobody was named. */
  readonly successor: number;
  readonly onOwnerLeave: OnOwnerLeave | undefined;
}

const NOBODY: Registration = { owner: -1, successor: -1, onOwnerLeave: undefined };

/** What an entry in lifecycle says of a node's own state. */
export interface Told {
  readonly ended: boolean;
  /** Microseconds since 1970; 0: never. */
  readonly expiresUs: number;
  readonly registration?: Registration;
}

/** One entry that is about a node. */
export interface HistoryRow {
  readonly node: number;
  readonly log: number;
  readonly index: bigint;
  readonly atUs: number;
  readonly type: string;
}

/** What folding changed since the last `takeChanges`. Nodes and edges are told by their numbers; they say how they are now. */
export interface Changes {
  readonly nodes: readonly number[];
  /** Nodes among these whose state was told, and by which entry of lifecycle. */
  readonly told: ReadonlyMap<number, bigint>;
  /** Edges whose child is no token; those of a token are changes of the token. */
  readonly edges: readonly number[];
  readonly uses: readonly number[];
  readonly digests: ReadonlyMap<number, readonly string[]>;
  readonly linked: ReadonlySet<Link>;
  readonly unlinked: readonly Link[];
  readonly absent: readonly { readonly principal: number; readonly issuer: string }[];
  readonly history: readonly HistoryRow[];
}

const FLAG = { ended: 1, accepted: 2, dirty: 4, exchanged: 8 } as const;

export class Graph {
  readonly nodes = new Nodes();
  readonly edges = new Edges();
  readonly uses = new Uses();
  readonly links = new Links();
  /** What something was attached to. */
  readonly touched = new Touched();
  readonly registrations = new Map<number, Registration>();
  readonly #owned = new Map<number, Set<number>>();
  readonly #flags = new Column(Uint8Array);
  readonly #firstUs = new Column(Float64Array);
  readonly #issuedUs = new Column(Float64Array);
  readonly #expiresUs = new Column(Float64Array);
  /** Issuers of tokens, and whether any token says what it was exchanged for. */
  readonly #tokenIssuers = new Set<string>();
  #anyExchanged = false;
  /** Of a token with a jti: 32 bits to know its digest by; 0: none. */
  readonly #digests = new Column(Int32Array);
  #changes = newChanges();

  /** The node of this name, at the time of an entry that names it. */
  mention(kind: NodeKind, issuer: string, id: string | Uint8Array, atUs: number): number {
    const { nodes } = this;
    const before = nodes.count;
    const node = nodes.intern(kind, issuer, id);
    if (node === before) {
      for (const column of this.#columns) column.reserve(nodes.count);
      this.#firstUs.array[node] = atUs;
      if (kind === 'token') this.#noteToken(node, issuer, id);
      else if (kind === 'parent') this.#noteParent(id);
    } else if (atUs < this.#firstUs.array[node]!) this.#firstUs.array[node] = atUs;
    else return node;
    this.#touch(node);
    if (issuer !== '' && SCOPED_KINDS.has(kind)) this.hang(this.mention(kind, '', id, atUs), node, ROLE.names);
    return node;
  }

  /** One node hangs on another. */
  hang(parent: number, child: number, roles: number): void {
    if (parent === child) return;
    const edge = this.edges.add(parent, child, roles);
    if (edge < 0) return;
    if (this.nodes.kind(child) === 'token') this.#touch(child);
    else this.#changes.edges.add(edge);
    if ((roles & (ROLE.names | ROLE.user)) !== 0) this.touched.add(parent);
  }

  use(user: number, used: number, atUs: number): void {
    const use = this.uses.add(user, used, atUs);
    if (use >= 0) this.#changes.uses.add(use);
  }

  /** What an entry says of a token itself; reports may differ: it counts as issued at the earliest, and ends at the latest time told. */
  describeToken(token: number, issuedUs: number, expiresUs: number, digest: string | undefined): void {
    const issued = this.#issuedUs.array[token]!;
    if (issuedUs !== 0 && (issued === 0 || issuedUs < issued)) {
      this.#issuedUs.array[token] = issuedUs;
      this.#touch(token);
    }
    this.#extend(token, expiresUs);
    if (digest !== undefined) this.#addDigest(token, digest);
  }

  /** An enforcement point took the token for good. */
  accept(token: number): void {
    this.#raise(token, FLAG.accepted);
  }

  /** Ends for good, whatever else is told: a session, a token. */
  end(node: number): void {
    this.#raise(node, FLAG.ended);
  }

  /** A session's own end; of several the latest. */
  expire(node: number, expiresUs: number): void {
    this.#extend(node, expiresUs);
  }

  /** Lifecycle says how a node is from now on. Entries of lifecycle come in order: the last one counts. */
  tell(node: number, index: bigint, { ended, expiresUs, registration }: Told): void {
    this.#flags.array[node] = (this.#flags.array[node]! & ~FLAG.ended) | (ended ? FLAG.ended : 0);
    this.#expiresUs.array[node] = expiresUs;
    this.#changes.told.set(node, index);
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
    if (before !== undefined) this.#changes.linked.delete(before);
    this.#changes.linked.add(link);
    for (const person of [link.principal, link.alias, ...(before ? [before.principal] : [])]) this.touched.add(person);
  }

  unlink(principal: number, alias: number): void {
    for (const link of this.links.part(principal, alias)) {
      this.#changes.linked.delete(link);
      this.#changes.unlinked.push(link);
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

  /** What is registered with a person as its owner. */
  ownedBy(principal: number): ReadonlySet<number> {
    return this.#owned.get(principal) ?? NONE;
  }

  registration(node: number): Registration {
    return this.registrations.get(node) ?? NOBODY;
  }

  isEnded(node: number): boolean {
    return this.#has(node, FLAG.ended);
  }

  isAccepted(node: number): boolean {
    return this.#has(node, FLAG.accepted);
  }

  firstUs(node: number): number {
    return this.#firstUs.array[node]!;
  }

  /** Of a token; 0: not known. */
  issuedUs(node: number): number {
    return this.#issuedUs.array[node]!;
  }

  /** 0: it does not end by itself, as far as is known. */
  expiresUs(node: number): number {
    return this.#expiresUs.array[node]!;
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
    const expiresUs = this.#expiresUs.array[node]!;
    return (this.#flags.array[node]! & FLAG.ended) === 0 && (expiresUs === 0 || expiresUs > nowUs);
  }

  /** Takes what was read from the database: nothing of it is a change. */
  restore(node: number, state: RestoredState): void {
    const { ended, accepted, digest, firstUs, issuedUs, expiresUs } = state;
    this.#flags.array[node] =
      (this.#flags.array[node]! & FLAG.exchanged) | (ended ? FLAG.ended : 0) | (accepted ? FLAG.accepted : 0);
    this.#digests.array[node] = digest === undefined ? 0 : shortOf(digest);
    this.#firstUs.array[node] = firstUs;
    this.#issuedUs.array[node] = issuedUs;
    this.#expiresUs.array[node] = expiresUs;
  }

  /** What changed since the last call. */
  takeChanges(): Changes {
    const changes = this.#changes;
    this.#changes = newChanges();
    for (const node of changes.nodes) this.#flags.array[node]! &= ~FLAG.dirty;
    return { ...changes, edges: [...changes.edges], uses: [...changes.uses] };
  }

  get bytes(): number {
    const own = this.#columns.reduce((sum, { bytes }) => sum + bytes, 0);
    return own + this.nodes.bytes + this.edges.bytes + this.uses.bytes;
  }

  #noteToken(token: number, issuer: string, id: string | Uint8Array): void {
    this.#tokenIssuers.add(issuer);
    if (this.#anyExchanged && this.nodes.find('parent', '', id) >= 0) this.#flags.array[token]! |= FLAG.exchanged;
  }

  #noteParent(id: string | Uint8Array): void {
    this.#anyExchanged = true;
    for (const token of this.tokensOf(id)) this.#flags.array[token]! |= FLAG.exchanged;
  }

  get #columns(): Column<Uint8Array | Float64Array | Int32Array>[] {
    return [this.#flags, this.#firstUs, this.#issuedUs, this.#expiresUs, this.#digests];
  }

  /** A token has one digest. Where events tell of several, all are kept: somebody uses an id twice. */
  #addDigest(token: number, digest: string): void {
    const short = shortOf(digest);
    if (this.#digests.array[token] === short) return;
    if (this.#digests.array[token] === 0) this.#digests.array[token] = short;
    const digests = this.#changes.digests.get(token);
    if (digests === undefined) this.#changes.digests.set(token, [digest]);
    else if (!digests.includes(digest)) digests.push(digest);
    this.#touch(token);
  }

  #has(node: number, flag: number): boolean {
    return (this.#flags.array[node]! & flag) !== 0;
  }

  #raise(node: number, flag: number): void {
    if (this.#has(node, flag)) return;
    this.#flags.array[node]! |= flag;
    this.#touch(node);
  }

  #extend(node: number, expiresUs: number): void {
    if (expiresUs <= this.#expiresUs.array[node]!) return;
    this.#expiresUs.array[node] = expiresUs;
    this.#touch(node);
  }

  #touch(node: number): void {
    if (this.#has(node, FLAG.dirty)) return;
    this.#flags.array[node]! |= FLAG.dirty;
    this.#changes.nodes.push(node);
  }
}

export interface RestoredState {
  readonly ended: boolean;
  readonly accepted: boolean;
  readonly digest: string | undefined;
  readonly firstUs: number;
  readonly issuedUs: number;
  readonly expiresUs: number;
}

/** 32 bits to know a digest by, never 0. */
function shortOf(digest: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < digest.length; i++) h = Math.imul(h ^ digest.charCodeAt(i), 0x01000193);
  return h | 0 || 1;
}

const NONE: ReadonlySet<number> = new Set();

const newChanges = () => ({
  nodes: [] as number[],
  told: new Map<number, bigint>(),
  edges: new Set<number>(),
  uses: new Set<number>(),
  digests: new Map<number, string[]>(),
  linked: new Set<Link>(),
  unlinked: [] as Link[],
  absent: [] as { principal: number; issuer: string }[],
  history: [] as HistoryRow[],
});

/**
 * The same world as people tell it: things that hang on things, and orders that hold things. No keys, no indexes, no increments: whatever is
 * asked is worked out from everything that was said, by looking through all of it until nothing new is found.
 */

/** A person by one of their names. */
export interface Name {
  readonly issuer: string;
  readonly id: string;
}

export interface Token {
  readonly n: number;
  /** What a guard can see in it. */
  readonly subject?: Name | undefined;
  readonly agent?: string | undefined;
  readonly client?: string | undefined;
  readonly grant?: string | undefined;
  readonly delegation?: string | undefined;
  readonly session?: string | undefined;
  readonly groups: readonly string[];
  /** What it is used for, which it does not stem from. */
  readonly tool?: string | undefined;
  readonly environment?: string | undefined;
  /** After how many happenings it was issued. */
  readonly issued: number;
  /** What only events say of it. */
  readonly user?: Name | undefined;
  /** The token it was exchanged for. */
  readonly parent?: number | undefined;
  /** It has no id; who sees it knows it by its digest. */
  readonly isNameless?: boolean;
}

export type Op =
  | { op: 'link' | 'unlink'; source: string; person: Name; alias: Name }
  | {
      op: 'register' | 'approve';
      agent: string;
      owner?: Name;
      mode?: 'block' | 'hold' | 'transfer';
      successor?: Name;
      client?: string;
    }
  | { op: 'grant'; grant: string; principal?: Name; agent?: string; session?: string }
  | { op: 'delegate'; delegation: string; from?: Name; fromAgent?: string; toAgent?: string; parent?: string }
  | { op: 'session'; session: string; user?: Name; agent?: string }
  | { op: 'see'; token: number }
  /** Somebody used it for something. */
  | { op: 'decide'; token: number; user?: Name }
  /** The graph takes in so much of what it was not told yet. */
  | { op: 'fold'; count: number }
  | { op: 'offboard'; source: string; principal: Name; scope?: 'source'; successor?: Name; in?: number }
  | { op: 'reinstate' | 'join'; source: string; principal: Name; in?: number }
  | { op: 'move'; source: string; principal: Name; removed: string[]; added: string[]; in?: number }
  /** The provider that the person signs in at says that they are out: of all sessions there. */
  | { op: 'sign_out'; principal: Name }
  | {
      op: 'request';
      principal?: Name;
      /** Of a person: what they hold as a member of this group alone. */
      group?: string;
      target?: Target;
      security: boolean;
      effect?: 'block' | 'cutoff';
      mode?: Mode;
      successor?: Name;
      in?: number;
    }
  | { op: 'lift'; nth: number }
  /** Of what waits, by an administrator or by the source that said it. */
  | { op: 'cancel'; nth: number; by: string }
  | { op: 'reschedule'; nth: number; by: string; in: number }
  /** By a second person. */
  | { op: 'approve_leave' | 'deny_leave'; nth: number }
  | { op: 'pass'; minutes: number };

export interface Target {
  readonly type: 'agent' | 'client' | 'token' | 'grant' | 'session' | 'delegation' | 'tool' | 'environment';
  /** Of a token: its number. */
  readonly value: string;
}

/** What becomes of what a leaver owns. */
export type Mode = 'revoke' | 'hold' | 'transfer';
/** What becomes of a thing: it ends; it waits for a new owner; what was issued up to now is refused. */
type End = 'ends' | 'waits' | 'cut';

/** When so many leave a source within an hour, more than this share of all it named, a second person is asked. */
export interface Valve {
  readonly count: number;
  readonly share: number;
}

const HELD_MINUTES = 15;
const BURST_MINUTES = 60;

export interface Policy {
  owns: string[];
  expects: string[];
  groupless: string[];
}

export const nameOf = ({ issuer, id }: Name): string => `principal/${issuer}/${id}`;
const memberOf = (person: string, group: string): string => `member/${person}/${group}`;

/** Who issues the tokens. */
export const AS = 'as';
/** Whose a session is, where that is said when it starts; of others tokens say it. */
export const issuerOf = (session: string | undefined): string | undefined => (session === 'session0' ? AS : undefined);

interface Order {
  /** The happening that put it in force, and after how many others it came into it. */
  since: number;
  began?: number;
  /** The minute until which it waits, and a bit, for of two the one that was said first comes first; and whether it does so for a second person. */
  due?: number | undefined;
  isHeld?: boolean;
  /** Whether a second person was ever asked. */
  wasHeld?: boolean;
  /** When it was to be, where that lay ahead. */
  planned?: number;
  readonly kind: 'leaver' | 'scope' | 'request' | 'mover' | 'group' | 'sign_out' | 'return';
  readonly source: string;
  readonly principal?: string;
  readonly target?: string;
  readonly security: boolean;
  /** Of a mover: what it took, and what it gave; of a request: what it is about. */
  readonly groups: string[];
  readonly given: string[];
  readonly effect: 'block' | 'cutoff';
  readonly mode?: Mode;
  readonly successor?: string;
  isOpen: boolean;
  /** Things it holds. */
  readonly held: Map<string, End>;
  subjects: Set<string>;
}

interface Registered {
  owner?: string;
  mode?: 'block' | 'hold' | 'transfer';
  successor?: string;
}

export class NaiveWorld {
  #edges: { source: string; person: string; alias: string }[] = [];
  readonly #registered = new Map<string, Registered>();
  readonly #clientOf: { agent: string; client: string }[] = [];
  /** parent → child: the child ends with the parent. */
  readonly #hangs: { parent: string; child: string }[] = [];
  readonly #seen = new Set<number>();
  /** Tokens of which only a use is known, so nothing but their own claims. */
  readonly #used = new Set<number>();
  /** What is said of tokens and sessions, when, and not known yet. */
  #unknown: { op: Op; at: number }[] = [];
  readonly #orders: Order[] = [];
  readonly #candidates = new Map<string, string>();
  readonly #newOwners = new Map<string, string>();
  /** What was issued before that happening is refused for good. */
  readonly #cut = new Map<string, number>();
  /** When grants and sessions were first spoken of. */
  readonly #began = new Map<string, number>();
  /** When sessions were first spoken of as those of who issues the tokens. */
  readonly #atIssuer = new Map<string, number>();
  /** How much has happened, and how many minutes went by. */
  #now = 0;
  #minute = 0;
  #begun = 0;
  /** By source: whom it ever named, and who left it when. */
  readonly #named = new Map<string, Set<string>>();
  readonly #left = new Map<string, Map<string, number>>();

  constructor(
    private readonly tokens: readonly Token[],
    private readonly ownsOf: (source: string) => readonly string[],
    private readonly valve: Valve,
    /** Whether what is said of tokens and sessions is known at once. */
    private readonly isPrompt: boolean,
  ) {}

  /** How many causes there are that a lift may name. */
  get orderCount(): number {
    return this.#orders.length;
  }

  say(op: Op): void {
    this.#now++;
    if ('source' in op) this.#name(op);
    if (!this.isPrompt && (op.op === 'see' || op.op === 'session' || op.op === 'decide')) {
      this.#unknown.push({ op, at: this.#now });
    } else this.#take(op, this.#now);
    this.#settle();
    for (let due = this.#nextDue(); due !== undefined; due = this.#nextDue()) {
      due.due = undefined;
      due.since = this.#now;
      this.#begin(due);
      this.#settle();
    }
  }

  /** What was to be first of what has come due. */
  #nextDue(): Order | undefined {
    const [first] = this.#orders
      .filter(({ due }) => due !== undefined && due <= this.#minute)
      .sort((a, b) => a.due! - b.due!);
    return first;
  }

  /** From now on it counts. */
  #begin(order: Order): void {
    if (order.kind === 'return') this.#giveBack(order);
    else {
      order.isOpen = true;
      order.began = ++this.#begun;
      if (order.kind === 'mover') this.#giveGroups(order);
    }
  }

  /** @param at the happening that said it. */
  #take(op: Op, at: number): void {
    const hang = (child: string, ...parents: (string | undefined)[]): void => {
      for (const parent of parents) if (parent !== undefined) this.#hangs.push({ parent, child });
    };
    const thing = (kind: string, id: string | undefined): string | undefined =>
      id === undefined ? undefined : `${kind}/${id}`;
    const person = (name: Name | undefined): string | undefined => name && nameOf(name);
    switch (op.op) {
      case 'link':
        this.#edges = this.#edges.filter((one) => one.source !== op.source || one.alias !== nameOf(op.alias));
        this.#edges.push({ source: op.source, person: nameOf(op.person), alias: nameOf(op.alias) });
        break;
      case 'unlink': {
        const others = this.humanOf(nameOf(op.person), nameOf(op.alias));
        this.#edges = this.#edges.filter(
          ({ person, alias }) =>
            !(alias === nameOf(op.alias) && others.has(person)) && !(person === nameOf(op.alias) && others.has(alias)),
        );
        break;
      }
      case 'register':
      case 'approve':
        this.#register(op);
        break;
      case 'grant':
        this.#first(`grant/${op.grant}`, at);
        this.#startSession(op.session, at);
        hang(`grant/${op.grant}`, person(op.principal), thing('agent', op.agent), thing('session', op.session));
        break;
      case 'delegate':
        hang(
          `delegation/${op.delegation}`,
          ...[person(op.from), thing('agent', op.fromAgent), thing('agent', op.toAgent)],
          op.parent === op.delegation ? undefined : thing('delegation', op.parent),
        );
        break;
      case 'session':
        this.#startSession(op.session, at);
        hang(`session/${op.session}`, person(op.user), thing('agent', op.agent));
        break;
      case 'see':
        this.#seen.add(op.token);
        this.#note(op.token, at);
        break;
      case 'decide':
        this.#used.add(op.token);
        this.#note(op.token, at);
        break;
      case 'fold':
        for (const known of this.#unknown.splice(0, op.count)) this.#take(known.op, known.at);
        break;
      case 'offboard':
        this.#offboard(op);
        break;
      case 'reinstate':
        this.#return(op);
        break;
      case 'join':
        // Only somebody whom this source let go can come back.
        if (this.#leaves(op.source).some(({ subjects }) => subjects.has(nameOf(op.principal)))) this.#return(op);
        break;
      case 'move':
        this.#move(op);
        break;
      case 'sign_out':
        this.#order({
          kind: 'sign_out',
          source: op.principal.issuer,
          principal: nameOf(op.principal),
          effect: 'cutoff',
        });
        break;
      case 'request':
        this.#order({
          kind: op.group === undefined ? 'request' : 'group',
          groups: op.group === undefined ? [] : [op.group],
          source: 'admin',
          security: op.security,
          effect: op.effect ?? 'block',
          ...(op.mode === undefined ? {} : { mode: op.mode }),
          ...(op.successor === undefined ? {} : { successor: nameOf(op.successor) }),
          ...this.#plan(op.in),
          ...(op.principal === undefined ? {} : { principal: nameOf(op.principal) }),
          ...(op.target === undefined ? {} : { target: `${op.target.type}/${op.target.value}` }),
        });
        break;
      case 'lift': {
        const order = this.#orders[op.nth];
        if (order?.isOpen === true) this.#lift(order);
        break;
      }
      case 'cancel':
      case 'reschedule':
      case 'approve_leave':
      case 'deny_leave':
        this.#answer(op);
        break;
      case 'pass':
        this.#minute += op.minutes;
        break;
    }
  }

  /** What a guard is to say of this token, from long ago or from when it was issued, and of another such one that is issued now. */
  verdict(token: Token): { fresh: boolean; issued: boolean; old: boolean } {
    const visible = [...this.#visible(token), `tool/${token.tool}`, `environment/${token.environment}`];
    const others = visible.filter((thing) => thing !== `token/${token.n}`);
    const isRefused = (things: string[], issued: number): boolean =>
      things.some((thing) => this.#isBlocked(thing) || (this.#cut.get(thing) ?? 0) > issued);
    return {
      fresh: isRefused(others, this.#now),
      issued: isRefused(visible, token.issued),
      old: isRefused(visible, 0),
    };
  }

  #isBlocked(thing: string): boolean {
    return this.#orders.some(({ isOpen, held }) => isOpen && (held.get(thing) ?? 'cut') !== 'cut');
  }

  /** Everybody who is the same human, as if `without` did not exist. */
  humanOf(person: string, without?: string): Set<string> {
    const human = new Set([person]);
    for (let size = 0; size < human.size;) {
      size = human.size;
      for (const { person, alias } of this.#edges) {
        if (human.has(person) && alias !== without) human.add(alias);
        if (human.has(alias) && person !== without) human.add(person);
      }
    }
    return human;
  }

  #register({ op, agent, owner, mode, successor, client }: Extract<Op, { op: 'register' | 'approve' }>): void {
    const name = `agent/${agent}`;
    const before = this.#registered.get(name) ?? {};
    this.#registered.set(name, {
      ...before,
      ...(owner === undefined ? {} : { owner: nameOf(owner) }),
      ...(mode === undefined ? {} : { mode }),
      ...(successor === undefined ? {} : { successor: nameOf(successor) }),
    });
    if (client !== undefined) this.#clientOf.push({ agent: name, client: `client/${client}` });
    const waits = this.#orders.some(({ isOpen, held }) => isOpen && held.get(name) === 'waits');
    if (!waits) return;
    if (op === 'register' && owner !== undefined) this.#candidates.set(name, nameOf(owner));
    const approved = owner === undefined ? this.#candidates.get(name) : nameOf(owner);
    if (op === 'approve' && approved !== undefined) this.#newOwners.set(name, approved);
  }

  /** Whom a source names, and who leaves it. */
  #name(op: Extract<Op, { source: string }>): void {
    const of = <T>(all: Map<string, T>, fresh: T): T => all.set(op.source, all.get(op.source) ?? fresh).get(op.source)!;
    const name = nameOf('person' in op ? op.person : op.principal);
    of(this.#named, new Set<string>()).add(name);
    if (op.op === 'offboard') of(this.#left, new Map<string, number>()).set(name, this.#minute);
  }

  #plan(minutes: number | undefined): Partial<Order> {
    if (minutes === undefined) return {};
    const due = this.#minute + minutes + this.#bit();
    return { isOpen: false, due, planned: due };
  }

  #bit = (): number => this.#now / 1e6;

  #offboard(op: Extract<Op, { op: 'offboard' }>): void {
    const { source } = op;
    const kind = op.scope === 'source' ? 'scope' : 'leaver';
    const principal = nameOf(op.principal);
    // A source's last word on when somebody leaves is the one that counts.
    for (const order of this.#leaves(source)) {
      if (order.due !== undefined && order.wasHeld !== true && order.kind === kind && order.principal === principal) {
        order.due = undefined;
      }
    }
    const leavers = [...this.#left.get(source)!.values()].filter((minute) => minute > this.#minute - BURST_MINUTES);
    const isBurst =
      leavers.length > this.valve.count && leavers.length > this.valve.share * this.#named.get(source)!.size;
    const plan = this.#plan(op.in);
    const until = Math.max(this.#minute + HELD_MINUTES + this.#bit(), plan.planned ?? 0);
    this.#order({
      ...{ kind, source, principal },
      ...(op.successor === undefined ? {} : { successor: nameOf(op.successor) }),
      ...plan,
      ...(isBurst ? { isOpen: false, due: until, isHeld: true, wasHeld: true } : {}),
    });
  }

  /** Somebody changes or ends what waits. */
  #answer(op: Extract<Op, { op: 'cancel' | 'reschedule' | 'approve_leave' | 'deny_leave' }>): void {
    const order = this.#orders[op.nth];
    if (order?.due === undefined) return;
    const isHeld = order.isHeld === true;
    if ('by' in op && op.by !== 'admin' && (op.by !== order.source || order.wasHeld === true || order.security)) return;
    if (op.op === 'cancel') order.due = undefined;
    else if (op.op === 'reschedule') {
      if (!isHeld) order.due = order.planned = this.#minute + op.in + this.#bit();
    } else if (isHeld) {
      order.isHeld = false;
      order.due = op.op === 'deny_leave' ? undefined : (order.planned ?? 0);
    }
  }

  #order(more: Pick<Order, 'kind' | 'source'> & Partial<Order>): void {
    const order = this.#make(more);
    this.#orders.push(order);
    if (order.isOpen) this.#begin(order);
  }

  #make(more: Pick<Order, 'kind' | 'source'> & Partial<Order>): Order {
    return {
      ...{ since: this.#now, security: false, groups: [], given: [], isOpen: true, held: new Map() },
      effect: 'block',
      subjects: new Set(more.principal === undefined ? [] : [more.principal]),
      ...more,
    };
  }

  /** What lets somebody go, or will, whoever's word it is. */
  #leaves(source?: string): Order[] {
    return this.#orders.filter(
      ({ isOpen, kind, principal, security, effect, ...order }) =>
        (isOpen || order.due !== undefined) &&
        effect === 'block' &&
        (kind === 'leaver' || kind === 'scope' || (kind === 'request' && principal !== undefined)) &&
        (source === undefined || (order.source === source && !security)),
    );
  }

  #hasLeft = (person: string): boolean => {
    const human = this.humanOf(person);
    // Of who is yet to leave nothing is known but the name.
    return this.#leaves().some(({ isOpen, subjects }) =>
      isOpen ? [...human].some((one) => subjects.has(one)) : subjects.has(person),
    );
  };

  #return(op: Extract<Op, { op: 'reinstate' | 'join' }>): void {
    const order = this.#make({
      ...{ kind: 'return', source: op.source, principal: nameOf(op.principal) },
      ...this.#plan(op.in),
    });
    // Who is to leave before they come back leaves all the same.
    this.#callOff(order, ({ due }) => order.due === undefined || due! >= order.due);
    if (order.due === undefined) this.#giveBack(order);
    else this.#orders.push(order);
  }

  /** What that source said before, of who comes back by it. */
  #leavesBefore(back: Order): Order[] {
    const at = this.#orders.indexOf(back);
    return this.#leaves(back.source).filter((order) => at < 0 || this.#orders.indexOf(order) < at);
  }

  #callOff(back: Order, isMeant: (leave: Order) => boolean): void {
    for (const order of this.#leavesBefore(back)) {
      if (order.due !== undefined && order.principal === back.principal && isMeant(order)) order.due = undefined;
    }
  }

  #giveBack(back: Order): void {
    this.#callOff(back, () => true);
    const human = this.humanOf(back.principal!);
    for (const order of this.#leavesBefore(back)) {
      if (order.isOpen && [...order.subjects].some((one) => human.has(one))) this.#lift(order);
    }
  }

  #lift(order: Order): void {
    order.isOpen = false;
    for (const thing of order.held.keys()) this.#letGo(order, thing);
  }

  /** Whatever was issued until now under what comes back stays refused. */
  #letGo(order: Order, thing: string): void {
    if ((order.held.get(thing) ?? 'cut') !== 'cut') this.#cut.set(thing, this.#now);
    order.held.delete(thing);
  }

  #note(token: number, at: number): void {
    const { grant, session } = this.tokens[token] ?? {};
    this.#first(`grant/${grant}`, at);
    this.#startSession(session, at, AS);
  }

  #startSession(session: string | undefined, at: number, issuer = issuerOf(session)): void {
    this.#first(`session/${session}`, at);
    if (issuer === AS) this.#first(`session/${session}`, at, this.#atIssuer);
  }

  #first(thing: string, at: number, times = this.#began): void {
    times.set(thing, Math.min(at, times.get(thing) ?? Infinity));
  }

  #move({ source, principal, removed, added, in: minutes }: Extract<Op, { op: 'move' }>): void {
    const given = added.filter((group) => !removed.includes(group));
    const groups = removed.filter((group) => !added.includes(group));
    const wasLost = this.#movers(source).some(
      (one) => one.subjects.has(nameOf(principal)) && one.groups.some((group) => given.includes(group)),
    );
    if (groups.length === 0 && !wasLost) return;
    this.#order({ kind: 'mover', source, principal: nameOf(principal), groups, given, ...this.#plan(minutes) });
  }

  /** That are or were in force, or wait. */
  #movers = (source: string): Order[] =>
    this.#orders.filter((order) => order.kind === 'mover' && order.source === source);

  /** Who has a group again has it by every name. Only what was said later gives back what was taken. */
  #giveGroups(order: Order): void {
    const human = this.humanOf(order.principal!);
    for (const earlier of this.#movers(order.source)) {
      if (earlier === order) break;
      if (!earlier.isOpen || ![...earlier.subjects].some((one) => human.has(one))) continue;
      for (const one of human) for (const group of order.given) this.#letGo(earlier, memberOf(one, group));
    }
  }

  /** What a mover took and the same source did not give the same person again: said later, and in force later. */
  #stillLost(order: Order, human: Set<string>): string[] {
    const later = this.#orders.slice(this.#orders.indexOf(order) + 1).filter((one) => {
      const isThere = one.isOpen && one.kind === 'mover' && one.source === order.source && one.began! > order.began!;
      return isThere && [...one.subjects].some((subject) => human.has(subject));
    });
    return order.groups.filter((group) => !later.some(({ given }) => given.includes(group)));
  }

  /** Every order in force takes in what it has to hold now, and lets go what it holds wrongly. */
  #settle(): void {
    for (let again = true; again;) {
      again = false;
      for (const order of this.#orders) if (order.isOpen && this.#settleOne(order)) again = true;
    }
  }

  #settleOne(order: Order): boolean {
    const before = JSON.stringify([...order.held]);
    const human = order.principal === undefined ? new Set<string>() : this.humanOf(order.principal);
    const gone = [...order.subjects].filter((one) => !human.has(one));
    // First whom it is about: whoever is somebody else by now has not left with them.
    if (order.principal !== undefined) order.subjects = human;
    const wanted = this.#wanted(order, human);
    for (const [thing, how] of wanted) if ((order.held.get(thing) ?? 'cut') === 'cut') order.held.set(thing, how);
    const lost = this.#lost(order, new Set(gone));
    for (const [thing, how] of order.held) {
      if (wanted.has(thing) || how === 'cut') continue;
      const owner = this.#newOwners.get(thing);
      const isTakenOver = how === 'waits' && owner !== undefined && !human.has(owner) && !this.#hasLeft(owner);
      if (lost.has(thing) || isTakenOver) this.#letGo(order, thing);
    }
    for (const [thing, how] of order.held) {
      if (how === 'cut') this.#cut.set(thing, Math.max(order.since, this.#cut.get(thing) ?? 0));
    }
    return before !== JSON.stringify([...order.held]);
  }

  #wanted(order: Order, human: Set<string>): Map<string, End> {
    if (order.kind === 'mover') {
      const groups = this.#stillLost(order, human);
      return new Map([...human].flatMap((one) => groups.map((group) => [memberOf(one, group), 'ends' as const])));
    }
    if (order.kind === 'sign_out') return this.#signedOut(order, human);
    const owns = order.kind === 'scope' ? this.ownsOf(order.source) : undefined;
    const wanted = new Map<string, End>();
    const ends = order.effect === 'block' ? 'ends' : 'cut';
    if (order.kind === 'group') {
      return new Map([...human].flatMap((one) => order.groups.map((group) => [memberOf(one, group), ends])));
    }
    if (order.target !== undefined) wanted.set(order.target, ends);
    for (const one of human) if (owns === undefined || owns.includes(one.split('/')[1]!)) wanted.set(one, ends);
    const owned = order.kind === 'scope' || order.principal === undefined ? [] : this.#ownedBy(human);
    for (const agent of owned) {
      const end = this.#endOf(agent, human, order);
      if (end !== undefined) wanted.set(agent, ends === 'cut' ? 'cut' : end);
    }
    const roots = new Set([
      ...human,
      ...[...wanted.keys()].filter((thing) => thing.startsWith('agent/')),
      ...(order.target ? [order.target] : []),
    ]);
    // Of a source that owns only some issuers nothing ends that these did not give; nothing here has an issuer but persons.
    if (owns !== undefined) return wanted;
    const reach = this.#reachOf(roots);
    // Who has to sign in again can't do so with what was there before: it would go on by being refreshed.
    const isOver = (thing: string): boolean =>
      order.principal !== undefined && /^(grant|session)/.test(thing) && this.#began.get(thing)! <= order.since;
    for (const thing of reach) if (!roots.has(thing)) wanted.set(thing, isOver(thing) ? 'ends' : ends);
    for (const token of this.#tokensOf(reach)) {
      if (!this.#visible(token).some((thing) => wanted.has(thing))) wanted.set(`token/${token.n}`, ends);
    }
    return wanted;
  }

  /** By their names at the provider they have to sign in again, and sessions there that had begun are over. */
  #signedOut(order: Order, human: Set<string>): Map<string, End> {
    const signedOut = new Map<string, End>();
    for (const one of human) if (one.split('/')[1] === order.source) signedOut.set(one, 'cut');
    for (const one of order.source === AS ? this.#reachOf(human) : []) {
      const began = this.#atIssuer.get(one);
      if (began !== undefined) signedOut.set(one, began <= order.since ? 'ends' : 'cut');
    }
    return signedOut;
  }

  /** What belongs to names that turned out to be somebody else's. */
  #lost(order: Order, gone: Set<string>): Set<string> {
    const lost = new Set(gone);
    for (const one of gone) for (const group of order.groups) lost.add(memberOf(one, group));
    if (order.kind === 'mover' || order.kind === 'group' || gone.size === 0) return lost;
    const owned = order.kind === 'scope' || order.kind === 'sign_out' ? [] : this.#ownedBy(gone);
    for (const agent of owned) lost.add(agent);
    const ending = owned.filter((agent) => this.#endOf(agent, gone, order) !== undefined);
    const reach = this.#reachOf(new Set([...gone, ...ending]));
    for (const thing of reach) lost.add(thing);
    for (const token of this.#tokensOf(reach)) lost.add(`token/${token.n}`);
    return lost;
  }

  #ownedBy(human: Set<string>): string[] {
    return [...this.#registered]
      .filter(([, { owner }]) => owner !== undefined && human.has(owner))
      .map(([agent]) => agent);
  }

  #endOf(agent: string, human: Set<string>, order: Order): 'ends' | 'waits' | undefined {
    const registered = this.#registered.get(agent)!;
    const mode = order.mode ?? registered.mode;
    if (mode === 'hold') return 'waits';
    if (mode !== 'transfer') return 'ends';
    const heir = order.successor ?? registered.successor;
    return heir !== undefined && !human.has(heir) && !this.#hasLeft(heir) ? undefined : 'waits';
  }

  /** Everything that ends with the roots, themselves included, and clients that nobody else uses. */
  #reachOf(roots: Set<string>): Set<string> {
    const reach = new Set(roots);
    for (let size = -1; size < reach.size;) {
      size = reach.size;
      for (const { parent, child } of this.#hangs) if (reach.has(parent)) reach.add(child);
      for (const { client } of this.#clientOf) {
        const users = this.#clientOf.filter((one) => one.client === client).map(({ agent }) => agent);
        if (users.every((agent) => reach.has(agent))) reach.add(client);
      }
    }
    return reach;
  }

  /** Tokens that end with what was reached: they name it, are of somebody in it alone, or were exchanged for one that does. */
  #tokensOf(reach: Set<string>): Token[] {
    const isKnown = ({ n }: Token): boolean => this.#seen.has(n) || this.#used.has(n);
    const seen = this.tokens.filter(isKnown).map((token): Token => {
      const { n, subject, client, issued } = token;
      return this.#seen.has(n) ? token : { n, subject, client, issued, groups: [] };
    });
    const isForeign = ({ user }: Token): boolean => user !== undefined && !reach.has(nameOf(user));
    const names = (token: Token): boolean => this.#visible(token).some((thing) => reach.has(thing));
    const taken = new Set(
      seen.filter((token) => names(token) || (token.user !== undefined && reach.has(nameOf(token.user)))),
    );
    const isTaken = (n: number | undefined): boolean =>
      reach.has(`token/${n}`) || [...taken].some((one) => one.n === n);
    for (let size = -1; size < taken.size;) {
      size = taken.size;
      for (const token of seen) if (isTaken(token.parent)) taken.add(token);
    }
    return [...taken].filter((token) => names(token) || !isForeign(token));
  }

  /** The things that a guard which is shown a token knows it to stem from. */
  #visible({ n, subject, agent, client, grant, delegation, session, groups }: Token): string[] {
    const things = [`token/${n}`];
    if (subject !== undefined) things.push(nameOf(subject), ...groups.map((group) => memberOf(nameOf(subject), group)));
    for (const [kind, id] of Object.entries({ agent, client, grant, delegation, session })) {
      if (id !== undefined) things.push(`${kind}/${id}`);
    }
    return things;
  }
}

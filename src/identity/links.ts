/**
 * Who is one human. A link is one source's word that an alias is somebody's; a human is everybody connected by links. A source that
 * says the alias is somebody else's takes its earlier word back: an e-mail address that was given to another person.
 */

/** A source's word about an alias. Persons are nodes of the graph. */
export interface Link {
  /** The producer that said it. */
  readonly source: string;
  readonly alias: number;
  readonly principal: number;
  /** The entry that says it: its index in lifecycle, and its time (microseconds since 1970). */
  readonly index: bigint;
  readonly atUs: number;
}

export class Links {
  /** By person, the links that name them, either way. */
  readonly #of = new Map<number, Set<Link>>();
  /** `source \0 alias` → link. */
  readonly #bySource = new Map<string, Link>();
  /** By person: issuers where they have no account. */
  readonly #absent = new Map<number, Set<string>>();

  /** Takes a link, in place of what the same source said of the same alias. Answers what it took the place of. */
  add(link: Link): Link | undefined {
    const name = nameOf(link);
    const before = this.#bySource.get(name);
    if (before !== undefined) this.#drop(before);
    this.#bySource.set(name, link);
    for (const person of [link.alias, link.principal]) {
      const links = this.#of.get(person);
      if (links === undefined) this.#of.set(person, new Set([link]));
      else links.add(link);
    }
    return before;
  }

  /** Parts an alias from everybody whom a person is connected with otherwise. Answers the links that are gone. */
  part(principal: number, alias: number): Link[] {
    const others = this.#connected(principal, alias);
    const gone = [...(this.#of.get(alias) ?? [])].filter((link) =>
      others.has(link.alias === alias ? link.principal : link.alias),
    );
    for (const link of gone) {
      this.#drop(link);
      this.#bySource.delete(nameOf(link));
    }
    return gone;
  }

  /** Notes that a person has no account at an issuer. True where that is new. */
  addAbsent(principal: number, issuer: string): boolean {
    const absent = this.#absent.get(principal);
    if (absent === undefined) this.#absent.set(principal, new Set([issuer]));
    else if (absent.has(issuer)) return false;
    else absent.add(issuer);
    return true;
  }

  /** Everybody who is the same human, the person themselves first. */
  humanOf(person: number): number[] {
    return [...this.#connected(person)];
  }

  absentOf(person: number): ReadonlySet<string> {
    return this.#absent.get(person) ?? NONE;
  }

  #connected(person: number, without?: number): Set<number> {
    const reached = new Set([person]);
    for (const one of reached) {
      for (const link of this.#of.get(one) ?? []) {
        const other = link.alias === one ? link.principal : link.alias;
        if (other !== without) reached.add(other);
      }
    }
    return reached;
  }

  #drop(link: Link): void {
    for (const person of [link.alias, link.principal]) {
      const links = this.#of.get(person);
      links?.delete(link);
      if (links?.size === 0) this.#of.delete(person);
    }
  }
}

const NONE: ReadonlySet<string> = new Set();

const nameOf = ({ source, alias }: Link): string => `${alias}\0${source}`;

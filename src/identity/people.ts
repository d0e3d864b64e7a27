/** Persons by what somebody calls them. */
import { KeelsonError } from '../core/error.js';
import { isPseudonym, refuse } from './query.js';

export interface PersonName {
  readonly issuer: string;
  readonly id: string;
}

/** What is asked of the vault. */
export interface Persons {
  /** The pseudonyms of everybody whom one of these issuers knows by this identifier. */
  lookupAny(issuers: Iterable<string>, id: string): Promise<readonly Uint8Array[]>;
  /** Who is behind pseudonyms, by pseudonym in hex, as far as nobody was erased. */
  identify(pseudonyms: readonly Uint8Array[]): Promise<ReadonlyMap<string, PersonName>>;
}

const SUBJECT = 'subject:';

export class People {
  /** @param issuers every issuer that a producer is configured with. */
  constructor(
    private readonly persons: Persons,
    private readonly issuers: () => Promise<Iterable<string>>,
  ) {}

  /**
   * The pseudonyms (hex) that go by an identifier, or the one that is given as `subject:…`.
   * @param issuer undefined: every configured one.
   * @throws KeelsonError `invalid_query` for what is no pseudonym; `database_unavailable`
   */
  async find(name: string, id: string, issuer: string | undefined): Promise<string[]> {
    if (id.startsWith(SUBJECT) && issuer === undefined) {
      const pseudonym = id.slice(SUBJECT.length);
      if (!isPseudonym(pseudonym)) refuse(name, `must be 32 lowercase hex digits after ${SUBJECT}`);
      return [pseudonym];
    }
    const found = await this.persons.lookupAny(issuer === undefined ? await this.issuers() : [issuer], id);
    return [...new Set(found.map((pseudonym) => Buffer.from(pseudonym).toString('hex')))];
  }

  /** The one pseudonym of a name. @throws KeelsonError also `not_found`, and `invalid_query` where several issuers know the name. */
  async findOne(name: string, id: string, issuer: string | undefined): Promise<string> {
    const [one, ...others] = await this.find(name, id, issuer);
    if (one === undefined) throw new KeelsonError('not_found', 'nobody is known by this name');
    if (others.length > 0) refuse('issuer', 'must be named: several issuers know somebody by this name');
    return one;
  }

  /** Who is behind these pseudonyms (hex). @throws KeelsonError `database_unavailable` */
  identify(pseudonyms: readonly string[]): Promise<ReadonlyMap<string, PersonName>> {
    return this.persons.identify([...new Set(pseudonyms)].map((pseudonym) => Buffer.from(pseudonym, 'hex')));
  }
}

import { createHmac, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import type { Database } from '../platform/database.js';
import { lengthPrefixed, splitLengthPrefixed } from './bytes.js';
import { Lru } from './lru.js';
import type { Subject } from './seal.js';
import { decrypt, encrypt } from './wrap.js';

/** Somebody, as one issuer knows them; both byte-exact. */
export interface Person {
  readonly issuer: string;
  readonly id: string;
}

export interface SubjectsOptions {
  readonly database: Database;
  /** AES-256 key that wraps subject keys. */
  readonly encryptionKey: KeyObject;
  /** HMAC-SHA-256 key of the look-up table. */
  readonly lookupKey: KeyObject;
  /** Subjects kept in memory. */
  readonly cachedSubjects: number;
}

/** Rounds of finding or making: each further one means that somebody else made the row meanwhile. */
const MAX_ROUNDS = 5;

/**
 * Finds those whose look-up row is there and makes the others, in one statement. The key to `subject` is checked at its end, so
 * that the look-up row, which decides a race, can go in first: its loser leaves no subject behind, finds nothing, and asks again.
 */
const FIND_OR_MAKE = `
with given as (
  select * from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) as given (mac, pseudonym, wrapped_key, identifier)
), known as (
  select l.mac, s.pseudonym, s.wrapped_key, s.identifier is null as nameless
  from given join keelson.subject_lookup l on l.mac = given.mac join keelson.subject s on s.pseudonym = l.pseudonym
), placed as (
  insert into keelson.subject_lookup (mac, pseudonym)
  select mac, pseudonym from given where mac not in (select mac from known) order by mac
  on conflict do nothing
  returning mac
), made as (
  insert into keelson.subject (pseudonym, kind, wrapped_key, identifier)
  select pseudonym, 'person', wrapped_key, identifier from given join placed using (mac)
)
select mac, pseudonym, wrapped_key, nameless from known
union all
select mac, pseudonym, wrapped_key, false from given join placed using (mac)`;

const GIVE_IDENTIFIERS = `
update keelson.subject as s set identifier = given.identifier
from unnest($1::bytea[], $2::bytea[]) as given (pseudonym, identifier)
where s.pseudonym = given.pseudonym and s.identifier is null`;

interface SubjectRow {
  mac: Buffer;
  pseudonym: Buffer;
  wrapped_key: Buffer;
}

/** Subjects and their keys. What is in memory goes on while Postgres is down; anything else is `database_unavailable` then. */
export class Subjects {
  private readonly known: Lru<Subject>;
  private readonly keys: Lru<Buffer>;
  /** Callers of `newSubject` that wait for the next statement. */
  private waiting: { resolve: (subject: Subject) => void; reject: (error: unknown) => void }[] = [];
  private making = false;

  constructor(private readonly options: SubjectsOptions) {
    this.known = new Lru(options.cachedSubjects);
    this.keys = new Lru(options.cachedSubjects);
  }

  /**
   * The subject of each person, in their order, made where there is none yet: durable when it resolves. One round trip for all
   * that are not in memory, none when all are. Callers that make the same person at once get the same subject.
   * @throws KeelsonError `database_unavailable`
   */
  async subjectsFor(persons: readonly Person[]): Promise<Subject[]> {
    const names = persons.map(nameOf);
    const subjects = names.map((name) => this.known.get(name));
    const wanted = new Map<string, Person>();
    subjects.forEach((subject, i) => {
      if (subject === undefined) wanted.set(names[i]!, persons[i]!);
    });
    if (wanted.size === 0) return subjects as Subject[];
    const found = new Map<string, Subject>();
    for (let round = 0; wanted.size > 0; round++) {
      if (round === MAX_ROUNDS) throw new Error('subjects are made and deleted faster than they can be found');
      for (const [name, subject] of await this.findOrMake(wanted)) {
        wanted.delete(name);
        this.known.set(name, subject);
        found.set(name, subject);
      }
    }
    return subjects.map((subject, i) => subject ?? found.get(names[i]!)!);
  }

  private async findOrMake(wanted: ReadonlyMap<string, Person>): Promise<[string, Subject][]> {
    const byMac = new Map<string, string>();
    const fresh = [...wanted].map(([name, person]) => {
      const mac = this.macOf(person);
      byMac.set(mac.toString('hex'), name);
      const made = this.makeSubject();
      return { mac, ...made, identifier: sealIdentifier(made.subject, person) };
    });
    const { rows } = await this.options.database.query<SubjectRow & { nameless: boolean }>(FIND_OR_MAKE, [
      fresh.map(({ mac }) => mac),
      fresh.map(({ subject }) => subject.pseudonym),
      fresh.map(({ wrapped }) => wrapped),
      fresh.map(({ identifier }) => identifier),
    ]);
    const nameless: { subject: Subject; person: Person }[] = [];
    const found = rows.map((row): [string, Subject] => {
      const name = byMac.get(row.mac.toString('hex')) as string;
      const subject = this.openSubject(row);
      if (row.nameless) nameless.push({ subject, person: wanted.get(name) as Person });
      return [name, subject];
    });
    if (nameless.length > 0) {
      await this.options.database.query(GIVE_IDENTIFIERS, [
        nameless.map(({ subject }) => subject.pseudonym),
        nameless.map(({ subject, person }) => sealIdentifier(subject, person)),
      ]);
    }
    return found;
  }

  /** A subject of a record's own: durable when it resolves. Concurrent calls share statements. @throws as `subjectsFor` */
  async newSubject(): Promise<Subject> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (!this.making) void this.makeWaiting();
    });
  }

  private async makeWaiting(): Promise<void> {
    this.making = true;
    // Lets the callers of this turn gather.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const callers = this.waiting;
      this.waiting = [];
      try {
        const subjects = await this.newSubjects(callers.length);
        callers.forEach(({ resolve }, i) => resolve(subjects[i] as Subject));
      } catch (error) {
        callers.forEach(({ reject }) => reject(error));
      }
    }
    this.making = false;
  }

  /** So many subjects at once, for records of their own, in one statement. @throws as `subjectsFor` */
  async newSubjects(count: number): Promise<Subject[]> {
    if (count === 0) return [];
    const fresh = Array.from({ length: count }, () => this.makeSubject());
    await this.options.database.query(
      `insert into keelson.subject (pseudonym, kind, wrapped_key)
       select pseudonym, 'record', wrapped_key from unnest($1::bytea[], $2::bytea[]) as fresh (pseudonym, wrapped_key)`,
      [fresh.map(({ subject }) => subject.pseudonym), fresh.map(({ wrapped }) => wrapped)],
    );
    return fresh.map(({ subject }) => subject);
  }

  /**
   * Keys by pseudonym in hex; one that is not in the answer has been erased (or never was).
   * @throws KeelsonError `database_unavailable`, `tampered` (a key wrapped under another key-encryption key).
   */
  async keysOf(pseudonyms: Iterable<Uint8Array>): Promise<Map<string, Buffer>> {
    const keys = new Map<string, Buffer>();
    const wanted = new Map<string, Uint8Array>();
    for (const pseudonym of pseudonyms) {
      const name = hex(pseudonym);
      const key = this.keys.get(name);
      if (key) keys.set(name, key);
      else wanted.set(name, pseudonym);
    }
    if (wanted.size === 0) return keys;
    const { rows } = await this.options.database.query<Omit<SubjectRow, 'mac'>>(
      'select pseudonym, wrapped_key from keelson.subject where pseudonym = any($1::bytea[])',
      [[...wanted.values()].map((pseudonym) => Buffer.from(pseudonym))],
    );
    for (const row of rows) {
      const { key } = this.openSubject(row);
      keys.set(hex(row.pseudonym), key);
      this.keys.set(hex(row.pseudonym), key);
    }
    return keys;
  }

  /**
   * Who is behind these pseudonyms, by pseudonym in hex; one that is not in the answer has been erased, is no person's, or was made
   * by a version that kept no identifiers and has not been met since.
   * @throws as `keysOf`
   */
  async identify(pseudonyms: readonly Uint8Array[]): Promise<Map<string, Person>> {
    if (pseudonyms.length === 0) return new Map();
    const { rows } = await this.options.database.query<Omit<SubjectRow, 'mac'> & { identifier: Buffer }>(
      `select pseudonym, wrapped_key, identifier from keelson.subject where pseudonym = any($1::bytea[]) and identifier is not null`,
      [pseudonyms.map((pseudonym) => Buffer.from(pseudonym))],
    );
    return new Map(rows.map((row) => [hex(row.pseudonym), openIdentifier(this.openSubject(row), row.identifier)]));
  }

  /** The pseudonym of somebody, if there is one: for searching. @throws KeelsonError `database_unavailable` */
  async lookup(issuer: string, id: string): Promise<Buffer | undefined> {
    return (await this.lookupAny([issuer], id))[0];
  }

  /** The pseudonyms of everybody whom one of these issuers knows by this identifier. @throws as `lookup` */
  async lookupAny(issuers: Iterable<string>, id: string): Promise<Buffer[]> {
    const pseudonyms: Buffer[] = [];
    const macs: Buffer[] = [];
    for (const issuer of issuers) {
      const subject = this.known.get(nameOf({ issuer, id }));
      if (subject) pseudonyms.push(subject.pseudonym);
      else macs.push(this.macOf({ issuer, id }));
    }
    if (macs.length === 0) return pseudonyms;
    const { rows } = await this.options.database.query<{ pseudonym: Buffer }>(
      'select pseudonym from keelson.subject_lookup where mac = any($1::bytea[]) order by mac',
      [macs],
    );
    return [...pseudonyms, ...rows.map(({ pseudonym }) => pseudonym)];
  }

  private macOf({ issuer, id }: Person): Buffer {
    return createHmac('sha256', this.options.lookupKey).update(lengthPrefixed(issuer, id)).digest();
  }

  private makeSubject(): { subject: Subject; wrapped: Buffer } {
    const subject = { pseudonym: randomBytes(16), key: randomBytes(32) };
    return { subject, wrapped: encrypt(this.options.encryptionKey, subject.key, subject.pseudonym) };
  }

  private openSubject({ pseudonym, wrapped_key }: Omit<SubjectRow, 'mac'>): Subject {
    return { pseudonym, key: decrypt(this.options.encryptionKey, wrapped_key, pseudonym) };
  }
}

const identifierKey = ({ key }: Subject): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', key, '', 'keelson/identifier/1', 32));

const sealIdentifier = (subject: Subject, { issuer, id }: Person): Buffer =>
  encrypt(identifierKey(subject), lengthPrefixed(issuer, id), subject.pseudonym);

function openIdentifier(subject: Subject, sealed: Buffer): Person {
  const [issuer, id] = splitLengthPrefixed(decrypt(identifierKey(subject), sealed, subject.pseudonym));
  return { issuer: issuer!.toString(), id: id!.toString() };
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

const nameOf = ({ issuer, id }: Person): string => `${issuer.length}:${issuer}${id}`;

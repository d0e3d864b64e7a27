/** Finds what a certificate is made of: the entries that show how a case came about and ended. docs/certificate.md */
import type { LivingTokens } from '../../identity/reach.js';
import { KeelsonError } from '../../core/error.js';
import type { Database } from '../../platform/database.js';
import type { Log } from '../../ledger/log.js';
import type { LedgerReader } from '../../ledger/reader.js';
import type { CertifiedInstance, CertifiedToken, EntryRef, Evidence } from '../../protocol/certificate.js';
import type { Cause } from '../cause.js';
import { LIFECYCLE } from '../lifecycle.js';
import type { CaseRow } from './cases.js';
import {
  followingIn,
  instanceNamesIn,
  instancesIn,
  LastUse,
  stateCase,
  type Following,
  type Statement,
} from './statement.js';

/** Uses of tokens, as of one position. */
export interface Uses {
  /** Up to which entry of each log uses are found. */
  readonly asOf: readonly { readonly log: string; readonly size: bigint }[];
  /** Decisions that let a token of this name do something, newest first; of whichever issuer. */
  readonly usesOf: (token: string) => AsyncIterable<{ readonly log: string; readonly index: bigint }>;
}

export type FindUses = () => Promise<Uses>;

export interface EvidenceOptions {
  readonly database: Database;
  readonly reader: LedgerReader;
  readonly findUses: FindUses;
  readonly tokensConcerned: (order: string, limit: number) => Promise<LivingTokens | undefined>;
}

/** Tokens that a certificate names, at most. */
const MAX_TOKENS = 100;
/** Uses of tokens of one name that are looked through for those of one issuer. */
const MAX_USES = 1_000;
/** How far from the cause, and from the first part, what came between them is looked for. */
const FAR_ENTRIES = 65_536n;
const READ_ENTRIES = 1_024n;

export class EvidenceReader {
  constructor(private readonly options: EvidenceOptions) {}

  /**
   * The entries that a closed case is shown by.
   * @param watched where decisions were looked for before the row was read.
   * @throws KeelsonError `not_ready`; `conflict`: a record of the order is lost
   */
  async read(row: CaseRow, cause: Cause, watched: Evidence['watched']): Promise<Statement> {
    const [records, instances, tokens] = await Promise.all([
      this.#records(row, cause),
      this.#instances(row.closed!),
      this.#tokens(row.order),
    ]);
    return stateCase({ row, cause, records, instances, tokens, watched });
  }

  /** Everything that followed from the cause, up to the last part. */
  async #records({ seq }: CaseRow, cause: Cause): Promise<bigint[]> {
    const { rows } = await this.options.database.query<{ index: bigint }>(
      `select distinct index from keelson.revocation_change
       where index >= $1 and index <= (select index from keelson.revocation_change where seq = $2) order by index`,
      [cause.orderedIndex ?? cause.index, seq],
    );
    const log = await this.options.reader.log(LIFECYCLE);
    const parts: Following[] = [];
    for (const { index } of rows) {
      parts.push(...followingIn(await this.options.reader.entries(log, index, index + 1n), index, cause));
    }
    const first = parts[0];
    if (first === undefined) throw lost();
    const records = [...(await this.#before(log, first, cause)), ...parts];
    if (records.some(({ number }, i) => number !== i)) throw lost();
    return records.map(({ index }) => index);
  }

  /** What came before the first part: that the cause was held, soon after it came, and let go, soon before it was ordered. */
  async #before(log: Log, first: Following, cause: Cause): Promise<Following[]> {
    const found = new Map<number, Following>();
    const [begin, end] = [BigInt(cause.index + 1), first.index];
    for (let at = 0n; at < FAR_ENTRIES && at < end - begin && found.size < first.number; at += READ_ENTRIES) {
      const backTo = end - at > begin + READ_ENTRIES ? end - at - READ_ENTRIES : begin;
      for (const [from, to] of [
        [backTo, end - at],
        [begin + at, begin + at + READ_ENTRIES < end ? begin + at + READ_ENTRIES : end],
      ] as const) {
        const entries = await this.options.reader.entries(log, from, to);
        for (const one of followingIn(entries, from, cause)) if (one.number < first.number) found.set(one.number, one);
      }
    }
    return [...found.values()].sort((a, b) => a.number - b.number);
  }

  /** The instances that the entry names, and where each joined. */
  async #instances({ log, index }: NonNullable<CaseRow['closed']>): Promise<CertifiedInstance[]> {
    const { reader, database } = this.options;
    const closed = await reader.entry(await reader.log(log), index);
    const { rows } = await database.query<{ instance: string; joined_index: bigint }>(
      'select instance, joined_index from keelson.case_instance where instance = any($1)',
      [instanceNamesIn(closed)],
    );
    return instancesIn(closed, new Map(rows.map(({ instance, joined_index }) => [instance, Number(joined_index)])));
  }

  async #tokens(order: string): Promise<Evidence['tokens']> {
    const concerned = await this.options.tokensConcerned(order, MAX_TOKENS);
    if (concerned === undefined) return undefined;
    const { asOf, usesOf } = await this.options.findUses();
    const shown: CertifiedToken[] = [];
    for (const { issuer, id: token } of concerned.tokens) {
      const use = await this.#lastUse(issuer, token, usesOf(token));
      shown.push({ issuer, token, ...(use && { use }) });
    }
    const decisions = asOf.filter(({ log }) => log.startsWith('decisions/'));
    return {
      count: concerned.count,
      shown,
      asOf: decisions.map(({ log, size }) => ({ log, size: Number(size) })).sort((a, b) => (a.log < b.log ? -1 : 1)),
    };
  }

  async #lastUse(issuer: string, token: string, uses: ReturnType<Uses['usesOf']>): Promise<EntryRef | undefined> {
    const { reader } = this.options;
    const last = new LastUse(issuer, token);
    let looked = 0;
    for await (const { log, index } of uses) {
      if (++looked > MAX_USES) throw new KeelsonError('conflict', `too many issuers have a token ${token}`);
      if (last.offer({ log, index: Number(index) }, await reader.entry(await reader.log(log), index))) break;
    }
    return last.found;
  }
}

const lost = (): KeelsonError =>
  new KeelsonError('conflict', 'a record of this order is lost: it can not be shown whole');

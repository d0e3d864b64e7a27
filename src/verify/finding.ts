/** What a verification found wrong: which log, where in it, and why. No findings: everything holds. */

export type FindingCode =
  /** The checkpoint of a log that must be there isn't: a log is hidden. */
  | 'checkpoint_missing'
  | 'checkpoint_malformed'
  /** The checkpoint is not signed by the ledger's key, or not for this log. */
  | 'unknown_signer'
  | 'bad_signature'
  /** The tiles at the right edge don't lead to the signed root. */
  | 'root_changed'
  | 'tile_missing'
  /** A tile does not hash to what the signed root says. */
  | 'tile_changed'
  | 'bundle_missing'
  /** A bundle can't be split into its entries; `index` is the first entry that is not as it was. */
  | 'bundle_malformed'
  /** An entry does not hash to what the signed root says. */
  | 'entry_changed'
  /** An entry stands where another belongs: they were swapped or shifted. */
  | 'entry_moved'
  /** Entries that the checkpoint counts are not there; `index` is the first one. */
  | 'entries_missing'
  /** What was signed is no entry, or one of another partition. */
  | 'entry_malformed'
  /** An entry's place in the event log is not behind the one before it. */
  | 'entry_disordered'
  /** The first entry does not open this log, or the lifecycle log's does not name the ledger's logs. */
  | 'opening_wrong'
  /** The log is shorter than a kept checkpoint; `index` is the first entry that is gone. */
  | 'log_shrunk'
  /** The log does not continue a kept checkpoint: what that covered was rewritten. */
  | 'history_changed';

export interface Finding {
  readonly code: FindingCode;
  /** The log, as in its address: `decisions/0/g1`. */
  readonly log: string;
  /** The entry, or the first of those concerned. */
  readonly index?: bigint;
  /** The tile's or bundle's path in the log: `tile/0/000`. */
  readonly tile?: string;
  readonly message: string;
}

/** What was verified of one log. */
export interface LogReport {
  readonly log: string;
  readonly origin: string;
  /** Of the checkpoint; undefined where none could be opened. */
  readonly size?: bigint;
  readonly root?: Uint8Array;
  /** How many entries were read, hashed and found right. */
  readonly checked: bigint;
}

export interface LedgerReport {
  readonly ledger: string;
  readonly logs: readonly LogReport[];
  /** At most 1,000 for each log. */
  readonly findings: readonly Finding[];
  /** Findings beyond those; a log with 10,000 is not looked at any further. */
  readonly more: number;
}

const MAX_FINDINGS = 1_000;
/** Beyond so many a log is given up: it is not what was signed, and looking on could go on for ever. */
const ENOUGH_FINDINGS = 10_000;

/** The findings of one log. Entries found wrong are kept with their hashes, so that a swap shows as one. */
export class Findings {
  readonly #log: string;
  readonly #found: Finding[] = [];
  readonly #entries = new Map<bigint, { actual: string; expected: string }>();
  more = 0;

  constructor(log: string) {
    this.#log = log;
  }

  /** So much is wrong that nothing more need be looked at. */
  get areEnough(): boolean {
    return this.#found.length + this.more >= ENOUGH_FINDINGS;
  }

  add(code: FindingCode, message: string, where: { index?: bigint; tile?: string } = {}): void {
    if (this.#found.length < MAX_FINDINGS) this.#found.push({ code, log: this.#log, message, ...where });
    else this.more++;
  }

  /** The entry at `index` has the leaf hash `actual`; the signed tree has `expected` there. Both in hex. */
  addEntry(index: bigint, actual: string, expected: string, tile: string): void {
    if (this.#found.length < MAX_FINDINGS) this.#entries.set(index, { actual, expected });
    this.add('entry_changed', `entry ${index} hashes to ${actual}, the signed tree has ${expected}`, { index, tile });
  }

  list(): Finding[] {
    const belongs = new Map([...this.#entries].map(([index, { expected }]) => [expected, index]));
    return this.#found.map((finding) => {
      const entry = finding.code === 'entry_changed' ? this.#entries.get(finding.index!) : undefined;
      const home = entry && belongs.get(entry.actual);
      if (home === undefined) return finding;
      return {
        ...finding,
        code: 'entry_moved',
        message: `at ${finding.index} stands the entry that belongs at ${home}`,
      };
    });
  }
}

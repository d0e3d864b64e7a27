import type { CaseRow } from './cases.js';

export interface CaseTokens {
  readonly count: number;
  /** There are more than were counted. */
  readonly atLeast: boolean;
  /** The newest decision that names one of those used last, microseconds since 1970. */
  readonly lastUsedUs: bigint | undefined;
  /** Those used last. */
  readonly tokens: readonly {
    readonly issuer: string;
    readonly id: string;
    readonly digests: readonly string[];
    readonly state: string;
    /** Days since 1970. */
    readonly lastUsedDay: number | undefined;
  }[];
}

/** What cases ask of the identity graph: the tokens that an order concerns, and their last recorded use. */
export interface TokensPort {
  /** @throws KeelsonError `not_ready`, `timeout`, `database_unavailable` */
  tokensOf(order: Pick<CaseRow, 'subjects' | 'target'>): Promise<CaseTokens>;
}

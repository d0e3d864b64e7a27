/** What really happened at instances, by true time, whoever recorded what of it: certificates are held against this. */
import type { KeyType } from '../../src/protocol/keys.js';

export interface Life {
  readonly publicKey: Uint8Array;
  /** Tools that it lets be called whatever it knows. */
  readonly failOpen: readonly string[];
  /** What it says that its mapping finds. */
  readonly keyTypes: readonly KeyType[];
  /** Entries of lifecycle that were there when it joined. */
  readonly joined: number;
  /** The seqs that it attested, and truly held; with its own clock's time. */
  readonly attested: { readonly seq: number; readonly atUs: number }[];
  hasLied: boolean;
  /** By seq of the table: when it last allowed something by that. */
  readonly allowedUs: Map<number, number>;
  /** When its acks of these seqs could be read by anybody who closes a case. */
  readonly readable: { readonly seq: number; readonly sinceUs: number }[];
  retired: 'asked' | 'silent' | undefined;
}

export interface Use {
  readonly index: number;
  readonly atUs: number;
  readonly agent: string;
  readonly tool: string | undefined;
}

export class Happened {
  readonly lives = new Map<string, Life>();
  /** Recorded uses of tokens by issuer and jti, oldest first. */
  readonly uses = new Map<string, Use[]>();
  /** By the order's cause: the seq of the table that holds all of it. */
  readonly seqs = new Map<string, number>();

  join(instance: string, life: Pick<Life, 'publicKey' | 'failOpen' | 'keyTypes' | 'joined'>): void {
    const nothingYet = { attested: [], hasLied: false, allowedUs: new Map(), readable: [], retired: undefined };
    this.lives.set(instance, { ...life, ...nothingYet });
  }

  life(instance: string): Life {
    return this.lives.get(instance)!;
  }

  use(issuer: string, jti: string, use: Use): void {
    const name = `${issuer}\n${jti}`;
    const uses = this.uses.get(name);
    if (uses === undefined) this.uses.set(name, [use]);
    else uses.push(use);
  }

  /** The last of the first `size` decisions that is a use. */
  lastUse(issuer: string, jti: string, size: number): Use | undefined {
    return this.uses.get(`${issuer}\n${jti}`)?.findLast(({ index }) => index < size);
  }
}

/** When it last allowed something by a table without the change `seq`; -Infinity: never. */
export const allowedBefore = ({ allowedUs }: Life, seq: number): number =>
  [...allowedUs].reduce((last, [by, atUs]) => (by < seq && atUs > last ? atUs : last), -Infinity);

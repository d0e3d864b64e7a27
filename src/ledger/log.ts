import { KeelsonError } from '../core/error.js';
import { formatPartition, TOPICS, type Partition, type Topic } from '../eventlog/port.js';

/** One append-only Merkle tree of the ledger: exactly one per internal partition and generation. */
export interface Log {
  /** The row in `log`; fits a smallint. Never shown outside. */
  readonly id: number;
  /** How the log is named in addresses: `decisions/0/g1`. */
  readonly path: string;
  /** `<ledger name>/<path>`: the first line of its checkpoints and the name of its key. */
  readonly origin: string;
  readonly at: Partition;
}

/** The only generation there is until recovery opens another. */
export const GENERATION = 1;

/** `decisions/0/g1` for a partition. */
export const formatLogPath = (at: Partition, generation = GENERATION): string =>
  `${formatPartition(at)}/g${generation}`;

/** The origin of a partition's log in the ledger called `ledgerName`. */
export const formatOrigin = (ledgerName: string, at: Partition): string => `${ledgerName}/${formatLogPath(at)}`;

/**
 * The partition a log path names; the pair of `formatLogPath`.
 * @throws KeelsonError `not_found` for anything that is not the canonical name of a log.
 */
export function parseLogPath(path: string): Partition {
  const match = /^([a-z]+)\/(0|[1-9]\d{0,5})\/g1$/.exec(path);
  const topic = TOPICS.find((name): name is Topic => name === match?.[1]);
  if (!match || !topic) throw new KeelsonError('not_found', `no such log: ${path}`);
  return { topic, partition: Number(match[2]) };
}

import { parseEntry } from '../../core/entry.js';
import { KeelsonError } from '../../core/error.js';
import { readOpening } from '../../verify/opening.js';
import { TOPICS, type Topic } from '../../eventlog/port.js';
import { formatLogPath, type Log } from '../log.js';
import { entriesOf, readPages } from '../page-reader.js';
import type { FsckFinding, Snapshot } from './options.js';

interface LogRow {
  readonly id: number;
  readonly path: string;
  readonly origin: string;
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
}

/** Every log that the table has and that can be one; in the order of their names. */
export async function* checkLogs(snapshot: Snapshot): AsyncGenerator<FsckFinding, Log[], undefined> {
  const { rows } = await snapshot.query<LogRow & Record<string, unknown>>(
    'select id, path, origin, topic, partition, generation from keelson.log order by topic, partition, generation',
  );
  const logs: Log[] = [];
  for (const { id, path, origin, topic, partition, generation } of rows) {
    const at = { topic: TOPICS.find((known): known is Topic => known === topic) ?? 'decisions', partition };
    if (at.topic === topic && formatLogPath(at, generation) === path && origin.endsWith(`/${path}`))
      logs.push({ id, path, origin, at });
    else
      yield { log: path, what: 'log', reason: `${origin} is not the origin of ${topic}/${partition}/g${generation}` };
  }
  for (const id of await readUsedIds(snapshot)) {
    if (!rows.some((row) => row.id === id))
      yield { log: `log ${id}`, what: 'log', reason: 'it has entries or a head, but nothing says which log it is' };
  }
  const names = await readNamedOrigins(snapshot, logs);
  for (const origin of names) {
    if (!logs.some((log) => log.origin === origin))
      yield { log: origin, what: 'log', reason: 'the lifecycle log opens with it, but it is not there' };
  }
  return logs;
}

/** Every log id that a head or a page bears; of pages only the first of each log is looked at. */
async function readUsedIds(snapshot: Snapshot): Promise<number[]> {
  const { rows } = await snapshot.query<{ log: number }>(
    `with recursive paged as (
       (select log from keelson.page order by log limit 1) union all
       select (select p.log from keelson.page p where p.log > paged.log order by p.log limit 1) from paged where paged.log is not null
     ) select log from paged where log is not null union select log from keelson.head order by log`,
  );
  return rows.map(({ log }) => log);
}

/** The origins that the lifecycle log opens with; none where it can't be read, which is found elsewhere. */
async function readNamedOrigins(snapshot: Snapshot, logs: readonly Log[]): Promise<readonly string[]> {
  const lifecycle = logs.find(({ at }) => at.topic === 'lifecycle');
  if (lifecycle === undefined) return [];
  try {
    const pages = await readPages(snapshot, lifecycle.id, 0n, 1n);
    const first = pages.length === 0 ? undefined : parseEntry(entriesOf(lifecycle.path, pages, 0n, 1n)[0]!);
    return (first?.kind === 'record' ? readOpening(first.record)?.origins : undefined) ?? [];
  } catch (error) {
    if (error instanceof KeelsonError) return [];
    throw error;
  }
}

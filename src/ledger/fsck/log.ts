import type { Log } from '../log.js';
import { readGroups, type LogCheck } from './entries.js';
import { HeadCheck, readHead } from './head.js';
import { LogFindings, type FsckFinding, type FsckOptions, type Snapshot } from './options.js';
import { RecordCheck } from './records.js';
import { SlotCheck } from './slots.js';
import { TreeCheck } from './tree.js';

/** One log from its first entry to its head: entries, tiles, checkpoints, duplicate keys, schemas, refusals. */
export async function* checkLog(
  options: FsckOptions,
  snapshot: Snapshot,
  log: Log,
): AsyncGenerator<FsckFinding, void, undefined> {
  const { hasher, kinds, onProgress } = options;
  const head = await readHead(snapshot, log);
  if (!head) return yield { log: log.path, what: 'head', reason: 'the log has no head' };
  const found = new LogFindings(log.path);
  const checks: readonly LogCheck[] = [
    new HeadCheck(options, snapshot, log, head, found),
    new SlotCheck(snapshot, log, head.greatest_us, found),
    new RecordCheck(snapshot, log, hasher, kinds, head.opened, found),
    new TreeCheck(snapshot, log, hasher, found),
  ];
  let done = 0n;
  for await (const group of readGroups(snapshot, log, head.size, found)) {
    for (const check of checks) await check.take(group);
    yield* found.take();
    done = group.first + BigInt(group.entries.length);
    onProgress?.({ log: log.path, done, size: head.size });
  }
  yield* found.take();
  // Where entries are missing, what is behind them would only be missed again.
  if (done === head.size) for (const check of checks) await check.finish();
  yield* found.take();
  onProgress?.({ log: log.path, done, size: head.size });
}

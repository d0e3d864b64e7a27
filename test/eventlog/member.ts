/** A member of the group that says what it is given, takes what comes, and stays. */
import { pino } from 'pino';
import { formatPartition } from '../../src/eventlog/port.js';
import { openPostgresEventLog } from '../../src/eventlog/postgres/event-log.js';
import { openDatabase } from '../../src/platform/database.js';

const { pool } = openDatabase({
  url: process.argv[2]!,
  applicationName: 'member',
  poolSize: 3,
  connectTimeoutMs: 10_000,
  statementTimeoutMs: 60_000,
  lockTimeoutMs: 20_000,
  idleInTransactionTimeoutMs: 60_000,
});
const log = await openPostgresEventLog({
  pool,
  checkpoints: { remember: async () => undefined, recall: async () => undefined },
  logger: pino({ level: 'silent' }),
});
const say = async (what: string): Promise<void> => void process.send!(what);
await log.subscribe({
  assigned: async (at) => {
    await say(`assigned ${formatPartition(at)}`);
    return 0n;
  },
  batch: async () => undefined,
  revoked: (at) => say(`revoked ${formatPartition(at)}`),
});
process.on('disconnect', () => process.exit(0));

import pg from 'pg';
import { KeelsonError } from '../core/error.js';

/** What a pool is opened with. Times in milliseconds; 0 switches a limit off. */
export interface DatabaseOptions {
  /** `postgresql://user:password@host:port/database`; a Unix socket as `?host=/folder`. */
  readonly url: string;
  readonly applicationName: string;
  /** Connections at most. */
  readonly poolSize: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** How long a transaction may sit idle: it bounds how long a frozen process can hold a lock. */
  readonly idleInTransactionTimeoutMs: number;
  /** Told when a connection dies while nobody uses it. */
  readonly onIdleError?: (error: Error) => void;
}

/**
 * A pool of connections. `int8` and its arrays come as `bigint`, dates and timestamps as the text the database sent (a JavaScript
 * Date would drop microseconds). Parsers are this pool's own: the driver's global ones stay as they are.
 */
export interface Database {
  readonly pool: pg.Pool;
  /** One statement on any connection. @throws KeelsonError as `databaseError` says. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>>;
  /**
   * Runs `work` between BEGIN and COMMIT on one connection; rolls back when it throws. A rejection with
   * `database_unavailable` leaves open whether the transaction committed.
   */
  transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const asText = (value: string): string => value;
const bigints = pg.types.getTypeParser(1016 as never, 'text') as (value: string) => (string | null)[];
const parsers = new Map<number, (value: string) => unknown>([
  [20, BigInt],
  [1016, (value) => bigints(value).map((item) => (item === null ? null : BigInt(item)))],
  [1082, asText],
  [1114, asText],
  [1184, asText],
]);

/** Type parsers to hand to any `pg` client, as the pool's own ones. */
export const databaseTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    ((format ?? 'text') === 'text' ? parsers.get(oid) : undefined) ??
    (pg.types.getTypeParser(oid, format ?? 'text') as (value: string) => unknown),
};

/** Opens a pool. Connects lazily: an unreachable database shows at the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.poolSize,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs,
    keepAlive: true,
    types: databaseTypes,
  });
  pool.on('error', (error) => options.onIdleError?.(error));

  return {
    pool,
    async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]) {
      return pool.query<Row>(text, values).catch((error: unknown) => {
        throw databaseError(error);
      });
    },
    transaction: (work) => runTransaction(pool, work),
    close: () => pool.end(),
  };
}

async function runTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw databaseError(error);
  });
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query('begin');
    const result = await work(client);
    const { command } = await client.query('commit');
    // After a failed statement COMMIT succeeds and rolls back.
    if (command !== 'COMMIT')
      throw new Error(`a failed statement was swallowed: the transaction ended with ${command}`);
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => {
      broken = failure;
    });
    throw databaseError(error);
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** SQLSTATE classes and codes (PostgreSQL, appendix A) after which the same statement may well succeed. */
const PASSING = /^(08|53|57P|25006|25P03|40001|40P01|55P03|28)/;
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EACCES',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
const DRIVER =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed)/;

/**
 * What a driver's error means to a caller: `database_unavailable` when the database or the way to it is the trouble
 * (connection, authentication, shutdown, resources, lock wait, serialisation), `timeout` when the statement ran too long.
 * Everything else is returned as it is: a plain error, hence a bug.
 */
export function databaseError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof KeelsonError) return error;
  const code = (error as { code?: unknown }).code;
  const text = typeof code === 'string' ? code : '';
  if (text === '57014') return new KeelsonError('timeout', 'the database took too long', { cause: error });
  if (NETWORK.has(text) || PASSING.test(text) || DRIVER.test(error.message)) {
    return new KeelsonError('database_unavailable', `the database is not available: ${error.message}`, {
      retryAfterS: 1,
      cause: error,
    });
  }
  return error;
}

import pino, { type DestinationStream, type Logger } from 'pino';
import type { PlatformSettings } from './settings.js';

export type { Logger } from 'pino';

/** Never logged, wherever they stand one or two levels deep. */
const SECRETS = [
  'authorization',
  'cookie',
  'password',
  'token',
  'secret',
  'connectionString',
  'databaseUrl',
  'migrationUrl',
];

/**
 * The process's log, to standard error, so that standard output stays a program's answer. Errors are logged as type, code, message
 * and stack, and nothing else: what a driver hangs on an error (row values, statements) may be personal.
 */
export function createLogger(
  settings: Pick<PlatformSettings, 'KEELSON_LOG_LEVEL' | 'KEELSON_LOG_FORMAT'>,
  stream: NodeJS.WritableStream & { isTTY?: boolean } = process.stderr,
): Logger {
  const format = settings.KEELSON_LOG_FORMAT;
  const asText = format === 'text' || (format === 'auto' && stream.isTTY === true);
  const destination: DestinationStream = { write: (line) => void stream.write(asText ? formatLine(line) : line) };
  return pino(
    {
      level: settings.KEELSON_LOG_LEVEL,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[secret]' },
    },
    destination,
  );
}

interface ErrorDescription {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: ErrorDescription;
}

const CAUSES_MAX = 5;

function describeError(value: unknown, depth = 0): ErrorDescription {
  if (!(value instanceof Error)) return { type: typeof value, message: String(value) };
  const { code } = value as { code?: unknown };
  return {
    type: value.name,
    message: value.message,
    ...(typeof code === 'string' && { code }),
    ...(value.stack !== undefined && { stack: value.stack }),
    ...(value.cause !== undefined && depth < CAUSES_MAX && { cause: describeError(value.cause, depth + 1) }),
  };
}

/** `10:30:00 warn  what happened  key=value`, for people; errors with their stack below. */
function formatLine(line: string): string {
  const { time, level, msg, err, error, ...rest } = JSON.parse(line) as Record<string, unknown> & { msg?: string };
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const problem = (err ?? error) as ErrorDescription | undefined;
  const head = [String(time).slice(11, 19), String(level).padEnd(5), msg ?? '', ...fields].join(' ').trimEnd();
  return `${head}${problem ? `\n  ${problem.stack ?? problem.message}` : ''}\n`;
}

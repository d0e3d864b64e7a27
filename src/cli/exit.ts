/** Exit codes of every command; part of the interface, documented in docs/cli.md. */
import { KeelsonError, type ErrorCode } from '../core/error.js';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  notFound: 5,
  notStarted: 6,
  internal: 70,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What each exit code says, as `keelson --help` and docs/cli.md print it. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: 'done; every check passed',
  1: 'a check failed, or an event was not accepted',
  2: 'wrong usage, setting or input file',
  3: 'server or database unreachable or not ready; try again later',
  4: 'not signed in, or not allowed',
  5: 'no such thing',
  6: 'the server refused to start',
  70: 'a bug',
};

/** Raised by commands; carries an exit code that the error's own code would not give. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  constructor(
    readonly exit: ExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  malformed_note: EXIT.failed,
  malformed_checkpoint: EXIT.failed,
  malformed_tile: EXIT.failed,
  malformed_receipt: EXIT.failed,
  malformed_certificate: EXIT.failed,
  malformed_entry: EXIT.failed,
  malformed_pack: EXIT.failed,
  malformed_record: EXIT.failed,
  unknown_schema: EXIT.failed,
  unknown_signer: EXIT.failed,
  bad_signature: EXIT.failed,
  bad_proof: EXIT.failed,
  tampered: EXIT.failed,
  fork_refused: EXIT.failed,
  conflict: EXIT.failed,
  event_log_unavailable: EXIT.unreachable,
  database_unavailable: EXIT.unreachable,
  overloaded: EXIT.unreachable,
  case_open: EXIT.unreachable,
  not_ready: EXIT.unreachable,
  timeout: EXIT.unreachable,
  unauthenticated: EXIT.refused,
  forbidden: EXIT.refused,
  not_found: EXIT.notFound,
  out_of_range: EXIT.notFound,
  erased: EXIT.notFound,
  event_log_misconfigured: EXIT.notStarted,
  event_log_truncated: EXIT.notStarted,
  database_too_old: EXIT.notStarted,
  already_running: EXIT.notStarted,
  address_in_use: EXIT.notStarted,
  missing_key: EXIT.notStarted,
  unsupported_platform: EXIT.notStarted,
  internal: EXIT.internal,
};

/** What the system says of a file or folder that a user named, or of the data folder: for the user to mend, and no bug. */
const FILE_ERRORS = new Set([
  'EACCES',
  'EEXIST',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOSPC',
  'ENOTDIR',
  'EPERM',
  'EROFS',
]);

function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && FILE_ERRORS.has((error as NodeJS.ErrnoException).code ?? '');
}

/** The exit code for whatever a command threw. Every coded error not listed speaks of the input. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exit;
  if (error instanceof KeelsonError) return BY_CODE[error.code] ?? EXIT.usage;
  return isFileError(error) ? EXIT.usage : EXIT.internal;
}

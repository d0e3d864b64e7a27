import { KeelsonError } from '../core/error.js';

/** Errors after which trying again could only guess. */
export const isFinal = (error: unknown): boolean =>
  error instanceof KeelsonError &&
  ['event_log_truncated', 'database_too_old', 'fork_refused', 'tampered', 'invalid_config'].includes(error.code);

/** Somebody else holds the lock that was waited for. */
export const isLockTimeout = (error: unknown): boolean =>
  [error, (error as Error | undefined)?.cause].some((one) => (one as { code?: string } | undefined)?.code === '55P03');

/**
 * Tools that fail open: called although the guard can't tell. No lease fences them, so the ledger has to say it, and until it was told, they
 * do not. docs/feed.md, "Tools that fail open".
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../core/error.js';
import { signFailOpen, sortTools } from '../protocol/fail-open.js';
import { request, type FeedAddress } from './transport.js';

export interface FailOpenOptions {
  readonly address: FeedAddress;
  /** What the host wants. */
  readonly wanted: readonly string[];
  /** What the ledger was told before. */
  readonly declared: readonly string[];
  /** Told whenever the tools that fail open are others. */
  readonly onChange: (tools: ReadonlySet<string>) => void;
  /** What the ledger has been told, or may think by now: to be remembered. */
  readonly onDeclared: (tools: readonly string[]) => Promise<void> | void;
  readonly onProblem: (error: unknown) => void;
}

const TIMEOUT_MS = 15_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

/** Says which tools fail open, again until it is taken. Until then those do that are wanted, and were said before. */
export async function declareFailOpen(options: FailOpenOptions, signal: AbortSignal): Promise<void> {
  const { address, declared, onChange, onDeclared, onProblem } = options;
  const wanted = sortTools(options.wanted);
  const still = wanted.filter((tool) => declared.includes(tool));
  onChange(new Set(still));
  if (wanted.join('\n') === sortTools(declared).join('\n')) return;
  let isWithdrawn = still.length === declared.length;
  const { signer, ledger, instance } = address.membership;
  for (let retryMs = FIRST_RETRY_MS; !signal.aborted; retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)) {
    let askedMs = 0;
    try {
      // First of all: after a crash behind the next line it must not be taken for declared any more.
      if (!isWithdrawn) await onDeclared(still);
      isWithdrawn = true;
      const body = signFailOpen(signer, ledger, { instance, atUs: Date.now() * 1000, tools: wanted });
      await request(address, '/v1/feed/fail-open', { body, signal, timeoutMs: TIMEOUT_MS });
      onChange(new Set(wanted));
      await onDeclared(wanted);
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof KeelsonError) askedMs = (error.retryAfterS ?? 0) * 1000;
      onProblem(new KeelsonError('not_ready', 'no tool fails open that the ledger is not told of', { cause: error }));
    }
    await sleep(Math.max(retryMs * (0.5 + Math.random()), askedMs), undefined, { signal }).catch(() => undefined);
  }
}

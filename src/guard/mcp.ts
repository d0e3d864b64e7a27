/**
 * The guard inside an MCP server of the TypeScript SDK: each tool call is checked before it runs, ended when what it stands on is
 * revoked, and recorded.
 *
 *     server.registerTool('deploy', { … }, guardTool(guard, 'deploy', { claimsOf }, async (args, extra) => …));
 */
import type { Decision, KnownToken } from './check.js';
import type { ClaimSet } from './mapping.js';
import type { Guard } from './guard.js';
import type { Publisher } from './publisher.js';

/** Of `RequestHandlerExtra`: what is used here. */
export interface CallExtra {
  readonly signal: AbortSignal;
  readonly authInfo?: { readonly token: string; readonly clientId?: string; readonly extra?: Record<string, unknown> };
}

export interface CallResult {
  [member: string]: unknown;
  content: { type: 'text'; text: string }[];
  isError?: boolean;
  _meta?: { 'keelson/refusal'?: Refusal } & Record<string, unknown>;
}

export interface ToolGuardOptions<E extends CallExtra> {
  /** The claims of the verified token of a call; undefined or null: there is none, and the call is refused. */
  readonly claimsOf: (extra: E) => ClaimSet | null | undefined;
  /** Where decisions go; the guard's own publisher where absent. */
  readonly publisher?: Publisher;
  /** Members of the recorded decision that the token does not say, or says otherwise. */
  readonly describe?: (extra: E) => Record<string, unknown>;
}

/** A handler that runs only while nothing speaks against it; with arguments or, for a tool that has none, without. */
export function guardTool<A extends readonly unknown[], E extends CallExtra, R>(
  guard: Guard,
  tool: string,
  options: ToolGuardOptions<E>,
  handler: (...call: [...A, E]) => R | Promise<R>,
): (...call: [...A, E]) => Promise<R | CallResult> {
  const { claimsOf, describe, publisher = guard.publisher } = options;
  const run = async (
    token: KnownToken | undefined,
    verdict: Decision | typeof NO_TOKEN,
    extra: E,
    go: (extra: E) => R | Promise<R>,
  ): Promise<R | CallResult> => {
    if (token === undefined) return refuse(NO_TOKEN);
    if (!verdict.allowed) return refuse(verdict);
    const session = guard.session(token, tool);
    try {
      const signal = AbortSignal.any([extra.signal, session.signal]);
      return await Promise.race([go({ ...extra, signal }), ended(session.signal)]);
    } finally {
      session.close();
    }
  };
  guard.addProbe(async (canary) => {
    const nobody = { signal: AbortSignal.abort() } as E;
    const result = await run(canary, guard.check(canary, tool), nobody, () => ({ content: [] }) as unknown as R);
    return (result as Partial<CallResult>)._meta?.['keelson/refusal']?.reason === 'cutoff';
  }, `mcp/${tool}`);
  return async (...call) => {
    const extra = call.at(-1) as E;
    const args = call.slice(0, -1) as unknown as A;
    const claims = claimsOf(extra);
    const token = claims === undefined || claims === null ? undefined : guard.token(claims, extra.authInfo?.token);
    const verdict = token === undefined ? NO_TOKEN : guard.check(token, tool);
    publisher?.publish(
      { tool, decision: verdict.allowed ? 'allow' : 'deny', ...describe?.(extra) },
      { token, verdict },
    );
    return run(token, verdict, extra, (guarded) => handler(...args, guarded));
  };
}

interface Refusal {
  readonly reason: string;
  readonly seq: number;
  readonly order?: string;
}

const NO_TOKEN = { allowed: false, reason: 'no_token', seq: 0 } as const;

const refuse = ({ reason, seq, order }: Refusal): CallResult => ({
  content: [{ type: 'text', text: `refused: ${reason} (revocation ${seq})` }],
  isError: true,
  _meta: { 'keelson/refusal': { reason, seq, ...(order === undefined ? {} : { order }) } },
});

/** Resolves with a refusal once the session is ended; never before. */
const ended = (signal: AbortSignal): Promise<CallResult> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(refuse(signal.reason as Refusal)), { once: true });
  });

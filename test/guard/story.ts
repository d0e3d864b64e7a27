/** A story of test/vectors/protocol/feed.json: what a guard hears, asks and is asked, and what follows. */
import { formatHex } from '../../src/core/bytes.js';
import { check, KnownTool, KnownToken } from '../../src/guard/check.js';
import type { GuardCore } from '../../src/guard/core.js';
import { step } from '../../src/guard/step.js';
import type { TokenFacts } from '../../src/protocol/token-keys.js';

export interface Line {
  readonly what: string;
  readonly monotonicUs: number;
  readonly wallUs: number;
  readonly uptimeUs: number;
  /** A message, hex. */
  readonly hear?: string;
  /** Why it was of no use. */
  readonly rejected?: string;
  /** The table afterwards. */
  readonly seq?: number;
  readonly stateHash?: string;
  /** The nonce of a lease request, and the request. */
  readonly nonce?: string;
  readonly request?: string;
  /** Facts of a token that is checked, for a tool. */
  readonly token?: TokenFacts;
  readonly tool?: string;
  /** `allowed`, or why not. */
  readonly verdict?: string;
}

/** Plays a line; the same line with what followed. */
export function play(core: GuardCore, line: Line): Line {
  if (line.token !== undefined) {
    const tool = line.tool === undefined ? undefined : new KnownTool(core, line.tool);
    const decision = check(core, KnownToken.of(core, line.token), tool);
    return { ...line, verdict: decision.allowed ? 'allowed' : decision.reason };
  }
  if (line.nonce !== undefined) {
    core.asked = undefined;
    const effects = step(core, { kind: 'tick', random: Buffer.from(line.nonce, 'hex') });
    const sent = effects.find((effect) => effect.kind === 'send' && effect.what === 'lease-request');
    return sent?.kind === 'send' ? { ...line, request: formatHex(sent.bytes) } : line;
  }
  const effects = step(core, { kind: 'message', bytes: Buffer.from(line.hear!, 'hex') });
  const rejected = effects.find((effect) => effect.kind === 'rejected');
  const { seq, stateHash } = core.table!.head();
  return {
    ...line,
    ...(rejected?.kind === 'rejected' ? { rejected: rejected.code } : {}),
    seq,
    stateHash: formatHex(stateHash),
  };
}

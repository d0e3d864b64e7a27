/** A process with guards that ask, over and over, whether each of some people may go on; and remember when that was allowed last. */
import { join, readMembership } from '../../src/guard/join.js';
import { Guard } from '../../src/guard/guard.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { randomBytes } from 'node:crypto';

export interface Watch {
  /** Of the server, and of what is between. */
  readonly serverUrl: string;
  readonly feedUrl: string;
  /** Enrolment token. */
  readonly token: string;
  readonly guards: number;
  readonly people: readonly { readonly issuer: string; readonly subject: string }[];
  readonly maxStalenessMs: number;
}

/** What is known of one guard. */
export interface Seen {
  readonly seq: number;
  /** By person: `allowed`, or why not; and when it was allowed last, milliseconds since 1970. */
  readonly verdicts: readonly string[];
  readonly lastAllowedMs: readonly number[];
  /** Problems that it told of, by what they say. */
  readonly problems: Readonly<Record<string, number>>;
}

const { serverUrl, feedUrl, token, guards, people, maxStalenessMs } = JSON.parse(process.argv[2]!) as Watch;
const issuedAtUs = (Date.now() - 60_000) * 1000;

const watched = await Promise.all(
  Array.from({ length: guards }, async () => {
    const signer = nodeSigner(randomBytes(32));
    const membership = readMembership(await join(serverUrl, token, signer), signer);
    const problems: Record<string, number> = {};
    const onProblem = (problem: unknown): void => {
      const what = problem instanceof Error ? problem.message : String(problem);
      problems[what] = (problems[what] ?? 0) + 1;
    };
    const guard = new Guard({ url: feedUrl, membership, maxStalenessMs, onProblem });
    guard.start();
    const tokens = people.map((person) => guard.tokenOf({ ...person, issuedAtUs }));
    return {
      guard,
      tokens,
      problems,
      verdicts: people.map(() => 'never asked'),
      lastAllowedMs: people.map(() => 0),
    };
  }),
);

process.on('disconnect', () => process.exit(0));
process.on('message', () => {
  const seen: Seen[] = watched.map(({ guard, verdicts, lastAllowedMs, problems }) => ({
    seq: guard.core.seq,
    verdicts,
    lastAllowedMs,
    problems,
  }));
  process.send!(seen);
});
process.send!('ready');

for (;;) {
  for (const { guard, tokens, verdicts, lastAllowedMs } of watched) {
    for (const [i, one] of tokens.entries()) {
      // Before it is asked: whoever is frozen in between did not allow it later.
      const askedMs = Date.now();
      const decision = guard.check(one);
      verdicts[i] = decision.allowed ? 'allowed' : decision.reason;
      if (decision.allowed) lastAllowedMs[i] = askedMs;
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}

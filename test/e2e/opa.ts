import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The OPA binary: KEELSON_OPA, else on the PATH, else where `go install` puts it. Without one the tests that need it are
 * skipped, loudly; where CI is set that is an error.
 */
export function findOpa(): string | undefined {
  const candidates = [process.env.KEELSON_OPA, 'opa', join(homedir(), 'go', 'bin', 'opa')];
  for (const candidate of candidates) {
    if (!candidate) continue;
    try {
      execFileSync(candidate, ['version'], { stdio: 'ignore' });
      return candidate;
    } catch {
      // Not there, or not OPA: the next one.
    }
  }
  const message =
    'no OPA binary: set KEELSON_OPA, or: go install github.com/open-policy-agent/opa@v1.22.2 (tests with OPA are skipped)';
  if (process.env.CI) throw new Error(message);
  console.warn(`\n*** ${message} ***\n`);
  return undefined;
}

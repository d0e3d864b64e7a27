/** docs/registration.md, followed by a reader with a shell. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FailureCode } from '../../../src/identity/registration/finding.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const DOCUMENT = new URL('../../../docs/registration.md', import.meta.url);
let folder: string;
let server: ServerProcess | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-registration-'));
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('from a key to a verdict', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const [make, ...use] = [...text.matchAll(/\n```sh\n(.*?)\n```/gs)].map((match) => match[1]!);
  const run = async (script: string, env: NodeJS.ProcessEnv = {}): Promise<string> =>
    (await promisify(execFile)('bash', ['-euc', script], { cwd: folder, env: { PATH: process.env.PATH, ...env } }))
      .stdout;
  await run(make!);
  server = await startServer({ env: { KEELSON_REGISTRATION_FILE: join(folder, 'registration.json') } });
  const functions = /^der\(\).*$/m.exec(make!)![0];
  const script = `curl() { command curl -f "$@"; }\n${functions}\n${use.join('\n')}`;
  const printed = await run(script.replaceAll('http://127.0.0.1:8420', server.url), {
    ADMIN: await server.adminToken(),
  });
  expect(printed.match(/"type":"registration\.verified"/g)).not.toBeNull();
  expect(printed).toContain('"method":"x509_svid"');
  expect(printed).toContain('"method":"detached"');
  expect(printed).not.toContain('registration.failed');
});

it('names every code', async () => {
  const told = [...(await readFile(DOCUMENT, 'utf8')).matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|/gm)].flatMap(
    (match) => [...match[1]!.matchAll(/`([a-z_]+)`/g)].map((code) => code[1]!),
  );
  const codes: Record<FailureCode, true> = {
    no_evidence: true,
    evidence_not_kept: true,
    check_failed: true,
    malformed: true,
    too_large: true,
    algorithm_not_allowed: true,
    unknown_trust_domain: true,
    unknown_key: true,
    bad_signature: true,
    wrong_audience: true,
    expired: true,
    not_yet_valid: true,
    wrong_subject: true,
    not_an_svid: true,
    no_path: true,
    unknown_signer: true,
    signer_not_allowed: true,
    wrong_digest: true,
    client_not_approved: true,
    address_not_allowed: true,
    metadata_unavailable: true,
    metadata_refused: true,
  };
  expect(Object.keys(codes).filter((code) => !told.includes(code))).toEqual([]);
});

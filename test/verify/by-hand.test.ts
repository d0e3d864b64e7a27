import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatVerifierKey, makeVerifierKey } from '../../src/core/key.js';
import { proveInclusion } from '../../src/core/proof.js';
import { formatReceipt } from '../../src/core/receipt.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { LEDGER, LogFixture, signer } from '../support/ledger-files.js';

/** The ways of docs/verify.md that use none of our code, run as they stand there. */
const page = await readFile(new URL('../../docs/verify.md', import.meta.url), 'utf8');
const snippet = (language: string): string => new RegExp(`\n\`\`\`${language}\n(.*?)\n\`\`\``, 's').exec(page)![1]!;

/** Whether Go can be had here, with the module the page asks for; says so once where not, and throws with `CI=true`. */
async function hasGo(): Promise<boolean> {
  if (!(await run('go', 'version')).startsWith('failed')) return true;
  const message = 'no Go: the program of docs/verify.md is not run';
  if (process.env.CI === 'true') throw new Error(message);
  console.warn(`\n*** ${message} ***\n`);
  return false;
}

const log = new LogFixture('decisions/0/g1').fill(600);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-by-hand-'));
  await writeFile(join(folder, 'by-hand.sh'), snippet('bash'));
  await writeFile(join(folder, 'log-key.sh'), snippet('sh'));
  await writeFile(join(folder, 'root.py'), snippet('python'));
  const key = formatVerifierKey(makeVerifierKey(hasher, LEDGER, signer.publicKey));
  await writeFile(join(folder, 'ledger.key'), `${key}\n`);
  for (const [path, bytes] of log.files()) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
});
afterAll(() => rm(folder, { recursive: true }));

async function writeReceipt(index: number, edit = (text: string): string => text): Promise<void> {
  const proof = await proveInclusion(hasher, BigInt(index), 600n, log.tree);
  const receipt = { entry: log.entries[index]!, index: BigInt(index), proof, checkpoint: log.checkpoint() };
  await writeFile(join(folder, 'receipt.tlog-proof'), edit(formatReceipt(receipt)));
}

/** What a command prints, or that it failed. */
const run = (command: string, ...args: string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd: folder }, (error, stdout) => resolve(error ? `failed: ${stdout}` : stdout));
  });

describe('docs/verify.md, without our code', () => {
  it.each([0, 17, 511, 599])('checks the receipt of entry %i with openssl', async (index) => {
    await writeReceipt(index);
    const printed = await run('bash', 'by-hand.sh');
    expect(printed).toContain(`entry ${index} is in the tree of 600 entries of ${log.origin}`);
    expect(printed).toContain('Signature Verified Successfully');
    expect(printed.trim().split(/\s+/).slice(-4)).toEqual([`${index}`, '0', `${(index >> 1) * 3}`, `${index & 1}`]);
  });

  it('refuses a receipt of another entry, and a checkpoint that was not signed', async () => {
    await writeReceipt(17, (text) => text.replace('index 17\n', 'index 16\n'));
    expect(await run('bash', 'by-hand.sh')).toMatch(/^failed: the entry is not in the tree/);
    await writeReceipt(17, (text) => text.replace(`${log.origin}\n`, `${log.origin}0\n`));
    expect(await run('bash', 'by-hand.sh')).toMatch(/^failed: /);
  });

  it('makes the verifier key of one log', async () => {
    await writeFile(join(folder, 'checkpoint'), log.checkpoint());
    const key = formatVerifierKey(makeVerifierKey(hasher, log.origin, signer.publicKey));
    expect(await run('sh', 'log-key.sh')).toBe(`${key}\n`);
  });

  it('checks a receipt in Go', async ({ skip }) => {
    if (!(await hasGo())) skip();
    await writeFile(join(folder, 'main.go'), snippet('go'));
    await writeFile(join(folder, 'go.mod'), 'module example.com/check\n\ngo 1.23\n');
    expect(await run('go', 'get', 'golang.org/x/mod@v0.30.0')).toBe('');
    expect(await run('go', 'build', '-o', 'check', '.')).toBe('');
    const key = formatVerifierKey(makeVerifierKey(hasher, log.origin, signer.publicKey));
    for (const index of [0, 300, 599]) {
      await writeReceipt(index);
      const printed = await run('./check', key, 'receipt.tlog-proof');
      expect(printed).toBe(`entry ${index} is in the tree of 600 entries of ${log.origin}\n`);
    }
    await writeReceipt(17, (text) => text.replace('index 17\n', 'index 16\n'));
    expect(await run('./check', key, 'receipt.tlog-proof')).toMatch(/^failed/);
    await writeReceipt(17);
    const other = formatVerifierKey(makeVerifierKey(hasher, `${log.origin}0`, signer.publicKey));
    expect(await run('./check', other, 'receipt.tlog-proof')).toMatch(/^failed/);
  }, 120_000);

  it("computes a log's root with python", async () => {
    expect(await run('python3', 'root.py', log.log)).toContain(`${log.origin}: 600 entries give the signed root`);
    const bundle = join(folder, log.log, 'tile/entries/001');
    const bytes = await readFile(bundle);
    await writeFile(
      bundle,
      bytes.map((byte, i) => (i === 5000 ? byte ^ 1 : byte)),
    );
    expect(await run('python3', 'root.py', log.log)).toMatch(/^failed/);
    await writeFile(bundle, bytes);
  });
});

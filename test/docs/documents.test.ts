/** Documents say what is so: links lead somewhere, commands exist, snippets run against a real server. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { Api } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'examples/hr/README.md',
  'examples/gateway/README.md',
  'examples/mcp-opa/README.md',
  ...(await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
];

/** The contents of a document's fenced blocks of a language. */
const snippets = (path: string, language: string): string[] =>
  [...read(path).matchAll(new RegExp(`\n\`\`\`${language}\n(.*?)\n\`\`\``, 'gs'))].map((match) => match[1]!);

describe.each(documents)('%s', (path) => {
  test('links to what exists', () => {
    const links = [...read(path).matchAll(/\]\((?!https?:|mailto:|#)([^)#]+)/g)].map((match) => match[1]!);
    expect(links.filter((link) => !existsSync(join(ROOT, dirname(path), link)))).toEqual([]);
  });

  test('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...read(path).matchAll(/npm run (?:-s |--silent )?([a-z:]+)/g)].map((match) => match[1]!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test('shows JSON that is JSON', () => {
    for (const snippet of snippets(path, 'json')) expect(() => JSON.parse(snippet) as unknown).not.toThrow();
  });
});

test('the README has less than 150 lines', () => {
  expect(read('README.md').split('\n').length).toBeLessThan(150);
});

describe('against a server', () => {
  let server: ServerProcess;
  let api: Api;
  beforeAll(async () => {
    server = await startServer();
    api = await Api.admin(server);
  });
  afterAll(() => server.stop());

  /** Runs shell lines as a reader would, with this server for theirs; a refused request fails them. */
  const run = async (script: string): Promise<string> => {
    const local = script.replaceAll('http://127.0.0.1:8420', server.url);
    const { stdout } = await promisify(execFile)('bash', ['-euc', `curl() { command curl -fsS "$@"; }\n${local}`], {
      env: { ...process.env, ADMIN: api.token, KEELSON_DATA: server.dataFolder },
    });
    return stdout;
  };

  test('the README’s first event, and its proof', async () => {
    const [script] = snippets('README.md', 'sh').filter((snippet) => snippet.includes('/v1/decisions'));
    expect(await run(script!)).toMatch(/"status":"accepted".*"asOf".*\/decisions\/0\/g1\n\d+\n/s);
  });

  test('README.md and docs/verify.md: everything checked as an outsider would', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-documents-'));
    const env = { KEELSON_URL: server.url, KEELSON_TOKEN: api.token };
    const inFolder = async (script: string): Promise<string> => {
      const local = script
        .replaceAll('https://keelson.company.com', server.url)
        .replaceAll('npm run keelson --', 'keelson')
        .replaceAll('"<the verifier key that the server printed>"', 'ledger.key');
      const keelson = `keelson() { "${process.execPath}" "${join(ROOT, 'dist/main.js')}" "$@"; }`;
      const options = { cwd: folder, env: { PATH: process.env.PATH, ...env } };
      return (await promisify(execFile)('bash', ['-euc', `${keelson}\n${local}`], options)).stdout;
    };
    try {
      await inFolder('keelson keys --ledger > ledger.key');
      const receipt = await api.get<string>('/v1/logs/decisions/0/g1/receipts/0');
      await writeFile(join(folder, 'receipt.tlog-proof'), receipt.body);
      const [script] = snippets('docs/verify.md', 'shell');
      const printed = await inFolder(script!);
      expect(printed.match(/^ok +\S+\/decisions\/0\/g1 +\d+ entries/gm)).toHaveLength(3);
      expect(printed).toMatch(/^ok +decisions\/0\/g1 +index 0 /m);
      expect(await readFile(join(folder, 'kept.txt'), 'utf8')).toContain('/lifecycle/0/g1\n');
      await rm(join(folder, 'tiles'), { recursive: true });
      const [asOutsider] = snippets('README.md', 'sh').filter((snippet) => snippet.includes('export-tiles'));
      expect(await inFolder(asOutsider!)).toMatch(/^ok .*\/activity\/0\/g1 /m);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 120_000);

  test('docs/intake.md: a producer with pointers of its own', async () => {
    for (const script of snippets('docs/intake.md', 'sh')) await run(script);
    const { body } = await api.send<{ config: { issuer: string } }>('GET', '/v1/producers/opa');
    expect(body.config.issuer).toBe('https://idp.company.com');
  });

  test('docs/intake.md: OPA’s configuration leads to a route', async () => {
    const [text] = snippets('docs/intake.md', 'yaml');
    const { services } = parseYaml(text!) as { services: { keelson: { url: string } } };
    const { body } = await api.send<{ paths: Record<string, unknown> }>('GET', '/openapi.json');
    expect(Object.keys(body.paths)).toContain(`${new URL(services.keelson.url).pathname}/logs`);
  });

  test('docs/identity.md: each question gets an answer', async () => {
    await run(snippets('docs/identity.md', 'sh').join('\n'));
    const token = '/v1/identity/token/0b9cf6a2?issuer=https://login.company.com';
    await api.until<{ lastUse?: unknown }>(token, ({ lastUse }) => lastUse !== undefined);
    const example = JSON.parse(snippets('docs/identity.md', 'json')[0]!) as Record<string, unknown>;
    const node = `/v1/identity/agent/${encodeURIComponent(example.id as string)}`;
    const { body } = await api.send<Record<string, unknown>>('GET', node);
    expect(Object.keys(body).sort()).toEqual(Object.keys(example).sort());
    const keelson = `keelson() { "${process.execPath}" "${join(ROOT, 'dist/main.js')}" "$@"; }`;
    const answers: string[] = [];
    for (const script of snippets('docs/identity.md', 'shell')) {
      const env = {
        PATH: process.env.PATH,
        KEELSON_URL: server.url,
        KEELSON_TOKEN: api.token,
        THEN: new Date().toISOString(),
      };
      answers.push((await promisify(execFile)('bash', ['-euc', `${keelson}\n${script}`], { env })).stdout);
    }
    const [agent, then, edges, lists, tokens] = answers as [string, string, string, string, string];
    expect(agent).toMatch(/^state +approved$/m);
    for (const words of ['dana@company.com', 'actor: erin@company.com', 'approved_by: frank@company.com', 'CHG-4711']) {
      expect(agent).toContain(words);
    }
    expect(then).toMatch(/^state +approved +at /m);
    expect(edges).toMatch(/^caches +token +accepted .* 0b9cf6a2 \(https:\/\/login\.company\.com\)$/m);
    expect(edges).toMatch(/^related +tool .* deploy$/m);
    expect(lists.match(/deploy-bot$/gm)).toHaveLength(2);
    expect(tokens).toMatch(/^accepted .* 0b9cf6a2 /m);
    expect(tokens).toMatch(/^key +[0-9a-f]{32} +token$/m);
  }, 120_000);

  test('docs/events.md: the example comes back as it went in', async () => {
    const example = JSON.parse(snippets('docs/events.md', 'json')[0]!) as Record<string, unknown>;
    const { body } = await api.post<{ items: { log: string; index: string }[] }>('/v1/decisions', example, {
      prefer: 'wait=20',
    });
    const [{ log, index }] = body.items as [{ log: string; index: string }];
    const { body: entry } = await api.send<{ event: unknown }>('GET', `/v1/logs/${log}/entries/${index}`);
    expect(entry.event).toEqual(example);
  });
});

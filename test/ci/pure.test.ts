/** The rules that keep `step` and the protocol pure (.ci/pure.cjs) find what breaks them. */
import { readdirSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const load = createRequire(import.meta.url);
const pure = load('../../.ci/pure.cjs') as { steps: string[]; beneath: string[] };
const eslint = new ESLint({ cwd: ROOT, overrideConfigFile: join(ROOT, '.ci/eslint.config.js') });

async function rulesBroken(text: string, filePath: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(text, { filePath: join(ROOT, filePath) });
  return result!.messages.map(({ ruleId }) => ruleId);
}

describe('what is in a pure file', () => {
  it.each([
    ['a clock', 'export const at = (): number => Date.now();', 'no-restricted-syntax'],
    ['a date of now', 'export const at = (): Date => new Date();', 'no-restricted-syntax'],
    ['a faster clock', 'export const at = (): number => performance.now();', 'no-restricted-globals'],
    ['randomness', 'export const draw = (): number => Math.random();', 'no-restricted-syntax'],
    ['a timer', 'export const later = (): unknown => setTimeout(() => undefined, 1);', 'no-restricted-globals'],
    ['a promise', 'export const later = (): unknown => Promise.resolve();', 'no-restricted-globals'],
    ['an async function', 'export const later = async (): Promise<number> => 1;', 'no-restricted-syntax'],
    ['the environment', 'export const name = (): unknown => process.env.NAME;', 'no-restricted-globals'],
    ['Node', "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;", 'no-restricted-imports'],
  ])('%s is found', async (_, text, rule) => {
    for (const file of ['src/revocation/step.ts', 'src/protocol/check.ts']) {
      expect(await rulesBroken(text, file)).toContain(rule);
    }
    expect(await rulesBroken(text, 'src/revocation/processor.ts')).toEqual([]);
  });

  it('a date made of a number is none of that', async () => {
    const text = 'export const format = (ms: number): string => new Date(ms).toISOString();';
    expect(await rulesBroken(text, 'src/revocation/step.ts')).toEqual([]);
  });

  it('every line of the list names files', () => {
    for (const pattern of [...pure.steps, ...pure.beneath]) {
      const names = /\{([^}]*)\}/.exec(pattern)?.[1]?.split(',') ?? [''];
      for (const name of names) {
        const one = pattern.replace(/\{[^}]*\}/, name);
        const file = new RegExp(`^${basename(one).replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
        expect(
          readdirSync(join(ROOT, dirname(one))).filter((found) => file.test(found)),
          one,
        ).not.toEqual([]);
      }
    }
  });
});

describe('what a pure file imports', () => {
  async function violations(step: string): Promise<string[]> {
    const baseDir = await mkdtemp(join(tmpdir(), 'keelson-imports-'));
    try {
      await mkdir(join(baseDir, 'src/revocation'), { recursive: true });
      await writeFile(join(baseDir, 'src/revocation/step.ts'), step);
      await writeFile(join(baseDir, 'src/revocation/processor.ts'), 'export const go = 1;\nexport type Go = number;\n');
      await writeFile(join(baseDir, 'src/revocation/decide.ts'), 'export const decide = 1;\n');
      const { forbidden } = load('../../.ci/imports.cjs') as IConfiguration;
      const ruleSet = { forbidden: forbidden! };
      const { output } = await cruise(['src'], { baseDir, ruleSet, validate: true, tsPreCompilationDeps: true });
      return (output as ICruiseResult).summary.violations.map(({ rule }) => rule.name);
    } finally {
      await rm(baseDir, { recursive: true, force: true });
    }
  }

  it('may be pure, or a type', async () => {
    const step = "import { decide } from './decide.js';\nimport type { Go } from './processor.js';\n";
    expect(await violations(`${step}export const step: Go = decide;\n`)).toEqual([]);
  });

  it('is found where it is something else', async () => {
    const name = 'pure-files-import-pure-files';
    expect(await violations("import { go } from './processor.js';\nexport const step = go;\n")).toContain(name);
    expect(await violations("import fs from 'fs';\nexport const step = fs;\n")).toContain(name);
  });
});

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const KEPT = fileURLToPath(new URL('../../node_modules/.cache/typescript-hooks/', import.meta.url));

/** `./x.js` means `./x.ts` where only that exists. */
export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\//.test(specifier) && specifier.endsWith('.js') && context.parentURL) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (source.protocol === 'file:' && existsSync(source)) return { url: source.href, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  const fileName = fileURLToPath(url);
  return { format: 'module', source: transpile(readFileSync(fileName, 'utf8'), fileName), shortCircuit: true };
}

/** TypeScript as JavaScript; what was made once is kept by the hash of its text, since a process that a test starts reads 300 files. */
export function transpile(text, fileName) {
  const { version } = require('typescript/package.json');
  const kept =
    KEPT +
    createHash('sha256')
      .update(JSON.stringify([version, make.toString(), fileName, text]))
      .digest('hex') +
    '.mjs';
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const made = make(text, fileName);
  mkdirSync(KEPT, { recursive: true });
  writeFileSync(`${kept}.${process.pid}`, made);
  renameSync(`${kept}.${process.pid}`, kept);
  return made;
}

function make(text, fileName) {
  const ts = require('typescript');
  const { outputText } = ts.transpileModule(text, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
    },
  });
  return outputText;
}

// Loads some files with another text than they have.
import { fileURLToPath } from 'node:url';
import { transpile } from '../support/typescript-hooks.mjs';

let texts = {};

export async function initialize(files) {
  texts = files;
}

export async function load(url, context, next) {
  const text = url.startsWith('file:') ? texts[fileURLToPath(url)] : undefined;
  if (text === undefined) return next(url, context);
  return { format: 'module', source: transpile(text, fileURLToPath(url)), shortCircuit: true };
}

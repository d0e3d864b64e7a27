// `node --import ./test/support/typescript.mjs file.ts`: runs the sources as they are, so that a test can start (and kill) a process of
// its own without a build. Types are checked elsewhere.
import { register } from 'node:module';
register('./typescript-hooks.mjs', import.meta.url);

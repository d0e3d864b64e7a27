// `npm run test:mutants`: docs/mutants.md. Nothing is left in the checkout but test/mutants/node_modules.
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = join(tmpdir(), 'keelson-mutants');

export default {
  mutate: ['src/protocol/*.ts', 'src/guard/{core,step,check,mapping,describe,holdings,metrics,retry}.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner', './test/mutants/messages.mjs'],
  ignorers: ['messages'],
  vitest: { configFile: 'test/mutants/vitest.config.ts' },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 10_000,
  ignorePatterns: ['.ci', '.kafka', 'bench', 'docs', 'examples', 'migrations', 'packages'],
  tempDirName: folder,
  reporters: ['progress-append-only', 'clear-text', 'json', 'html'],
  clearTextReporter: { allowColor: false, reportTests: false, logTests: false },
  jsonReporter: { fileName: join(folder, 'mutants.json') },
  htmlReporter: { fileName: join(folder, 'mutants.html') },
};

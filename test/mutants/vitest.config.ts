import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What every mutant is shown: tests that start nothing and take no time. */
const QUICK = [
  'test/protocol/{certificate,check,fact-table,fail-open,frame,key-map,keys,lease-time,messages,open-orders,part,snapshot,state-hash,vectors,wire}.test.ts',
  'test/guard/{check,guard,holdings,mapping,memory,metrics,retry,step,vectors}.test.ts',
  'test/feed/core.test.ts',
];
/** What those are shown besides that survive: `MUTANTS_TESTS=thorough`. */
const THOROUGH = ['test/protocol/table-model.test.ts', 'test/verify/certificate.test.ts', 'test/mutants/simulation.ts'];

export default defineConfig({
  cacheDir: join(tmpdir(), 'keelson-mutants', 'vite'),
  test: {
    include: process.env.MUTANTS_TESTS === 'thorough' ? [...QUICK, ...THOROUGH] : QUICK,
    setupFiles: 'test/mutants/no-shrinking.ts',
    isolate: false,
    testTimeout: 60_000,
  },
});

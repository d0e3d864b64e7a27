import { defineConfig } from 'vitest/config';

/** `npm test`. Chaos runs (`npm run test:chaos`) have a configuration of their own, and last as long as they are told to. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/chaos/**', '**/node_modules/**'],
    globalSetup: 'test/support/global-setup.ts',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});

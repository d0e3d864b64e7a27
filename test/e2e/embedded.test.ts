import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer, type ServerProcess } from '../support/server.js';
import { runMainJob } from './main-job.js';
import { findOpa } from './opa.js';

const opa = findOpa();
let server: ServerProcess;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-e2e-'));
  server = await startServer();
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

it.skipIf(opa === undefined)('does the main job on the embedded default', async () => {
  expect(server.log).toContain(server.url);
  await runMainJob(server, opa!, folder);
  expect(server.exitCode).toBe(0);
});

/** What has to hold when the dust has settled. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { Api } from '../support/api.js';
import { readEntries, readHeads } from '../support/exported-ledger.js';
import { runKeelson, type ServerProcess } from '../support/server.js';
import type { Workload } from './workload.js';

/**
 * A ledger that stands still: nothing was appended to it for two seconds, and it has at least as many entries as are expected.
 * Where those do not come within two minutes, what is missing is for the check afterwards to name.
 */
export async function untilSettled(server: ServerProcess, atLeast: number): Promise<void> {
  const api = await Api.admin(server);
  const end = Date.now() + 120_000;
  let before = '';
  for (let still = 0; still < 4;) {
    const { status, body } = await api.get<{ logs: { published?: { size: number } }[] }>('/v1/logs');
    const now = JSON.stringify(body);
    const entries = status === 200 ? body.logs.reduce((sum, { published }) => sum + (published?.size ?? 0), 0) : 0;
    still = now === before && (entries >= atLeast || Date.now() > end) ? still + 1 : 0;
    before = now;
    await sleep(500);
  }
}

/** Exports the ledger and has the offline verifier check every entry of it. Answers the heads of its logs. */
export async function exportAndVerify(server: ServerProcess, folder: string): Promise<string[]> {
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: await server.adminToken() };
  const exported = await runKeelson(['export-tiles', folder], { env });
  expect(exported.code, exported.stderr).toBe(0);
  const keys = await runKeelson(['keys', '--json'], { env });
  const { ledger: key } = JSON.parse(keys.stdout) as { ledger: string };
  const verified = await runKeelson(['verify', folder, '--key', key, '--json']);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  return readHeads(folder);
}

/** Every acknowledged event is an entry exactly once, or one of the quarantine. */
export async function checkExactlyOnce(folder: string, workload: Workload): Promise<void> {
  const recorded = new Map<string, number>();
  let quarantined = 0;
  for await (const { record } of readEntries(folder)) {
    if (record?.type === 'decision.made') recorded.set(record.id, (recorded.get(record.id) ?? 0) + 1);
    if (record?.type === 'record.quarantined') quarantined++;
  }
  const lost = [...workload.accepted].filter((id) => !recorded.has(id));
  const doubled = [...recorded].filter(([, times]) => times > 1);
  const unknown = [...recorded.keys()].filter((id) => !workload.accepted.has(id));
  expect({ lost, doubled, unknown }).toEqual({ lost: [], doubled: [], unknown: [] });
  // What could not become an event has no key to be recognised by: an upload sent again may leave another notice.
  expect(quarantined).toBeGreaterThanOrEqual(workload.quarantined.size);
}

export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-aftermath-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

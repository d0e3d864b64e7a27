/** What is scheduled does not depend on who is there: it waits through the end of every process, and fires on time, or late and says so. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { makeDataFolder, startServer } from '../support/server.js';

const IDP = 'https://idp.example';
const inS = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

test('a leave of the future outlives the only process: on time where it is back before, at once and late where not', async () => {
  const dataFolder = await makeDataFolder();
  let server = await startServer({ dataFolder });
  try {
    let admin = await Api.admin(server);
    const orderOf = async (id: string): Promise<Json> => (await admin.get<Json>(`/v1/revocations/${id}`)).body;
    const until = (id: string, wanted: object, timeout: number): Promise<void> =>
      vi.waitFor(async () => expect(await orderOf(id)).toMatchObject(wanted), { timeout, interval: 100 });
    const isRevoked = async (subject: string): Promise<unknown> =>
      (await admin.post<Json>('/v1/check', { issuer: IDP, subject, issued_at: Date.now() / 1000 })).body.revoked;

    const missedAt = inS(6);
    const times = { missed: missedAt, waits: inS(60), later: '2999-01-01T00:00:00Z' };
    const events = Object.entries(times).map(([id, effective_at]) => ({
      type: 'principal.offboarded',
      id,
      timestamp: inS(0),
      principal: { issuer: IDP, id },
      effective_at,
    }));
    expect((await admin.post('/v1/events', events, { prefer: 'wait=20' })).status).toBe(200);
    for (const id of Object.keys(times)) await until(id, { state: 'scheduled' }, 5_000);
    await server.end('SIGKILL');

    await sleep(Date.parse(missedAt) - Date.now() + 5_000);
    server = await startServer({ dataFolder });
    admin = await Api.admin(server);
    await until('missed', { state: 'ordered', late: true }, 30_000);
    expect(await isRevoked('missed')).toBe(true);
    expect(await orderOf('waits')).toMatchObject({ state: 'scheduled' });
    expect(await isRevoked('waits')).toBe(false);
    await until('waits', { state: 'ordered' }, 90_000);
    expect(await orderOf('waits')).not.toHaveProperty('late');
    expect(await isRevoked('waits')).toBe(true);
    expect(await orderOf('later')).toMatchObject({ state: 'scheduled' });
  } finally {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  }
}, 240_000);

/** A group that was emptied by mistake, as Entra sends it: a PATCH of its own for each. Held for a second person; nobody else waits. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Json } from '../support/api.js';
import { openService, ScimClient, type Service } from './harness.js';

const PEOPLE = 200;
const HOLD = 20;
/** Requests that the client has open at once. */
const OPEN = 16;

let service: Service;
let entra: ScimClient;
let other: ScimClient;
beforeAll(async () => {
  service = await openService({ KEELSON_REVOCATION_HOLD_COUNT: String(HOLD), KEELSON_REVOCATION_SKEW_MS: '0' });
  entra = await ScimClient.open(service, 'entra');
  other = await ScimClient.open(service, 'other', undefined, { issuer: 'https://other.example' });
});
afterAll(() => service?.close());

async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of left) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: OPEN }, worker));
  return results;
}

test('what is beyond the count is held, and others are not', async () => {
  const { admin } = service;
  const names = Array.from({ length: PEOPLE }, (_, i) => `p${i}@idp.example`);
  const ids = await eachOf(names, (name) => entra.user(name));
  const leaves = await other.user('leaves@other.example');
  const deactivate = { op: 'Replace', path: 'active', value: 'False' };

  const flood = eachOf(ids, async (id) => (await entra.patch(`/Users/${id}`, deactivate)).status);
  const of = async (query: string): Promise<Json[]> =>
    (await admin.get<{ revocations: Json[] }>(`/v1/revocations?${query}`)).body.revocations;
  await vi.waitFor(async () => expect(await of('source=entra&state=held')).not.toEqual([]), { timeout: 30_000 });
  const asked = await admin.post<{ order: string }>('/v1/revocations', {
    target: { type: 'agent', value: 'bot' },
    reason: 'now',
  });
  expect(asked.status).toBeLessThan(300);
  expect((await other.patch(`/Users/${leaves}`, deactivate)).status).toBe(200);
  for (const source of ['other', 'admin']) {
    await vi.waitFor(async () => expect(await of(`source=${source}`)).toMatchObject([{ state: 'ordered' }]), {
      timeout: 20_000,
    });
  }

  expect(new Set(await flood)).toEqual(new Set([200]));
  const count = async (state: string): Promise<number> => (await of(`source=entra&limit=1000&state=${state}`)).length;
  await vi.waitFor(async () => expect([await count('ordered'), await count('held')]).toEqual([HOLD, PEOPLE - HOLD]), {
    timeout: 20_000,
    interval: 200,
  });
  const isRevoked = async (subject: string): Promise<unknown> =>
    (await admin.post<Json>('/v1/check', { issuer: 'https://idp.example', subject, issued_at: Date.now() / 1000 })).body
      .revoked;
  const revoked = (await eachOf(names, isRevoked)).filter((is) => is === true);
  expect(revoked).toHaveLength(HOLD);
}, 180_000);

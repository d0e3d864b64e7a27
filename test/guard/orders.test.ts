import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import type { Refused } from '../../src/guard/check.js';
import { Orders } from '../../src/guard/orders.js';
import { keyOf, makeGuard } from './support.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A feed that answers as it is told; the keys that it was asked for, by request. */
async function listen(answer: (keys: string[]) => [status: number, body: string]): Promise<[Orders, string[][]]> {
  const asked: string[][] = [];
  const server = createServer((request, response) => {
    const keys = new URL(request.url!, 'http://feed').searchParams.get('keys')!.split(',');
    asked.push(keys);
    const [status, body] = answer(keys);
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { canaryKey, options } = makeGuard().core;
  const { membership } = options;
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const orders = new Orders({ url, membership }, canaryKey, () => undefined);
  closing.push(
    () => server.close(),
    () => orders.close(),
  );
  return [orders, asked];
}

const refusal = (name: string, seq = 1): Refused => ({
  allowed: false,
  reason: 'blocked',
  seq,
  key: keyOf('principal', name),
});
const ORDER = 'ab'.repeat(16);
const told = (keys: string[]): [number, string] => [
  200,
  JSON.stringify({ orders: Object.fromEntries(keys.map((key) => [key, [ORDER, 'cd'.repeat(16)]])) }),
];

async function named(orders: Orders, refused: Refused): Promise<Refused> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(5)) {
    const found = orders.name(refused);
    if (found.order !== undefined) return found;
  }
  throw new Error('never named');
}

it('asks once for many keys, and again only after a change', async () => {
  const [orders, asked] = await listen(told);
  const many = Array.from({ length: 40 }, (_, n) => refusal(`user-${n}`));
  for (const one of many) expect(orders.name(one).order).toBeUndefined();
  for (const one of many) expect(await named(orders, one)).toEqual({ ...one, order: ORDER });
  expect(asked.map((keys) => keys.length)).toEqual([32, 8]);
  await named(orders, refusal('user-3', 2));
  expect(asked.at(-1)).toEqual([formatHex(keyOf('principal', 'user-3'))]);
  expect(orders.name({ allowed: false, reason: 'stale', seq: 3 })).toEqual({ allowed: false, reason: 'stale', seq: 3 });
});

it('asks for no canary: every guard refuses one at every order', async () => {
  const [orders, asked] = await listen(told);
  const canary: Refused = { allowed: false, reason: 'cutoff', seq: 1, key: makeGuard().core.canaryKey };
  expect(orders.name(canary)).toEqual(canary);
  await named(orders, refusal('ana'));
  expect(asked).toEqual([[formatHex(keyOf('principal', 'ana'))]]);
});

it.each([
  ['an error', [500, '']],
  ['something else', [200, 'null']],
  ['no JSON', [200, '<html>']],
] as const)('that get %s refuse all the same, and learn it later', async (_, [status, body]) => {
  let isBad = true;
  const [orders, asked] = await listen((keys) => (isBad ? [status, body] : told(keys)));
  orders.name(refusal('ana'));
  while (asked.length === 0) await sleep(5);
  expect(orders.name(refusal('ana')).order).toBeUndefined();
  isBad = false;
  expect((await named(orders, refusal('ana'))).order).toBe(ORDER);
});

it('asks again where the feed does not know yet, and not for ever', async () => {
  let answers = 0;
  const [orders, asked] = await listen((keys) => (++answers < 2 ? [200, '{"orders":{}}'] : told(keys)));
  expect((await named(orders, refusal('ana'))).order).toBe(ORDER);
  expect(asked).toHaveLength(2);
  const [never, times] = await listen(() => [200, '{"orders":{}}']);
  for (const end = Date.now() + 3_500; Date.now() < end; await sleep(20)) never.name(refusal('ana'));
  expect(times).toHaveLength(3);
});

it('names nothing that is no order', async () => {
  const [orders, asked] = await listen((keys) => [200, JSON.stringify({ orders: { [keys[0]!]: ['<script>'] } })]);
  orders.name(refusal('ana'));
  while (asked.length === 0) await sleep(5);
  await sleep(50);
  expect(orders.name(refusal('ana'))).toEqual(refusal('ana'));
});

import { expect, it } from 'vitest';
import { Precedence } from '../../src/ledger/precedence.js';

it('work in bulk goes at once where nothing is urgent, else once nothing is any more', async () => {
  const precedence = new Precedence();
  const order: string[] = [];
  await precedence.giveWay();
  order.push('bulk');
  precedence.urgent();
  const waiting = precedence.giveWay().then(() => order.push('bulk again'));
  await new Promise((resolve) => setImmediate(resolve));
  order.push('urgent');
  await waiting;
  expect(order).toEqual(['bulk', 'urgent', 'bulk again']);
});

it('it is never stopped, however much is urgent, and goes on at once when all stops', async () => {
  const precedence = new Precedence();
  const always = setInterval(() => precedence.urgent(), 1);
  try {
    precedence.urgent();
    for (let piece = 0; piece < 3; piece++) await precedence.giveWay();
    await precedence.giveWay(AbortSignal.abort());
  } finally {
    clearInterval(always);
  }
});

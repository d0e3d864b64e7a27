import { expect, test } from 'vitest';
import { Closing } from '../../src/server/closing.js';

test('closes in the opposite order, once, whatever fails', async () => {
  const closing = new Closing();
  const order: string[] = [];
  closing.add(() => void order.push('first'));
  closing.add(async () => {
    order.push('second');
    throw new Error('second failed');
  });
  closing.add(() => void order.push('third'));
  await expect(closing.close()).rejects.toThrow('second failed');
  await expect(closing.close()).rejects.toThrow('second failed');
  expect(order).toEqual(['third', 'second', 'first']);
});

import { expect, it } from 'vitest';
import { Turns } from '../../src/feed/turns.js';

it('an instance has so much under way and no more, whatever others do; what failed is over, too', async () => {
  const turns = new Turns(2);
  const [a, b] = ['a', 'b'].map((name) => ({ id: Buffer.alloc(16, name) }));
  const ends: ((error?: Error) => void)[] = [];
  const wait = (): Promise<void> =>
    new Promise((resolve, reject) => ends.push((error) => (error === undefined ? resolve() : reject(error))));
  const first = turns.take(a!, wait);
  const second = turns.take(a!, wait);
  await expect(turns.take(a!, wait)).rejects.toMatchObject({ code: 'overloaded' });
  expect(await turns.take(b!, async () => 'b')).toBe('b');
  ends[0]!(new Error('it failed'));
  await expect(first).rejects.toThrow('it failed');
  expect(await turns.take(a!, async () => 'a')).toBe('a');
  ends[1]!();
  await second;
});

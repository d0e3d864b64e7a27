import { pino } from 'pino';
import { expect, it } from 'vitest';
import { startHousekeeping } from '../../src/server/housekeeping.js';

const logger = pino({ level: 'silent' });

it('does every chore at once and again, also behind one that fails; after stopping none', async () => {
  let done = 0;
  let again!: () => void;
  const twice = new Promise<void>((resolve) => (again = resolve));
  const stop = startHousekeeping(
    [
      { name: 'fails', run: () => Promise.reject(new Error('not now')) },
      {
        name: 'counts',
        run: async () => {
          if (++done === 2) again();
          return 1;
        },
      },
    ],
    logger,
    5,
  );
  await twice;
  await stop();
  const before = done;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(done).toBe(before);
});

it('stopping waits for the chore under way, and begins no other', async () => {
  let finish!: (count: number) => void;
  let others = 0;
  const stop = startHousekeeping(
    [
      { name: 'slow', run: () => new Promise((resolve) => (finish = resolve)) },
      { name: 'other', run: async () => ++others },
    ],
    logger,
  );
  await Promise.resolve();
  let stopped = false;
  const stopping = stop().then(() => (stopped = true));
  await Promise.resolve();
  expect(stopped).toBe(false);
  finish(0);
  await stopping;
  expect(others).toBe(0);
});

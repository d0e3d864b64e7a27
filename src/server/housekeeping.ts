import type { Logger } from '../platform/logger.js';

/** Something that is thrown away when its time has come. */
export interface Chore {
  readonly name: string;
  /** Answers how much was thrown away. Done twice, or by two processes, it does no harm. */
  readonly run: () => Promise<number>;
}

const EVERY_MS = 3_600_000;

/**
 * Does every chore now and once an hour. One that fails is tried again the next hour: nothing here is urgent, and nothing
 * waits for it.
 * @returns how to stop; resolves when no chore is under way any more.
 */
export function startHousekeeping(chores: readonly Chore[], logger: Logger, everyMs = EVERY_MS): () => Promise<void> {
  let running = Promise.resolve();
  let stopped = false;
  const round = async (): Promise<void> => {
    for (const { name, run } of chores) {
      if (stopped) return;
      try {
        const count = await run();
        if (count > 0) logger.info({ chore: name, count }, 'housekeeping');
      } catch (error) {
        logger.warn({ err: error, chore: name }, 'housekeeping is tried again in an hour');
      }
    }
  };
  const next = (): void => {
    running = running.then(round);
  };
  next();
  const timer = setInterval(next, everyMs).unref();
  return () => {
    stopped = true;
    clearInterval(timer);
    return running;
  };
}

import { uptime } from 'node:os';
import type { LeaseClock } from '../protocol/lease-time.js';

/** This machine's clocks. `os.uptime` counts suspension; on Linux `performance.now` does not. */
export const nodeClock: LeaseClock = {
  monotonicUs: () => performance.now() * 1000,
  wallUs: () => Date.now() * 1000,
  uptimeUs: () => uptime() * 1_000_000,
};

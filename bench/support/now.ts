/** Milliseconds on a clock that all processes of this machine share (Linux: CLOCK_MONOTONIC). */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The same moment, of one told by this process's `performance.now()`. */
export const fromPerformance = (atMs: number): number => atMs + nowMs() - performance.now();

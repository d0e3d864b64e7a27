/** Time, passed in, so that tests can hold it. */
export interface Clock {
  /** Wall clock, microseconds since 1970 UTC. May step back. */
  nowUs(): bigint;
  /** Milliseconds from an arbitrary start; never steps back. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowUs: () => BigInt(Date.now()) * 1000n,
  monotonicMs: () => performance.now(),
};

/** How stale a guard's table may be where nothing is committed for a tool, microseconds. A tool may only ask for less. */
export const DEFAULT_STALENESS_US = 60_000_000;

import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8's heap grow to three times what was live after the last collection before it is marked again. Events pass through as
 * buffers, which V8 counts: a small heap would be marked anew for every few megabytes of them (docs/performance.md).
 */
export function growHeap(): void {
  setFlagsFromString('--heap-growing-percent=200');
}

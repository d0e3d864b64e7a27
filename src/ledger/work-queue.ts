import type { Batch, Message } from '../eventlog/port.js';

/** Offsets `[from, to)` and the messages in them, to become one transaction. */
export interface Work {
  readonly from: bigint;
  readonly to: bigint;
  readonly messages: readonly Message[];
}

/** What a log was handed and has not begun to write, in pieces as small as a batch may be, taken in as large ones as it may be. */
export class WorkQueue {
  #pieces: Work[] = [];
  #bytes = 0;

  /** @param batchBytesMax of packs in one batch; a single greater one is a batch by itself. */
  constructor(private readonly batchBytesMax: number) {}

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Whether there is more than one batch. */
  get isFull(): boolean {
    return this.#bytes > this.batchBytesMax;
  }

  /** The offset it begins at. */
  get from(): bigint | undefined {
    return this.#pieces[0]?.from;
  }

  add(batch: Batch): void {
    for (const piece of splitBatch(batch, this.batchBytesMax)) {
      this.#pieces.push(piece);
      this.#bytes += bytesOf(piece);
    }
  }

  /** As much as makes one batch; the queue is not empty. */
  take(): Work {
    const taken: Work[] = [];
    let bytes = 0;
    while (this.#pieces.length > 0) {
      const next = bytesOf(this.#pieces[0]!);
      if (taken.length > 0 && bytes + next > this.batchBytesMax) break;
      taken.push(this.#pieces.shift()!);
      bytes += next;
    }
    this.#bytes -= bytes;
    const messages = taken.flatMap((work) => work.messages);
    return { from: taken[0]!.from, to: taken.at(-1)!.to, messages };
  }

  /** Puts what was taken last, and did not come to its end, in front again. */
  putBack(works: readonly Work[]): void {
    this.#set([...works, ...this.#pieces]);
  }

  /** Forgets what stands below `next`. */
  dropBelow(next: bigint): void {
    const kept = this.#pieces.flatMap((work): Work[] => {
      if (work.to <= next) return [];
      if (work.from >= next) return [work];
      return [{ from: next, to: work.to, messages: work.messages.filter(({ offset }) => offset >= next) }];
    });
    this.#set(kept);
  }

  #set(pieces: Work[]): void {
    this.#pieces = pieces;
    this.#bytes = pieces.reduce((sum, piece) => sum + bytesOf(piece), 0);
  }
}

const bytesOf = (work: Work): number => work.messages.reduce((sum, { pack }) => sum + pack.length, 64);

/** One piece of work per message or so, so that a batch can be as small as one. */
function splitBatch(batch: Batch, bytesMax: number): Work[] {
  const pieces: Work[] = [];
  let from = batch.from;
  let bytes = 0;
  let messages: Message[] = [];
  for (const message of batch.messages) {
    if (messages.length > 0 && bytes + message.pack.length > bytesMax) {
      pieces.push({ from, to: message.offset, messages });
      from = message.offset;
      messages = [];
      bytes = 0;
    }
    messages.push(message);
    bytes += message.pack.length;
  }
  pieces.push({ from, to: batch.to, messages });
  return pieces;
}

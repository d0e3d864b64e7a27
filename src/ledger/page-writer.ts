import { PAGE_BYTES_MAX, type Page } from './page.js';

/** PostgreSQL, "COPY", binary format: signature, flags, no extension. */
const COPY_HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
/** Message framing: `d`, int32 length that counts itself. */
const FRAME_BYTES = 5;
/** A row of page (first_index, count, log, entries): field count, then each length and value; entries follow. */
const ROW_BYTES = 2 + (4 + 8) + (4 + 4) + (4 + 2) + 4;
const COUNT_AT = 2 + 12 + 4;
const LENGTH_AT = ROW_BYTES - 4;
/** Small enough that the database has something to do soon; full, because memory that is taken and not used costs as much. */
const SLICE_BYTES_MAX = 128 * 1024;

/** `COPY` of the pages this writer makes. */
export const COPY_PAGES = 'copy keelson.page (first_index, count, log, entries) from stdin (format binary)';
/** What ends it: the trailer in a CopyData message, and CopyDone. */
export const COPY_END = Buffer.from('6400000006ffff6300000004', 'hex');

/**
 * Lays entries into pages, and pages into CopyData messages ready for the socket: an entry's bytes are copied once, to where
 * they are hashed, sent from and handed on from. A slice that was emitted must not be written to any more.
 */
export class PageWriter {
  readonly pages: Page[] = [];
  readonly #log: number;
  readonly #emit: (slice: Uint8Array) => void;
  readonly #sliceBytes: number;
  #nextIndex: number;
  #slice: Buffer | undefined;
  #end = 0;
  /** Start of the open page's row in the slice, or −1. */
  #row = -1;
  #rowCount = 0;
  #started = false;

  /**
   * @param firstIndex of the first entry; below 2^53
   * @param expectedBytes about how much will be written, so that a small batch takes a small slice
   * @param emit takes each finished slice, in order
   */
  constructor(log: number, firstIndex: number, expectedBytes: number, emit: (slice: Uint8Array) => void) {
    this.#log = log;
    this.#sliceBytes = Math.min(SLICE_BYTES_MAX, expectedBytes + (expectedBytes >> 4) + 256);
    this.#nextIndex = firstIndex;
    this.#emit = emit;
  }

  /** The buffer the last `reserve` was made in. */
  get buffer(): Buffer {
    return this.#slice!;
  }

  /** The index of the entry that `reserve` makes room for next. */
  get nextIndex(): number {
    return this.#nextIndex;
  }

  /**
   * Makes room for an entry of `length` bytes (1 to 65,535), its length written before it, and answers where in `buffer` it
   * starts. The caller writes all of it before the next call.
   */
  reserve(length: number): number {
    const framed = 2 + length;
    if (this.#row >= 0 && this.#end - this.#row - ROW_BYTES + framed > PAGE_BYTES_MAX) this.#closePage();
    if (!this.#slice || this.#end + framed + (this.#row < 0 ? ROW_BYTES : 0) > this.#slice.length) {
      this.flush();
      this.#openSlice(framed);
    }
    if (this.#row < 0) this.#openPage();
    this.#end = this.#slice!.writeUInt16BE(length, this.#end) + length;
    this.#rowCount++;
    this.#nextIndex++;
    return this.#end - length;
  }

  /** Emits what is there. */
  flush(): void {
    if (!this.#slice) return;
    this.#closePage();
    this.#slice[0] = 0x64;
    this.#slice.writeInt32BE(this.#end - 1, 1);
    this.#emit(this.#slice.subarray(0, this.#end));
    this.#slice = undefined;
  }

  #openSlice(framed: number): void {
    const needed = FRAME_BYTES + COPY_HEADER.length + ROW_BYTES + framed;
    this.#slice = Buffer.allocUnsafeSlow(Math.max(this.#sliceBytes, needed));
    this.#end = FRAME_BYTES;
    if (!this.#started) this.#end += COPY_HEADER.copy(this.#slice, this.#end);
    this.#started = true;
  }

  #openPage(): void {
    const slice = this.#slice!;
    this.#row = this.#end;
    let at = slice.writeInt16BE(4, this.#end);
    at = slice.writeInt32BE(8, at);
    at = slice.writeBigInt64BE(BigInt(this.#nextIndex), at);
    at = slice.writeInt32BE(4, at) + 4;
    at = slice.writeInt32BE(2, at);
    this.#end = slice.writeInt16BE(this.#log, at) + 4;
    this.#rowCount = 0;
  }

  #closePage(): void {
    if (this.#row < 0) return;
    const slice = this.#slice!;
    const start = this.#row + ROW_BYTES;
    slice.writeInt32BE(this.#rowCount, this.#row + COUNT_AT);
    slice.writeInt32BE(this.#end - start, this.#row + LENGTH_AT);
    this.pages.push({
      firstIndex: BigInt(this.#nextIndex - this.#rowCount),
      count: this.#rowCount,
      entries: slice.subarray(start, this.#end),
    });
    this.#row = -1;
  }
}

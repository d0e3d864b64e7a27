/**
 * Splits a stream of JSON into its events without holding more than one: a JSON array, NDJSON, documents one after the
 * other, or a single one. Only structure is looked at here; whether an item is JSON is for `JSON.parse` to say.
 */

export interface Item {
  /** 0-based place in the input. */
  readonly index: number;
  readonly text: string;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const COMMA = 0x2c;

/** The greatest item that is read into memory, in bytes; a server takes less. */
export const MAX_ITEM_BYTES = 64 * 1024 * 1024;

/**
 * @param input UTF-8 bytes in any cut
 * @throws RangeError an item is greater than `MAX_ITEM_BYTES`; SyntaxError the input ends inside an item, something that
 *   is no object or array stands between items, or an item is not UTF-8
 */
export async function* splitItems(input: AsyncIterable<Uint8Array>): AsyncGenerator<Item> {
  const scanner = new ItemScanner();
  for await (const chunk of input) yield* scanner.push(chunk);
  scanner.end();
}

class ItemScanner {
  #index = 0;
  #depth = 0;
  #inArray = false;
  #started = false;
  #inString = false;
  #escaped = false;
  #parts: Uint8Array[] = [];
  #length = 0;

  *push(chunk: Uint8Array): Generator<Item> {
    let from = this.#depth > 0 ? 0 : -1;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#depth === 0) {
        if (this.#between(byte)) continue;
        from = at;
        this.#depth = 1;
      } else if (this.#inString) this.#string(byte);
      else if (byte === QUOTE) this.#inString = true;
      else if (OPEN.has(byte)) this.#depth++;
      else if (CLOSE.has(byte) && --this.#depth === 0) {
        yield this.#take(chunk.subarray(from, at + 1));
        from = -1;
      }
    }
    if (from >= 0) this.#keep(chunk.subarray(from));
  }

  end(): void {
    if (this.#depth > 0 || this.#inArray) throw new SyntaxError(`the input ends inside item ${this.#index}`);
  }

  /** True while `byte` belongs to what stands between items. */
  #between(byte: number): boolean {
    if (SPACE.has(byte)) return true;
    const first = !this.#started;
    this.#started = true;
    if (first && byte === ARRAY_OPEN) return (this.#inArray = true);
    if (byte === ARRAY_CLOSE && this.#inArray) return !(this.#inArray = false);
    if (byte === COMMA && this.#inArray) return true;
    if (!OPEN.has(byte)) throw new SyntaxError(`item ${this.#index} is not a JSON object`);
    return false;
  }

  #string(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > MAX_ITEM_BYTES)
      throw new RangeError(`item ${this.#index} is greater than ${MAX_ITEM_BYTES} bytes`);
    this.#parts.push(part);
  }

  #take(last: Uint8Array): Item {
    this.#keep(last);
    const text = this.#decode(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#length = 0;
    return { index: this.#index++, text };
  }

  #decode(bytes: Uint8Array): string {
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new SyntaxError(`item ${this.#index} is not UTF-8`);
    }
  }
}

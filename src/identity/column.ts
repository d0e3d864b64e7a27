/** Arrays that grow: a column of the graph in as few bytes as its values need. */

type Numbers = Int32Array | Uint32Array | Uint16Array | Uint8Array | Float64Array;

/** Grows by a sixteenth: what is unused stays small beside what is used. */
const GROW = 16;
const LEAST = 1024;

export class Column<A extends Numbers> {
  array: A;

  constructor(private readonly make: new (length: number) => A) {
    this.array = new make(LEAST);
  }

  /** Makes room for indexes below `length`; what is new is 0. */
  reserve(length: number): void {
    const { array } = this;
    if (length <= array.length) return;
    const grown = new this.make(Math.max(length, array.length + (array.length >>> 4) + GROW));
    grown.set(array);
    this.array = grown;
  }

  /** Sets 0, also beyond the end, where nothing is. */
  clear(index: number): void {
    this.array[index] = 0;
  }

  /** How many indexes there is room for. */
  get room(): number {
    return this.array.length;
  }

  get bytes(): number {
    return this.array.byteLength;
  }
}

/** Columns of the same indexes, which grow together. */
export class Columns {
  /** How many indexes there is room for. */
  #room = 0;
  readonly #columns: readonly Reserved[];

  constructor(...columns: readonly Reserved[]) {
    this.#columns = columns;
  }

  /** Makes room for indexes below `length`. */
  reserve(length: number): void {
    if (length <= this.#room) return;
    for (const column of this.#columns) column.reserve(length);
    this.#room = Math.min(...this.#columns.map(({ room }) => room));
  }

  /** Sets 0 in each. */
  clear(index: number): void {
    for (const column of this.#columns) column.clear(index);
  }

  get bytes(): number {
    return this.#columns.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

interface Reserved {
  readonly room: number;
  readonly bytes: number;
  reserve(length: number): void;
  clear(index: number): void;
}

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

  get bytes(): number {
    return this.array.byteLength;
  }
}

/** Who used what, and since when: pairs of nodes with the time of the first entry that says so. */
import { Column, Columns } from './column.js';

export class Uses {
  count = 0;
  readonly #users = new Column(Int32Array);
  readonly #used = new Column(Int32Array);
  readonly #firstUs = new Column(Float64Array);
  /** Next of the same user: use + 1, or 0; and the first of each node. */
  readonly #next = new Column(Int32Array);
  readonly #columns = new Columns(this.#users, this.#used, this.#firstUs, this.#next);
  readonly #ofUser = new Column(Int32Array);
  /** Open addressing: use + 1, or 0. */
  #table = new Int32Array(4096);

  /** Notes a use. Answers its number where that is new, or earlier than what was known; −1 where it says nothing new. */
  add(user: number, used: number, atUs: number): number {
    const place = this.#placeOf(user, used);
    const found = this.#table[place]! - 1;
    if (found >= 0) {
      if (this.#firstUs.array[found]! <= atUs) return -1;
      this.#firstUs.array[found] = atUs;
      return found;
    }
    const use = this.count++;
    this.#columns.reserve(this.count);
    this.#ofUser.reserve(user + 1);
    this.#users.array[use] = user;
    this.#used.array[use] = used;
    this.#firstUs.array[use] = atUs;
    this.#next.array[use] = this.#ofUser.array[user]!;
    this.#ofUser.array[user] = use + 1;
    this.#table[place] = use + 1;
    if (this.count * 2 > this.#table.length) this.#grow();
    return use;
  }

  user(use: number): number {
    return this.#users.array[use]!;
  }

  used(use: number): number {
    return this.#used.array[use]!;
  }

  firstUs(use: number): number {
    return this.#firstUs.array[use]!;
  }

  /** The first use by this node; −1: none. */
  first(user: number): number {
    return (this.#ofUser.array[user] ?? 0) - 1;
  }

  next(use: number): number {
    return this.#next.array[use]! - 1;
  }

  get bytes(): number {
    return this.#columns.bytes + this.#ofUser.bytes + this.#table.byteLength;
  }

  #placeOf(user: number, used: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let place = mix(user, used) & mask;
    for (let found = table[place]!; found !== 0; found = table[place]!) {
      if (this.#users.array[found - 1] === user && this.#used.array[found - 1] === used) break;
      place = (place + 1) & mask;
    }
    return place;
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let use = 0; use < this.count; use++) {
      let place = mix(this.#users.array[use]!, this.#used.array[use]!) & mask;
      while (table[place] !== 0) place = (place + 1) & mask;
      table[place] = use + 1;
    }
    this.#table = table;
  }
}

function mix(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

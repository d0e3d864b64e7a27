/** Which orders are open on which key: what a server keeps beside the facts, so that a lift takes away its own block only. */
import { KEY_BYTES } from './keys.js';
import { KEY_WORDS, KeyMap } from './key-map.js';

/** One order is a slot's word itself, as its number + 1; of several the word is −1 − their place in `#several`. */
export class OpenOrders {
  readonly #map = new KeyMap(1);
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #several: Set<number>[] = [];
  readonly #free: number[] = [];

  /** How many keys have an open order. */
  get size(): number {
    return this.#map.size;
  }

  /** Opens `order` on the key at `bytes[at, at + 16)`; false where it was open. */
  open(bytes: Uint8Array, at: number, order: string): boolean {
    const number = this.#numberOf(order);
    const sizeBefore = this.#map.size;
    const slot = this.#map.insert(bytes, at, number + 1);
    if (this.#map.size > sizeBefore) return true;
    const word = this.#map.words[slot + KEY_WORDS]!;
    if (word < 0) {
      const orders = this.#several[-1 - word]!;
      return orders.size < orders.add(number).size;
    }
    if (word === number + 1) return false;
    const place = this.#free.pop() ?? this.#several.length;
    this.#several[place] = new Set([word - 1, number]);
    this.#map.words[slot + KEY_WORDS] = -1 - place;
    return true;
  }

  /** Closes it again; false where it was not open. */
  close(bytes: Uint8Array, at: number, order: string): boolean {
    const number = this.#numbers.get(order);
    const slot = this.#map.find(bytes, at);
    if (number === undefined || slot < 0) return false;
    const word = this.#map.words[slot + KEY_WORDS]!;
    if (word > 0) {
      if (word !== number + 1) return false;
      this.#map.remove(slot);
      return true;
    }
    const orders = this.#several[-1 - word]!;
    if (!orders.delete(number)) return false;
    if (orders.size === 1) {
      this.#map.words[slot + KEY_WORDS] = [...orders][0]! + 1;
      this.#free.push(-1 - word);
    }
    return true;
  }

  /** Closes all orders on a key. */
  forget(bytes: Uint8Array, at: number): void {
    const slot = this.#map.find(bytes, at);
    if (slot < 0) return;
    const word = this.#map.words[slot + KEY_WORDS]!;
    if (word < 0) this.#free.push(-1 - word);
    this.#map.remove(slot);
  }

  has(bytes: Uint8Array, at = 0): boolean {
    return this.#map.find(bytes, at) >= 0;
  }

  /** The orders open on a key, as they were opened. */
  of(bytes: Uint8Array, at = 0): string[] {
    const slot = this.#map.find(bytes, at);
    return slot < 0 ? [] : this.#ordersAt(slot);
  }

  /** Every key and its orders, in ascending order of keys. Must not change meanwhile. */
  *entries(): Generator<{ key: Uint8Array; orders: string[] }> {
    for (const slot of this.#map.slots()) {
      const key = new Uint8Array(KEY_BYTES);
      this.#map.readKey(slot, key, 0);
      yield { key, orders: this.#ordersAt(slot) };
    }
  }

  #ordersAt(slot: number): string[] {
    const word = this.#map.words[slot + KEY_WORDS]!;
    const numbers = word > 0 ? [word - 1] : [...this.#several[-1 - word]!];
    return numbers.map((number) => this.#names[number]!);
  }

  #numberOf(order: string): number {
    let number = this.#numbers.get(order);
    if (number === undefined) {
      number = this.#names.push(order) - 1;
      this.#numbers.set(order, number);
    }
    return number;
  }
}

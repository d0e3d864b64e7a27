/**
 * Every node, as a small number: its kind, its issuer and its id, found again by all three. Ids lie in one arena of bytes and are
 * compared there, packed (packed-id.ts), so that a million of them are no million strings.
 */
import { Column, Columns } from './column.js';
import { NODE_KINDS, kindNumber, type NodeKind } from './kinds.js';
import { nodeKey } from './node-key.js';
import { packed, packId, unpackId } from './packed-id.js';

const CHUNK_BITS = 20;
const CHUNK_BYTES = 1 << CHUNK_BITS;
/** An id is no longer than a record. */
const ID_BYTES_MAX = 65_536;

/** To hash a name takes a microsecond, and of edges the same parents are saved again and again. A power of two. */
const RECENT_KEYS = 16_384;

const scratch = Buffer.allocUnsafeSlow(ID_BYTES_MAX * 3);

/** Instead of a kind: the node was removed, and its number is free. */
const FREE = 255;
/** A kind, and above it the form of the id: together one byte. */
const FORM_BITS = 4;
const KIND_MASK = (1 << FORM_BITS) - 1;

export class Nodes {
  /** Nodes are numbers below this; those that were removed are in between. */
  end = 0;
  /** Whether the last `intern` made a node. */
  isNew = false;
  /** Kind and form, or `FREE`. */
  readonly #kinds = new Column(Uint8Array);
  readonly #issuers = new Column(Int32Array);
  readonly #issuerTexts: string[] = [''];
  readonly #issuerNumbers = new Map<string, number>([['', 0]]);
  /** Where an id begins in the arena, and its bytes. */
  readonly #starts = new Column(Int32Array);
  readonly #lengths = new Column(Uint16Array);
  readonly #columns = new Columns(this.#kinds, this.#issuers, this.#starts, this.#lengths);
  readonly #chunks: Buffer[] = [];
  #arenaEnd = 0;
  /** Keys that were asked for lately, by the last bits of their nodes; and of which nodes: node + 1. */
  readonly #keys: Buffer[] = [];
  readonly #keyNodes = new Int32Array(RECENT_KEYS);
  /** Open addressing: node + 1, or 0. */
  #table = new Int32Array(4096);
  /** Numbers that are free, and places in the arena, by the length of an id. */
  readonly #free: number[] = [];
  readonly #freeStarts = new Map<number, number[]>();

  /** How many there are. */
  get size(): number {
    return this.end - this.#free.length;
  }

  /** The node of this name; −1 where there is none. `id` of a principal: its 16 bytes. */
  find(kind: NodeKind, issuer: string, id: string | Uint8Array): number {
    const issuerNumber = this.#issuerNumbers.get(issuer);
    if (issuerNumber === undefined) return -1;
    const kindAndForm = write(kind, id);
    return this.#table[this.#placeOf(kindAndForm, issuerNumber, packed.length)]! - 1;
  }

  /** The node of this name, made where it is new (`isNew`). */
  intern(kind: NodeKind, issuer: string, id: string | Uint8Array): number {
    let issuerNumber = this.#issuerNumbers.get(issuer);
    if (issuerNumber === undefined) {
      issuerNumber = this.#issuerTexts.push(issuer) - 1;
      this.#issuerNumbers.set(issuer, issuerNumber);
    }
    const kindAndForm = write(kind, id);
    const { length } = packed;
    const place = this.#placeOf(kindAndForm, issuerNumber, length);
    const found = this.#table[place]!;
    this.isNew = found === 0;
    if (found !== 0) return found - 1;
    return this.#make(kindAndForm, issuerNumber, length, place);
  }

  /** Removes a node: its number and its bytes go to others. */
  remove(node: number): void {
    const length = this.#lengths.array[node]!;
    this.#bytes(node).copy(scratch);
    this.#removeFromTable(this.#placeOf(this.#kinds.array[node]!, this.#issuers.array[node]!, length));
    const starts = this.#freeStarts.get(length);
    if (starts === undefined) this.#freeStarts.set(length, [this.#starts.array[node]!]);
    else starts.push(this.#starts.array[node]!);
    this.#kinds.array[node] = FREE;
    const recent = node & (RECENT_KEYS - 1);
    if (this.#keyNodes[recent] === node + 1) this.#keyNodes[recent] = 0;
    this.#free.push(node);
  }

  /** Whether there is a node of this number. */
  has(node: number): boolean {
    return node < this.end && this.#kinds.array[node] !== FREE;
  }

  kind(node: number): NodeKind {
    return NODE_KINDS[this.#kinds.array[node]! & KIND_MASK]!;
  }

  issuer(node: number): string {
    return this.#issuerTexts[this.#issuers.array[node]!]!;
  }

  /** Its id; of a principal the pseudonym in lower-case hex. */
  id(node: number): string {
    const start = this.#starts.array[node]!;
    const chunk = this.#chunks[start >>> CHUNK_BITS]!;
    const from = start & (CHUNK_BYTES - 1);
    const to = from + this.#lengths.array[node]!;
    const kind = this.#kinds.array[node]!;
    return kind === kindNumber.principal
      ? chunk.toString('hex', from, to)
      : unpackId(kind >>> FORM_BITS, chunk, from, to);
  }

  /** Of a principal: a view of its 16 bytes. */
  pseudonym(node: number): Buffer {
    return this.#bytes(node);
  }

  /** The node's name in the database (node-key.ts). */
  key(node: number): Buffer {
    const place = node & (RECENT_KEYS - 1);
    if (this.#keyNodes[place] === node + 1) return this.#keys[place]!;
    const kind = this.kind(node);
    const id = kind === 'principal' ? this.pseudonym(node) : this.id(node);
    const key = nodeKey(kind, this.issuer(node), id);
    this.#keyNodes[place] = node + 1;
    this.#keys[place] = key;
    return key;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#columns.bytes + this.#chunks.length * CHUNK_BYTES + this.#table.byteLength;
  }

  #bytes(node: number): Buffer {
    const start = this.#starts.array[node]!;
    const at = start & (CHUNK_BYTES - 1);
    return this.#chunks[start >>> CHUNK_BITS]!.subarray(at, at + this.#lengths.array[node]!);
  }

  #make(kind: number, issuer: number, length: number, place: number): number {
    const node = this.#free.pop() ?? this.end++;
    this.#columns.reserve(this.end);
    this.#kinds.array[node] = kind;
    this.#issuers.array[node] = issuer;
    this.#starts.array[node] = this.#store(length);
    this.#lengths.array[node] = length;
    this.#table[place] = node + 1;
    if (this.size * 4 > this.#table.length * 3) this.#grow();
    return node;
  }

  #store(length: number): number {
    const free = this.#freeStarts.get(length)?.pop();
    if (free !== undefined) {
      scratch.copy(this.#chunks[free >>> CHUNK_BITS]!, free & (CHUNK_BYTES - 1), 0, length);
      return free;
    }
    if (this.#arenaEnd + length > this.#chunks.length * CHUNK_BYTES) {
      this.#arenaEnd = this.#chunks.length * CHUNK_BYTES;
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
    }
    const start = this.#arenaEnd;
    scratch.copy(this.#chunks[start >>> CHUNK_BITS]!, start & (CHUNK_BYTES - 1), 0, length);
    this.#arenaEnd += length;
    return start;
  }

  /** Where in the table the name in `scratch` stands, or would. */
  #placeOf(kind: number, issuer: number, length: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let place = hashName(kind, issuer, length) & mask;
    for (let found = table[place]!; found !== 0; found = table[place]!) {
      const node = found - 1;
      if (
        this.#kinds.array[node] === kind &&
        this.#issuers.array[node] === issuer &&
        this.#lengths.array[node] === length &&
        this.#isIn(node, length)
      ) {
        return place;
      }
      place = (place + 1) & mask;
    }
    return place;
  }

  /** Empties a place, and moves up what would not be found behind it any more. */
  #removeFromTable(place: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf(table[at]! - 1) & mask;
      // It may move to the hole unless its home lies between the two.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = table[at]!;
      hole = at;
    }
    table[hole] = 0;
  }

  #hashOf(node: number): number {
    this.#bytes(node).copy(scratch);
    return hashName(this.#kinds.array[node]!, this.#issuers.array[node]!, this.#lengths.array[node]!);
  }

  #isIn(node: number, length: number): boolean {
    const start = this.#starts.array[node]!;
    const chunk = this.#chunks[start >>> CHUNK_BITS]!;
    const at = start & (CHUNK_BYTES - 1);
    for (let i = 0; i < length; i++) if (chunk[at + i] !== scratch[i]) return false;
    return true;
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let node = 0; node < this.end; node++) {
      if (!this.has(node)) continue;
      let place = this.#hashOf(node) & mask;
      while (table[place] !== 0) place = (place + 1) & mask;
      table[place] = node + 1;
    }
    this.#table = table;
  }
}

/** Writes an id into `scratch`, `packed.length` bytes; the kind with the form of the id. */
function write(kind: NodeKind, id: string | Uint8Array): number {
  packId(id, scratch);
  return kindNumber[kind] | (packed.form << FORM_BITS);
}

/** FNV-1a over what is in `scratch`, mixed at its end. */
function hashName(kind: number, issuer: number, length: number): number {
  let h = Math.imul(0x811c9dc5 ^ kind, 0x01000193) ^ Math.imul(issuer, 0x9e3779b1);
  for (let i = 0; i < length; i++) h = Math.imul(h ^ scratch[i]!, 0x01000193);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

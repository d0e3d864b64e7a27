/**
 * The dictionary: a name's key → the integer that stands for it in rows. Kept in `name`, for ever; a bounded share of it in
 * memory, found by a name's bytes. Integers are given out in the transaction that first uses them, by the one fold there is at a time,
 * and never used again for another name, not even after a rebuild: a search that resolved names before a rebuild finds nothing rather
 * than something else.
 */
import type { ClientBase } from 'pg';
import { hashBytes } from './byte-hash.js';
import { NAME_KINDS, nameKey, uuidText, type NameKind } from './keys.js';
import { NAME_BYTES_MAX, NameTable } from './name-table.js';

/** A name that is to have an integer. */
interface Wanted {
  readonly kind: NameKind;
  readonly bytes: Buffer;
  readonly number: number;
}

export class Dictionary {
  // Two generations: what was used since the last turn survives the next one. No bookkeeping on a hit in the young one.
  #young: NameTable;
  #old: NameTable;
  readonly #wanted = new Map<string, Wanted>();

  /** @param limit how many names to hold in memory, at least 2. */
  constructor(
    private readonly schema: string,
    private readonly limit: number,
  ) {
    this.#young = new NameTable(limit / 2);
    this.#old = new NameTable(1);
  }

  /**
   * The integer of a name, `bytes[start, end)`: text in UTF-8, or a pseudonym. Below 0 where it is not in memory: −1 − its number among
   * the names that `resolve` will find. Until then a name's answer stays the same.
   */
  idOf(kind: NameKind, bytes: Buffer, start: number, end: number): number {
    if (end - start > NAME_BYTES_MAX) return this.#idOfLong(kind, bytes, start, end);
    const code = codeOf(kind, false);
    const hash = hashBytes(code, bytes, start, end);
    return this.#find(hash, code, bytes, start, end) || this.#want(kind, bytes.subarray(start, end));
  }

  /** What is longer than memory holds is found by its key. */
  #idOfLong(kind: NameKind, bytes: Buffer, start: number, end: number): number {
    const name = bytes.subarray(start, end);
    const key = nameKey(kind, name.toString());
    const code = codeOf(kind, true);
    return this.#find(hashBytes(code, key, 0, key.length), code, key, 0, key.length) || this.#want(kind, name);
  }

  #find(hash: number, code: number, bytes: Buffer, start: number, end: number): number {
    const young = this.#young.find(hash, code, bytes, start, end);
    if (young !== 0) return young;
    const old = this.#old.find(hash, code, bytes, start, end);
    if (old !== 0) this.#young.add(hash, code, bytes, start, end, old);
    return old;
  }

  #want(kind: NameKind, bytes: Buffer): number {
    const text = textOf(kind, bytes);
    const name = kind === 'principal' ? bytes : Buffer.from(text);
    // Bytes that are not UTF-8 are the text that they are read as, and that may be here.
    if (name.length !== bytes.length || name.compare(bytes) !== 0) return this.idOf(kind, name, 0, name.length);
    const key = uuidText(nameKey(kind, text));
    let wanted = this.#wanted.get(key);
    if (wanted === undefined) {
      wanted = { kind, bytes: Buffer.from(name), number: this.#wanted.size };
      this.#wanted.set(key, wanted);
    }
    return -1 - wanted.number;
  }

  /**
   * Finds or gives an integer for each name that was not in memory, in `tx`, by its number. If `tx` does not commit, this dictionary
   * must be dropped.
   */
  async resolve(tx: ClientBase): Promise<readonly number[]> {
    if (this.#wanted.size === 0) return [];
    const { rows } = await tx.query<{ key: string; id: number }>(
      `with wanted as (select unnest($1::uuid[]) as key),
            made as (insert into ${this.schema}.name (key)
                     select key from wanted where not exists (select from ${this.schema}.name n where n.key = wanted.key)
                     returning key, id)
       select key::text, id from made
       union all select n.key::text, n.id from ${this.schema}.name n join wanted using (key)`,
      [[...this.#wanted.keys()]],
    );
    const ids: number[] = new Array<number>(this.#wanted.size).fill(0);
    for (const { key, id } of rows) {
      const { kind, bytes, number } = this.#wanted.get(key.replaceAll('-', ''))!;
      ids[number] = id;
      this.#hold(kind, bytes, id);
    }
    if (ids.includes(0)) throw new Error('the dictionary gave no integer for a name');
    this.#wanted.clear();
    return ids;
  }

  #hold(kind: NameKind, bytes: Buffer, id: number): void {
    if (this.#young.isFull) {
      this.#old = this.#young;
      this.#young = new NameTable(this.limit / 2);
    }
    const long = bytes.length > NAME_BYTES_MAX;
    const held = long ? nameKey(kind, textOf(kind, bytes)) : bytes;
    const code = codeOf(kind, long);
    this.#young.add(hashBytes(code, held, 0, held.length), code, held, 0, held.length, id);
  }
}

const codeOf = (kind: NameKind, long: boolean): number => NAME_KINDS[kind].charCodeAt(0) | (long ? 0x80 : 0);

const textOf = (kind: NameKind, bytes: Buffer): string => bytes.toString(kind === 'principal' ? 'hex' : 'utf8');

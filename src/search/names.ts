/**
 * The dictionary: a name's key → the integer that stands for it in rows. Kept in `name`, for ever; a bounded share of it in
 * memory. Integers are given out in the transaction that first uses them, by the one fold there is at a time, and never used again
 * for another name, not even after a rebuild: a search that resolved names before a rebuild finds nothing rather than something else.
 */
import type { ClientBase } from 'pg';
import { NAME_KINDS, nameKey, uuidText, type NameKind } from './keys.js';

/** What a name is remembered by when it is longer than this: its key. */
const TEXT_MAX = 128;

type Names = Record<NameKind, Map<string, number>>;
const noNames = (): Names =>
  Object.fromEntries(Object.keys(NAME_KINDS).map((kind) => [kind, new Map<string, number>()])) as Names;

/** Names that are to have an integer; filled by `want`, emptied by `resolve`. */
export type Wanted = Map<string, { kind: NameKind; text: string; key: Buffer }>;

export class Dictionary {
  // Two generations: what was used since the last turn survives the next one. No bookkeeping on a hit in the young one.
  #young = noNames();
  #old = noNames();
  #youngCount = 0;

  /** @param limit how many names to hold in memory, at least 2. */
  constructor(
    private readonly schema: string,
    private readonly limit: number,
  ) {}

  /** The integer of a name, if it is in memory. */
  get(kind: NameKind, text: string): number | undefined {
    const held = shorten(kind, text);
    const young = this.#young[kind].get(held);
    if (young !== undefined) return young;
    const old = this.#old[kind].get(held);
    if (old !== undefined) this.#put(kind, held, old);
    return old;
  }

  /** Notes a name that `get` did not find. */
  want(wanted: Wanted, kind: NameKind, text: string): void {
    const key = nameKey(kind, text);
    wanted.set(uuidText(key), { kind, text, key });
  }

  /**
   * Finds or gives an integer for each wanted name, in `tx`; `get` knows them until as many others were used. If `tx` does not
   * commit, this dictionary must be dropped.
   * @returns the wanted names' integers by the hex of their keys: a batch may want more than memory holds.
   */
  async resolve(tx: ClientBase, wanted: Wanted): Promise<Map<string, number>> {
    if (wanted.size === 0) return new Map();
    const { rows } = await tx.query<{ key: string; id: number }>(
      `with wanted as (select unnest($1::uuid[]) as key),
            made as (insert into ${this.schema}.name (key)
                     select key from wanted where not exists (select from ${this.schema}.name n where n.key = wanted.key)
                     returning key, id)
       select key::text, id from made
       union all select n.key::text, n.id from ${this.schema}.name n join wanted using (key)`,
      [[...wanted.keys()]],
    );
    const ids = new Map(rows.map(({ key, id }) => [key.replaceAll('-', ''), id]));
    for (const [hex, { kind, text }] of wanted) {
      const id = ids.get(hex);
      if (id === undefined) throw new Error(`the dictionary gave no integer for a name of kind ${kind}`);
      this.#put(kind, shorten(kind, text), id);
    }
    return ids;
  }

  #put(kind: NameKind, held: string, id: number): void {
    if (this.#youngCount >= this.limit / 2) {
      this.#old = this.#young;
      this.#young = noNames();
      this.#youngCount = 0;
    }
    this.#young[kind].set(held, id);
    this.#youngCount++;
  }
}

const shorten = (kind: NameKind, text: string): string =>
  text.length > TEXT_MAX ? uuidText(nameKey(kind, text)) : text;

import { Fingerprints } from './fingerprints.js';
import type { Log } from './log.js';
import { SLOT_BYTES, slotHasKey, slotIsClaimed } from './slots.js';
import type { LedgerStore } from './store.js';

/**
 * From a dedupe key to the entry it belongs to, out of the database alone: fingerprints of one log's slots, read at the first
 * look-up and caught up at each further one. Knows the keys whose weeks have not been dropped; older events are found by
 * search.
 */
export class KeyIndex {
  readonly #table = new Fingerprints(0);
  #last = -1;
  #loading: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: Pick<LedgerStore, 'loadSlots' | 'readSlots'>,
    private readonly log: Log,
  ) {}

  /** The index of the newest entry that claims this key of 16 bytes. */
  async find(key: Uint8Array): Promise<bigint | undefined> {
    // Callers at the same time catch up one after the other: rows come in order, each once.
    this.#loading = this.#loading.catch(() => undefined).then(() => this.#catchUp());
    await this.#loading;
    const positions = this.#table.positions(this.#table.of(key, 0));
    if (positions.length === 0) return undefined;
    const slots = await this.store.readSlots(this.log, positions);
    const found = positions.find((position) => {
      const slot = slots.get(position);
      return slot !== undefined && slotHasKey(slot, key, 0);
    });
    return found === undefined ? undefined : BigInt(found);
  }

  async #catchUp(): Promise<void> {
    for await (const row of this.store.loadSlots(this.log, 0n, this.#last)) {
      for (let i = 0; i < row.count; i++) {
        const at = i * SLOT_BYTES;
        if (slotIsClaimed(row.slots, at)) this.#table.insert(this.#table.of(row.slots, at), row.firstIndex + i);
      }
      this.#last = row.firstIndex;
    }
  }
}

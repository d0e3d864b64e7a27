interface Entry<Value> {
  readonly value: Value;
  /** How many entries had been put in when this one was put or moved to the end. */
  at: number;
}

/**
 * The most recently used entries, up to a number. Use counts as recent for a quarter of that number of new entries: what is used
 * again meanwhile is not moved, so that a hit costs one look-up.
 */
export class Lru<Value> {
  private readonly entries = new Map<string, Entry<Value>>();
  private readonly recent: number;
  private puts = 0;

  constructor(private readonly capacity: number) {
    this.recent = Math.floor(capacity / 4);
  }

  get(key: string): Value | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (this.puts - entry.at > this.recent) {
      this.entries.delete(key);
      this.entries.set(key, entry);
      entry.at = this.puts;
    }
    return entry.value;
  }

  set(key: string, value: Value): void {
    this.entries.delete(key);
    this.entries.set(key, { value, at: ++this.puts });
    if (this.entries.size <= this.capacity) return;
    const oldest = this.entries.keys().next();
    if (!oldest.done) this.entries.delete(oldest.value);
  }
}

/** Values a record has at most one of, and where each stands in `RecordFacts.values`. */
export const VALUE = {
  event: 0,
  type: 1,
  producer: 2,
  sender: 3,
  agent: 4,
  fromAgent: 5,
  toAgent: 6,
  tool: 7,
  decision: 8,
  contextEnvironment: 9,
  environment: 10,
  policyVersion: 11,
  policyRevision: 12,
  contextSession: 13,
  session: 14,
  ssoSession: 15,
  purposeTask: 16,
  task: 17,
  jti: 18,
  digest: 19,
} as const;
const VALUES = Object.keys(VALUE).length;

/** Texts as places in bytes. A value that is absent starts below 0. */
export class Places {
  /** Whose bytes: the record's, or those of a schema's symbol. */
  readonly sources: Buffer[] = [];
  starts: Int32Array;
  ends: Int32Array;
  /** How many there are, of a list. */
  count = 0;

  constructor(size: number) {
    this.starts = new Int32Array(size).fill(-1);
    this.ends = new Int32Array(size);
  }

  set(at: number, source: Buffer, start: number, end: number): void {
    this.sources[at] = source;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  push(source: Buffer, start: number, end: number): void {
    if (this.count === this.starts.length) {
      this.starts = grown(this.starts);
      this.ends = grown(this.ends);
    }
    this.set(this.count++, source, start, end);
  }

  has(at: number): boolean {
    return this.starts[at]! >= 0;
  }
}

function grown(array: Int32Array): Int32Array {
  const twice = new Int32Array(array.length * 2);
  twice.set(array);
  return twice;
}

const EMPTY = Buffer.alloc(0);

/**
 * What search keeps of one record, the same that `searchFacts` tells, as places in the record's bytes: no text is copied and no
 * string made. One of it serves record after record; what it says holds until the next.
 */
export class RecordFacts {
  readonly values = new Places(VALUES);
  /** Agents of the delegation chain. */
  readonly hops = new Places(8);
  /** Revisions of a policy's bundles. */
  readonly bundles = new Places(8);
  /** Pseudonyms, 16 bytes each. */
  readonly persons = new Places(8);
  /** Microseconds since 1970, a 64-bit integer in halves. */
  occurredHigh = 0;
  occurredLow = 0;
  hasRisk = false;
  risk = 0;

  clear(): void {
    this.values.starts.fill(-1);
    this.hops.count = 0;
    this.bundles.count = 0;
    this.persons.count = 0;
    this.occurredHigh = 0;
    this.occurredLow = 0;
    this.hasRisk = false;
  }

  /** Facts of an entry without a readable record: its type, and that it happened when it was appended (8 bytes, big-endian). */
  setBare(type: Buffer, time: Buffer, at: number): void {
    this.clear();
    this.values.set(VALUE.event, EMPTY, 0, 0);
    this.values.set(VALUE.type, type, 0, type.length);
    this.values.set(VALUE.producer, EMPTY, 0, 0);
    this.occurredHigh = time.readInt32BE(at);
    this.occurredLow = time.readInt32BE(at + 4);
  }

  /** Whether the record's type is this text. */
  isOfType(type: Buffer): boolean {
    const start = this.values.starts[VALUE.type]!;
    const end = this.values.ends[VALUE.type]!;
    // Nearly always another length: nothing is compared.
    return (
      end - start === type.length && this.values.sources[VALUE.type]!.compare(type, 0, type.length, start, end) === 0
    );
  }
}

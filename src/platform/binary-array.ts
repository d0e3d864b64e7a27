/**
 * Arrays as parameters in PostgreSQL's binary form. The driver writes arrays as text, quoted item by item, which costs it and the server
 * several times as much; a Buffer it passes on as it is.
 */

/** Object identifiers of the types of items (PostgreSQL, `pg_type.dat`). */
const OID = { bool: 16, int8: 20, int2: 21, int4: 23, text: 25, uuid: 2950 } as const;
/** Dimensions, whether there are nulls, type of the items; then length and first index of the one dimension. */
const HEADER_BYTES = 20;

/** `bigint[]`. Numbers must be integers; −2^63 … 2^63 − 1 as `bigint`. */
export const int8Array = (items: readonly (number | bigint | null)[]): Buffer =>
  fixedArray(OID.int8, 8, items, (bytes, at, item) => {
    if (typeof item === 'bigint') return void bytes.writeBigInt64BE(item, at);
    const high = Math.floor(item / 0x1_0000_0000);
    bytes.writeInt32BE(high, at);
    bytes.writeUInt32BE(item - high * 0x1_0000_0000, at + 4);
  });

/** `int[]` */
export const int4Array = (items: readonly (number | null)[]): Buffer =>
  fixedArray(OID.int4, 4, items, (bytes, at, item) => void bytes.writeInt32BE(item, at));

/** `smallint[]` */
export const int2Array = (items: readonly (number | null)[]): Buffer =>
  fixedArray(OID.int2, 2, items, (bytes, at, item) => void bytes.writeInt16BE(item, at));

/** `boolean[]` */
export const boolArray = (items: readonly (boolean | null)[]): Buffer =>
  fixedArray(OID.bool, 1, items, (bytes, at, item) => void (bytes[at] = item ? 1 : 0));

/** `uuid[]`, of 16 bytes each. */
export const uuidArray = (items: readonly (Uint8Array | null)[]): Buffer =>
  fixedArray(OID.uuid, 16, items, (bytes, at, item) => bytes.set(item, at));

/** `text[]` */
export function textArray(items: readonly (string | null)[]): Buffer {
  const size = items.reduce((sum, item) => sum + 4 + (item === null ? 0 : Buffer.byteLength(item)), HEADER_BYTES);
  const bytes = begin(OID.text, items, size);
  let at = HEADER_BYTES;
  for (const item of items) {
    const length = item === null ? -1 : bytes.write(item, at + 4);
    at = bytes.writeInt32BE(length, at) + Math.max(length, 0);
  }
  return bytes;
}

function fixedArray<T>(
  oid: number,
  itemBytes: number,
  items: readonly (T | null)[],
  write: (bytes: Buffer, at: number, item: T) => void,
): Buffer {
  const nulls = items.reduce((count, item) => (item === null ? count + 1 : count), 0);
  const bytes = begin(oid, items, HEADER_BYTES + items.length * (4 + itemBytes) - nulls * itemBytes);
  let at = HEADER_BYTES;
  for (const item of items) {
    at = bytes.writeInt32BE(item === null ? -1 : itemBytes, at);
    if (item === null) continue;
    write(bytes, at, item);
    at += itemBytes;
  }
  return bytes;
}

function begin(oid: number, items: readonly unknown[], size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeInt32BE(1, 0);
  bytes.writeInt32BE(items.includes(null) ? 1 : 0, 4);
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(items.length, 12);
  bytes.writeInt32BE(1, 16);
  return bytes;
}

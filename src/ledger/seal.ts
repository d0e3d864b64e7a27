import { REFUSAL_REASONS } from '../core/entry.js';
import { TILE_BYTES } from '../core/tile.js';
import { HASH_BYTES } from '../core/merkle.js';
import { SLOT_BYTES } from './slots.js';
import type { Sealing } from './store.js';

const TILE_ROW_BYTES = HASH_BYTES + TILE_BYTES;

/**
 * Everything of a batch but its pages, in one statement that does nothing unless the head stands where the batch began.
 * Bytes of many rows travel as one parameter each and are cut here: arrays of bytes would travel as hexadecimal text.
 */
export const SEAL = `
  with moved as (
    update keelson.head set size = $3::bigint, next_offset = $5::bigint, last_offset = $6, last_hash = $7, greatest_us = $8,
                            opened = $9
    where log = $1::smallint and size = $2::bigint and next_offset = $4::bigint returning log
  ), checkpointed as (
    insert into keelson.checkpoint (log, size, root, prev_size, prev_root, next_offset)
    select log, $3::bigint, $10::bytea, $2::bigint, $11::bytea, $5::bigint from moved where $3::bigint > $2::bigint
  ), tiled as (
    insert into keelson.tile (number, log, level, root, hashes)
    select tile.number, log, tile.level,
           substr($12::bytea, ((tile.place - 1) * ${TILE_ROW_BYTES})::int + 1, ${HASH_BYTES}),
           substr($12::bytea, ((tile.place - 1) * ${TILE_ROW_BYTES})::int + ${HASH_BYTES + 1}, ${TILE_BYTES})
    from moved, unnest($13::smallint[], $14::bigint[]) with ordinality as tile(level, number, place)
  ), claimed as (
    insert into keelson.dedupe (first_index, greatest_us, count, log, slots)
    select part.first_index, part.greatest_us, part.count, log,
           substr($15::bytea, part.at + 1, part.count * ${SLOT_BYTES})
    from moved, unnest($16::bigint[], $17::bigint[], $18::int[], $19::int[]) as part(first_index, greatest_us, count, at)
  ), told as (
    insert into keelson.log_schema (log, fingerprint, index)
    select log, told.fingerprint, told.index from moved, unnest($20::bytea[], $21::bigint[]) as told(fingerprint, index)
  ), refused as (
    insert into keelson.refused (log, index, reason, bytes)
    select log, refused.index, refused.reason, refused.bytes
    from moved, unnest($22::bigint[], $23::smallint[], $24::bytea[]) as refused(index, reason, bytes)
  )
  select count(*)::int as moved from moved`;

/** The parameters of `SEAL`. */
export function sealValues({ log, from, to, tiles, slots, schemas, refused }: Sealing): unknown[] {
  const tileRows = Buffer.allocUnsafe(tiles.length * TILE_ROW_BYTES);
  tiles.forEach((tile, i) => {
    tileRows.set(tile.root, i * TILE_ROW_BYTES);
    tileRows.set(tile.hashes, i * TILE_ROW_BYTES + HASH_BYTES);
  });
  let at = 0;
  const starts = slots.map((row) => (at += row.slots.length) - row.slots.length);
  return [
    log.id,
    from.size,
    to.size,
    from.nextOffset,
    to.nextOffset,
    to.last?.offset,
    to.last && Buffer.from(to.last.hash),
    to.greatestUs,
    to.opened,
    Buffer.from(to.root),
    Buffer.from(from.root),
    tileRows,
    tiles.map(({ level }) => level),
    tiles.map(({ index }) => index),
    Buffer.concat(slots.map((row) => row.slots)),
    slots.map(({ firstIndex }) => firstIndex),
    slots.map(({ greatestUs }) => greatestUs),
    slots.map(({ count }) => count),
    starts,
    schemas.map(({ fingerprint }) => Buffer.from(fingerprint)),
    schemas.map(({ index }) => index),
    refused.map(({ index }) => index),
    refused.map(({ reason }) => REFUSAL_REASONS.indexOf(reason) + 1),
    refused.map(({ bytes }) => Buffer.from(bytes)),
  ];
}

-- The event log inside Postgres (src/eventlog/postgres). Offsets are dense per partition, taken under its row's lock, which is
-- held until commit: a reader that sees offset n sees every acknowledged offset below n.

create table keelson.event_log_partition (
  id int generated always as identity primary key,
  topic text not null,
  partition int not null check (partition >= 0),
  first_offset bigint not null default 0,
  next_offset bigint not null default 0,
  appended_at_us bigint not null default 0,
  unique (topic, partition),
  check (first_offset between 0 and next_offset)
);

create table keelson.event_log_message (
  log int not null references keelson.event_log_partition,
  "offset" bigint not null,
  appended_at_us bigint not null,
  pack bytea not null,
  primary key (log, "offset")
);

-- Packs are ciphertext for the most part: trying to compress them costs more than it saves.
alter table keelson.event_log_message alter column pack set storage external;
-- Trimmed behind the ledger all the time: vacuum by rows, not by share.
alter table keelson.event_log_message set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_scale_factor = 0,
  toast.autovacuum_vacuum_threshold = 20000
);

grant select, insert, update on keelson.event_log_partition to keelson_writer;
grant select, insert, delete on keelson.event_log_message to keelson_writer;

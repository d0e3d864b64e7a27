-- The ledger (src/ledger). Few tables, and dumb: what an entry means is for those who read it. One transaction per batch writes
-- pages, full tiles, the checkpoint, duplicate keys and the event log's next offset. What is written is never changed:
-- the writer may insert and select, and the triggers at the end refuse everybody else.

create table keelson.log (
  id smallint generated always as identity primary key,
  path text not null unique,
  origin text not null unique,
  topic text not null,
  partition int not null check (partition >= 0),
  generation int not null check (generation >= 1),
  created_at timestamptz not null default now(),
  unique (topic, partition, generation)
);

-- Entries, each uint16 length ‖ bytes, one batch in rows of up to 8,100 bytes that stay inline.
create table keelson.page (
  first_index bigint not null check (first_index >= 0),
  count int not null check (count > 0),
  log smallint not null,
  entries bytea not null,
  primary key (log, first_index)
) partition by range (first_index);
alter table keelson.page alter column entries set storage external;

-- Full tiles only (C2SP tlog-tiles): 256 hashes, and the root over them. Partial ones are computed from pages and these.
create table keelson.tile (
  number bigint not null check (number >= 0),
  log smallint not null,
  level smallint not null check (level between 0 and 7),
  root bytea not null check (octet_length(root) = 32),
  hashes bytea not null check (octet_length(hashes) = 8192),
  primary key (log, level, number)
);
alter table keelson.tile alter column hashes set storage external;

-- One row per batch, each hanging on the one before it, down to the row of size 0: there is no place for a fork to commit.
create table keelson.checkpoint (
  log smallint not null,
  size bigint not null check (size >= 0),
  root bytea not null check (octet_length(root) = 32),
  prev_size bigint not null,
  prev_root bytea not null,
  next_offset bigint not null,
  committed_at timestamptz not null default now(),
  primary key (log, size),
  unique (log, size, root),
  foreign key (log, prev_size, prev_root) references keelson.checkpoint (log, size, root),
  check (prev_size < size or (size = 0 and prev_size = 0))
);
create unique index checkpoint_one_successor on keelson.checkpoint (log, prev_size) where size > 0;
-- From an offset to the batch that holds it.
create index checkpoint_next_offset on keelson.checkpoint (log, next_offset);

-- Signed checkpoints, stored before anyone sees them; a chain as well, so that of two publishers one wins.
create table keelson.publication (
  log smallint not null,
  size bigint not null,
  root bytea not null,
  prev_size bigint not null,
  note text not null,
  published_at timestamptz not null default now(),
  primary key (log, size),
  foreign key (log, size, root) references keelson.checkpoint (log, size, root),
  foreign key (log, prev_size) references keelson.publication (log, size),
  check (prev_size < size or (size = 0 and prev_size = 0))
);
create unique index publication_one_successor on keelson.publication (log, prev_size) where size > 0;

-- Where a log stands, and where in the event log to go on. The one ledger table whose rows change; they only go forward.
create table keelson.head (
  log smallint primary key,
  size bigint not null,
  next_offset bigint not null check (next_offset >= 0),
  -- The last message taken, to recognise the event log by; null before the first.
  last_offset bigint,
  last_hash bytea check (octet_length(last_hash) = 32),
  -- The greatest append time so far, microseconds since 1970: duplicates are measured against it.
  greatest_us bigint not null default 0,
  opened boolean not null default false,
  foreign key (log) references keelson.log,
  foreign key (log, size) references keelson.checkpoint (log, size),
  check ((last_offset is null) = (last_hash is null)),
  check (last_offset < next_offset)
);

-- One 40-byte slot per entry, in rows of up to 200: dedupe key (16) ‖ content digest (16) ‖ append time (8). Zeros where an
-- entry claims no key. Unindexed by key: the sequencer keeps fingerprints in memory. Partitions are weeks of append time.
create table keelson.dedupe (
  first_index bigint not null,
  greatest_us bigint not null,
  count int not null check (count between 1 and 200),
  log smallint not null,
  slots bytea not null check (octet_length(slots) = count * 40),
  primary key (log, first_index, greatest_us)
) partition by range (greatest_us);
alter table keelson.dedupe alter column slots set storage plain;

-- Schemas a log has been told of, and the entry that told it.
create table keelson.log_schema (
  log smallint not null,
  fingerprint bytea not null check (octet_length(fingerprint) = 8),
  index bigint not null,
  primary key (log, fingerprint)
);

-- The bytes behind `refused` entries, sealed as intake made them, so that somebody can find out and repair.
create table keelson.refused (
  log smallint not null,
  index bigint not null,
  reason smallint not null,
  bytes bytea not null,
  refused_at timestamptz not null default now(),
  primary key (log, index)
);

-- How far each projection has folded each log.
create table keelson.projection_position (
  projection text not null,
  log smallint not null,
  next_index bigint not null check (next_index >= 0),
  primary key (projection, log)
);

-- Which process folds a projection. It is seen with every fold and while idle; unseen for some seconds, another takes over.
create table keelson.projection_folder (
  projection text primary key,
  folder uuid not null,
  seen_at timestamptz not null
);

-- Append-only ------------------------------------------------------------------------------------------------------------

create function keelson.refuse_going_back() returns trigger language plpgsql as $$
begin
  if new.log <> old.log or new.size < old.size or new.next_offset <= old.next_offset or new.greatest_us < old.greatest_us
     or (old.opened and not new.opened) then
    raise exception 'the head of log % goes forward only', old.log using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;

create function keelson.make_append_only(name text) returns void language plpgsql as $$
begin
  execute format('create trigger for_ever before update or delete or truncate on keelson.%I '
                 'for each statement execute function keelson.refuse_change()', name);
  execute format('alter table keelson.%I enable always trigger for_ever', name);
end $$;
revoke execute on function keelson.make_append_only(text) from public;

select keelson.make_append_only(name)
  from unnest(array['log', 'page', 'tile', 'checkpoint', 'publication', 'dedupe', 'log_schema', 'refused']) as name;

create trigger forward_only before update on keelson.head for each row execute function keelson.refuse_going_back();
create trigger for_ever before delete or truncate on keelson.head for each statement execute function keelson.refuse_change();
alter table keelson.head enable always trigger forward_only;
alter table keelson.head enable always trigger for_ever;

-- Partitions -------------------------------------------------------------------------------------------------------------
-- Made beside the parent and attached, which does not wait for its writers. Whoever comes second finds them made.

-- Pages: 2^24 entries a partition. Makes the one that holds `index`.
create function keelson.ensure_page_partition(index bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  width constant bigint := 16777216;
  number bigint := index / width;
  name text := 'page_' || number;
begin
  if index < 0 then raise exception 'page partition of index %', index; end if;
  if to_regclass(format('keelson.%I', name)) is not null then return; end if;
  perform pg_advisory_xact_lock(hashtext('keelson.page'));
  -- By a query: to_regclass may still remember that there was none before the lock.
  if exists (select from pg_class where relnamespace = 'keelson'::regnamespace and relname = name) then return; end if;
  execute format('create table keelson.%I (like keelson.page including defaults including constraints including storage) '
                 'with (toast_tuple_target = 8160)', name);
  perform keelson.make_append_only(name);
  execute format('alter table keelson.page attach partition keelson.%I for values from (%s) to (%s)',
                 name, number * width, (number + 1) * width);
end $$;

-- Duplicate keys: a week of append time a partition. Makes the one that holds `us`.
create function keelson.ensure_dedupe_partition(us bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  week constant bigint := 604800000000;
  number bigint := us / week;
  name text := 'dedupe_' || number;
begin
  if us < 0 then raise exception 'dedupe partition of %', us; end if;
  if to_regclass(format('keelson.%I', name)) is not null then return; end if;
  perform pg_advisory_xact_lock(hashtext('keelson.dedupe'));
  -- By a query: to_regclass may still remember that there was none before the lock.
  if exists (select from pg_class where relnamespace = 'keelson'::regnamespace and relname = name) then return; end if;
  execute format('create table keelson.%I (like keelson.dedupe including defaults including constraints including storage)',
                 name);
  perform keelson.make_append_only(name);
  execute format('alter table keelson.dedupe attach partition keelson.%I for values from (%s) to (%s)',
                 name, number * week, (number + 1) * week);
end $$;

-- Drops the weeks that no log can need any more: each of their keys is further behind its log's greatest append time than
-- `window_us`, at least seven days. Answers how many.
create function keelson.drop_dedupe_partitions(window_us bigint) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped int := 0;
  part regclass;
  needed boolean;
begin
  if window_us < 604800000000 then raise exception 'duplicates are recognised for seven days at least'; end if;
  for part in select inhrelid::regclass from pg_inherits where inhparent = 'keelson.dedupe'::regclass loop
    execute format('select exists (select from keelson.head h where exists (select from %s d '
                   'where d.log = h.log and d.greatest_us >= h.greatest_us - $1))', part) into needed using window_us;
    if not needed then
      execute format('drop table %s', part);
      dropped := dropped + 1;
    end if;
  end loop;
  return dropped;
end $$;

revoke execute on function keelson.ensure_page_partition(bigint) from public;
revoke execute on function keelson.ensure_dedupe_partition(bigint) from public;
revoke execute on function keelson.drop_dedupe_partitions(bigint) from public;
grant execute on function keelson.ensure_page_partition(bigint) to keelson_writer;
grant execute on function keelson.ensure_dedupe_partition(bigint) to keelson_writer;
grant execute on function keelson.drop_dedupe_partitions(bigint) to keelson_writer;

grant select, insert on keelson.log, keelson.page, keelson.tile, keelson.checkpoint, keelson.publication, keelson.dedupe,
  keelson.log_schema, keelson.refused to keelson_writer;
grant select, insert, update on keelson.head to keelson_writer;
grant select, insert, update, delete on keelson.projection_position, keelson.projection_folder to keelson_writer;

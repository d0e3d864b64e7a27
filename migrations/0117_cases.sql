-- Cases (src/revocation/cases): which instances there are, what each attested last, and how each order ended. Folded from lifecycle and
-- activity alone. Times are microseconds since 1970.

create table keelson.case_instance (
  instance text primary key check (instance ~ '^[0-9a-f]{32}$'),
  point text not null,
  joined_index bigint not null,
  joined_at_us bigint not null,
  retired boolean not null
);
-- Of each instance its greatest ack, and of several the first.
create table keelson.case_ack (
  instance text primary key check (instance ~ '^[0-9a-f]{32}$'),
  seq bigint not null,
  state_hash bytea not null check (octet_length(state_hash) = 32),
  mapping_hash bytea not null check (octet_length(mapping_hash) = 32),
  key_types text[] not null,
  log text not null,
  index bigint not null,
  appended_at_us bigint not null
);
create table keelson.case_closed (
  order_name text not null,
  seq bigint not null,
  result text not null check (result in ('enforced', 'fenced', 'incomplete')),
  log text not null,
  index bigint not null,
  doc jsonb not null,
  primary key (order_name, seq)
);
grant select, insert, update, delete on keelson.case_instance, keelson.case_ack, keelson.case_closed to keelson_writer;

-- What revocation has folded in memory, as of some entries of lifecycle (src/revocation/snapshot.ts): so that a start need not fold them all
-- again. It may be emptied at any time.
create table keelson.revocation_snapshot (
  only_one boolean primary key default true check (only_one),
  size bigint not null check (size > 0),
  -- Of the program that folded it.
  release text not null,
  mac bytea not null check (octet_length(mac) = 32),
  state bytea not null
);
grant select, insert, update, delete on keelson.revocation_snapshot to keelson_writer;

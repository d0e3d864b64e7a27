-- What every room's tables stand on. The schema `keelson` and the roles `keelson_owner` (can't log in, owns everything) and
-- `keelson_writer` (the service) exist before the first migration: src/platform/roles.ts.

grant usage on schema keelson to keelson_writer;
grant select on table keelson.migration to keelson_writer;

-- For triggers on tables whose rows are for ever.
create function keelson.refuse_change() returns trigger
language plpgsql as $$
begin
  raise exception '% on keelson.% is refused: its rows are for ever', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end
$$;

-- Which ledger this database holds, and which keys it is written with. One row, made at the first start.
create table keelson.installation (
  only_one boolean primary key default true check (only_one),
  ledger_name text not null check (length(ledger_name) between 1 and 200),
  generation text not null check (generation ~ '^g[1-9][0-9]*$'),
  signing_public_key text not null check (signing_public_key ~ '^[0-9a-f]{64}$'),
  encryption_key_fingerprint text not null check (encryption_key_fingerprint ~ '^[0-9a-f]{32}$'),
  mac_key_fingerprint text not null check (mac_key_fingerprint ~ '^[0-9a-f]{32}$'),
  decisions_partitions integer not null check (decisions_partitions between 1 and 1000),
  activity_partitions integer not null check (activity_partitions between 1 and 1000),
  made_at_us bigint not null
);
grant select, insert on keelson.installation to keelson_writer;

create trigger for_ever before update or delete or truncate on keelson.installation
for each statement execute function keelson.refuse_change();
alter table keelson.installation enable always trigger for_ever;

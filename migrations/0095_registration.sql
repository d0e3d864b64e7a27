-- How far registrations in lifecycle are judged (src/identity/registration), and by which process: seen every second; unseen for five,
-- another goes on. All before `next_index` have their verdict in the ledger, or need none.
create table keelson.registration_cursor (
  only_one boolean primary key default true check (only_one),
  next_index bigint not null check (next_index >= 0),
  holder uuid,
  seen_at timestamptz not null
);

grant select, insert, update on keelson.registration_cursor to keelson_writer;

-- How far decisions were held against orders (src/revocation/cases/decision-watch.ts), by log; one process at a time.
create table keelson.case_decision_cursor (
  log text primary key,
  next_index bigint not null,
  holder uuid not null,
  seen_at timestamptz not null
);
grant select, insert, update, delete on keelson.case_decision_cursor to keelson_writer;
create index case_closed_appended on keelson.case_closed (appended_at_us);
create index case_reopened_appended on keelson.case_reopened (appended_at_us);

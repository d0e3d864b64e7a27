-- What an ack is held against: the state hash after each change of the table. When an instance asked for a lease last, so that a case need
-- not wait for who can have none. Points that are out of service, and cases that were reopened. Both projections fold anew.

delete from keelson.revocation_cause;
delete from keelson.revocation_key;
delete from keelson.revocation_fact;
delete from keelson.revocation_change;
delete from keelson.revocation_head;
delete from keelson.case_instance;
delete from keelson.case_ack;
delete from keelson.case_closed;
delete from keelson.projection_position where projection in ('revocation', 'cases');
delete from keelson.projection_folder where projection in ('revocation', 'cases');

alter table keelson.revocation_change add column state_hash bytea not null check (octet_length(state_hash) = 32);

-- By the database's clock; written, in the transaction of the read that a grant follows from, where it is older than 20 s.
alter table keelson.feed_instance add column leased_at timestamptz;
update keelson.feed_instance set leased_at = clock_timestamp();
alter table keelson.feed_point add column quarantined_at_us bigint;

-- What was said of a point last, by the place in lifecycle that said so.
create table keelson.case_point (
  point text primary key,
  quarantined boolean not null,
  index bigint not null
);
-- A decision that contradicts a case.
create table keelson.case_reopened (
  order_name text not null,
  log text not null,
  index bigint not null,
  appended_at_us bigint not null,
  doc jsonb not null,
  primary key (order_name, log, index)
);
alter table keelson.case_closed add column appended_at_us bigint not null;
grant select, insert, update, delete on keelson.case_point, keelson.case_reopened to keelson_writer;

-- What of cases was told to others: not folded, so that nothing is told again after folding anew.
create table keelson.case_told (
  what text primary key,
  told_at_us bigint not null
);
grant select, insert, delete on keelson.case_told to keelson_writer;

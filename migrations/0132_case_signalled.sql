-- Points that can only be signalled: no instance of theirs ever joins. Cases that went on for long. The projection folds anew.
alter table keelson.feed_point add column signalled boolean not null default false;
delete from keelson.case_instance;
delete from keelson.case_ack;
delete from keelson.case_closed;
delete from keelson.case_point;
delete from keelson.case_reopened;
delete from keelson.projection_position where projection = 'cases';
delete from keelson.projection_folder where projection = 'cases';
-- Where it was enrolled; null: its instances hold leases, or it was retired.
alter table keelson.case_point add column signalled_index bigint;
create table keelson.case_late (
  order_name text not null,
  seq bigint not null,
  log text not null,
  index bigint not null,
  appended_at_us bigint not null,
  primary key (order_name, seq)
);
grant select, insert, update, delete on keelson.case_late to keelson_writer;

-- A point that can only be signalled is named by each order that was given while it was there, also where it is retired before the case
-- ends. The projection folds anew.
delete from keelson.case_instance;
delete from keelson.case_ack;
delete from keelson.case_closed;
delete from keelson.case_point;
delete from keelson.case_reopened;
delete from keelson.case_late;
delete from keelson.projection_position where projection = 'cases';
delete from keelson.projection_folder where projection = 'cases';
-- Where it was retired; null: it was not.
alter table keelson.case_point add column signalled_until bigint;

-- How an instance was taken out: because somebody said so, or because it was silent for a day. The projection folds anew.
delete from keelson.case_instance;
delete from keelson.case_ack;
delete from keelson.case_closed;
delete from keelson.case_point;
delete from keelson.case_reopened;
delete from keelson.projection_position where projection = 'cases';
delete from keelson.projection_folder where projection = 'cases';
alter table keelson.case_instance drop column retired, add column retired_as text check (retired_as in ('asked', 'silent'));

-- Instances with tools that fail open: of them no lease can be said to fence. The projection folds anew.
delete from keelson.case_instance;
delete from keelson.case_ack;
delete from keelson.case_closed;
delete from keelson.case_point;
delete from keelson.case_reopened;
delete from keelson.projection_position where projection = 'cases';
delete from keelson.projection_folder where projection = 'cases';
alter table keelson.case_instance add column fail_open text[] not null;

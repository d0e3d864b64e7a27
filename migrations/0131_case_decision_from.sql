-- From which entry of each log on decisions were held against orders: what a certificate can say. They are looked through anew.
delete from keelson.case_decision_cursor;
alter table keelson.case_decision_cursor add column from_index bigint not null, add check (from_index <= next_index);

-- Registrations before `next_index` that have no verdict yet: a document that does not come must not have all those behind it judged
-- again after a restart, when other rules may hold.
alter table keelson.registration_cursor add column waiting bigint[] not null default '{}';

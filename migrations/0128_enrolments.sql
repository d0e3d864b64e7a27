-- Enrolment tokens by a name that may be shown, with their cap, and revocable; how an instance came in, and which tools of it fail open.

alter table keelson.feed_enrolment
  add column id text not null default left(replace(gen_random_uuid()::text, '-', ''), 16) unique check (id ~ '^[0-9a-f]{16}$'),
  add column uses int not null default 1 check (uses > 0),
  add column made_at_us bigint not null default 0,
  add column revoked_at_us bigint;
update keelson.feed_enrolment set uses = greatest(uses_left, 1);
alter table keelson.feed_enrolment
  alter column id drop default,
  alter column uses drop default,
  alter column made_at_us drop default;
create index feed_enrolment_of_point on keelson.feed_enrolment (point, made_at_us, id);

-- An instance is in once its entry is in the ledger: until then `announced` is false, and whoever joins with its key again goes on there.
alter table keelson.feed_instance
  add column announced boolean not null default true,
  add column joined_by text,
  add column fail_open text[] not null default '{}',
  add column fail_open_at_us bigint;
alter table keelson.feed_instance alter column announced drop default;
drop index keelson.feed_instance_of_point;
create index feed_instance_of_point on keelson.feed_instance (point, joined_at_us, id);

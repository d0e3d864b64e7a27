-- The feed (src/feed): which keys sign it, who may read it, and the row that proves that this database still takes writes.

-- Sets of feed keys, each signed by the root key.
create table keelson.feed_key_set (
  version bigint primary key check (version > 0),
  root_key bytea not null check (octet_length(root_key) = 32),
  bytes bytea not null,
  made_at_us bigint not null
);

-- Written by every read that grants follow from.
create table keelson.feed_read (
  process uuid primary key,
  read_at timestamptz not null
);

-- A deployment that applies decisions. Its enrolment is an entry of lifecycle, too.
create table keelson.feed_point (
  point text primary key,
  enrolled_at_us bigint not null,
  retired_at_us bigint
);

-- What lets processes of a point join: shown once, kept as SHA-256.
create table keelson.feed_enrolment (
  hash bytea primary key check (octet_length(hash) = 32),
  point text not null references keelson.feed_point,
  uses_left int not null check (uses_left >= 0),
  expires_at_us bigint not null,
  made_by text not null
);

-- A process of a point, by its own key.
create table keelson.feed_instance (
  id bytea primary key check (octet_length(id) = 16),
  point text not null references keelson.feed_point,
  public_key bytea not null unique check (octet_length(public_key) = 32),
  generation int not null,
  joined_at_us bigint not null,
  retired_at_us bigint
);
create index feed_instance_of_point on keelson.feed_instance (point);

grant select, insert on keelson.feed_key_set to keelson_writer;
grant select, insert, update, delete on keelson.feed_read, keelson.feed_point, keelson.feed_enrolment, keelson.feed_instance
  to keelson_writer;

-- Webhooks out (src/webhooks): what is to be told to whom, and how it goes. Addresses and secrets are in no table.

create table keelson.webhook_endpoint (
  id text primary key check (id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  -- SHA-256 of the address: a new one begins anew.
  address bytea not null check (octet_length(address) = 32),
  disabled_at_us bigint,
  paused_until_us bigint not null default 0,
  -- Attempts in a row that failed.
  failures bigint not null default 0,
  last_attempt_at_us bigint,
  last_success_at_us bigint,
  -- The HTTP status of the last attempt, or why there was none.
  last_outcome text,
  -- Which process sends, on the database's clock.
  claimed_by uuid,
  claimed_until timestamptz not null default '-infinity'
);

-- Kept for a time after it has ended: a message of the same id is not sent again.
create table keelson.webhook_message (
  endpoint text not null references keelson.webhook_endpoint on delete cascade,
  id text not null check (id ~ '^[!-~]+$' and length(id) <= 256),
  type text not null,
  body text not null,
  state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
  attempts bigint not null default 0,
  made_at_us bigint not null,
  next_at_us bigint not null,
  ended_at_us bigint check ((ended_at_us is null) = (state = 'waiting')),
  primary key (endpoint, id)
);
create index webhook_message_waiting on keelson.webhook_message (endpoint, next_at_us, id) where state = 'waiting';
create index webhook_message_ended on keelson.webhook_message (ended_at_us) where state <> 'waiting';

grant select, insert, update, delete on keelson.webhook_endpoint, keelson.webhook_message to keelson_writer;

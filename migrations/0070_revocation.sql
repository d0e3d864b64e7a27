-- The revocation projection (src/revocation) and the term of its processor. All but the term is folded from lifecycle alone, may be emptied,
-- and is written by whoever folds. Names of orders and causes are hex; times are microseconds since 1970.

-- Causes and how far each has got. `due_us`: when something must have happened to it.
create table keelson.revocation_cause (
  order_name text primary key check (order_name ~ '^[0-9a-f]{32}$'),
  index bigint not null,
  state text not null,
  kind text not null,
  producer text not null,
  due_us bigint not null,
  subjects text[] not null,
  doc jsonb not null
);
create index revocation_cause_index on keelson.revocation_cause (index);
create index revocation_cause_state on keelson.revocation_cause (state, index);
create index revocation_cause_waiting on keelson.revocation_cause (due_us) where state in ('pending', 'scheduled', 'held');
create index revocation_cause_event on keelson.revocation_cause ((doc->>'id'));
create index revocation_cause_subjects on keelson.revocation_cause using gin (subjects);

-- Which keys an order holds.
create table keelson.revocation_key (
  order_name text not null,
  key bytea not null check (octet_length(key) = 16),
  type text not null,
  change text not null check (change in ('block', 'cutoff')),
  primary key (order_name, key)
);
create index revocation_key_key on keelson.revocation_key (key);

-- The table as it is, and its changes in dense order: 25 bytes each (docs/revocation.md, "Facts").
create table keelson.revocation_fact (
  key bytea primary key check (octet_length(key) = 16),
  blocked boolean not null,
  cutoff_us bigint,
  seq bigint not null
);
create table keelson.revocation_change (
  seq bigint primary key,
  index bigint not null,
  fact bytea not null check (octet_length(fact) = 25)
);
create table keelson.revocation_head (
  only_one boolean primary key default true check (only_one),
  term bigint not null,
  holder text,
  seq bigint not null,
  chain_hash bytea not null check (octet_length(chain_hash) = 32),
  state_hash bytea not null check (octet_length(state_hash) = 32)
);

-- Who may decide: one process at a time, seen every second; unseen for five, another takes the next term.
create table keelson.revocation_term (
  only_one boolean primary key default true check (only_one),
  term bigint not null check (term >= 0),
  holder uuid,
  seen_at timestamptz not null
);

grant select, insert, update, delete on keelson.revocation_cause, keelson.revocation_key, keelson.revocation_fact,
  keelson.revocation_change, keelson.revocation_head to keelson_writer;
grant select, insert, update on keelson.revocation_term to keelson_writer;

-- The vault: what must stay forgettable. Rows here are made and deleted; the ledger refers to them by pseudonym and digest only.

-- A person, or what is sealed in one record that names no person. Erasing deletes the row, which takes the key and the look-up
-- row with it. A legal hold will be a row of its own that references the subject without cascade, so that the database itself
-- refuses to erase what is held.
create table keelson.subject (
  pseudonym bytea primary key check (octet_length(pseudonym) = 16),
  kind text not null check (kind in ('person', 'record')),
  -- Nonce (12), the subject's key under the key-encryption key (32), tag (16); the pseudonym is its additional data.
  wrapped_key bytea not null check (octet_length(wrapped_key) = 60),
  made_at timestamptz not null default now()
);

-- How a person's identifier finds their pseudonym: HMAC-SHA-256 under the installation's look-up key, so that a copy of the table
-- can't be searched by guessing. One person may have many, one for each issuer.
create table keelson.subject_lookup (
  mac bytea primary key check (octet_length(mac) = 32),
  pseudonym bytea not null references keelson.subject on delete cascade
);
create index subject_lookup_pseudonym on keelson.subject_lookup (pseudonym);

-- Ciphertexts too big for an entry, by their SHA-256. Never changed.
create table keelson.blob (
  sha256 bytea primary key check (octet_length(sha256) = 32),
  ciphertext bytea not null,
  made_at timestamptz not null default now()
);
alter table keelson.blob alter column ciphertext set storage external;

-- What could not become an event, as it came in, until it expires.
create table keelson.quarantine (
  id uuid primary key,
  digest bytea not null check (octet_length(digest) = 32),
  reason text not null,
  pointer text,
  producer text not null,
  protocol text not null,
  event_id text,
  event_type text,
  size bigint not null check (size >= 0),
  -- Microseconds since 1970.
  received_at_us bigint not null,
  expires_at_us bigint not null,
  -- A key of its own, wrapped as a subject's, and nonce ‖ ciphertext ‖ tag under it; the id is the additional data of both.
  wrapped_key bytea not null check (octet_length(wrapped_key) = 60),
  original bytea not null
);
alter table keelson.quarantine alter column original set storage external;
create index quarantine_received on keelson.quarantine (received_at_us, id);
create index quarantine_expires on keelson.quarantine (expires_at_us);

grant select, insert, delete on keelson.subject, keelson.subject_lookup, keelson.blob, keelson.quarantine to keelson_writer;

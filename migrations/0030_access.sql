-- Who may call (src/access): producers with their configuration, and the tokens that speak for them.

create table keelson.producer (
  id text primary key check (id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  config jsonb not null check (jsonb_typeof(config) = 'object'),
  created_at_us bigint not null,
  updated_at_us bigint not null
);

-- Of a token only its SHA-256 is here. A revoked one stays, so that its id keeps its meaning.
create table keelson.api_token (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  hash bytea not null unique check (octet_length(hash) = 32),
  producer text not null references keelson.producer,
  name text not null check (length(name) between 1 and 200),
  scopes text[] not null check (cardinality(scopes) between 1 and 5),
  created_at_us bigint not null,
  created_by text not null,
  expires_at_us bigint,
  revoked_at_us bigint,
  last_used_at_us bigint
);
create index api_token_by_age on keelson.api_token (created_at_us, id);

grant select, insert on keelson.producer, keelson.api_token to keelson_writer;
grant update (config, updated_at_us) on keelson.producer to keelson_writer;
grant update (revoked_at_us, last_used_at_us) on keelson.api_token to keelson_writer;

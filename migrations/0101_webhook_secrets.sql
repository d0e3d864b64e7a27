-- Secrets of those who send webhooks to Keelson (src/provisioning/hr), under the key-encryption key that is outside of the database.

create table keelson.webhook_secret (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  producer text not null references keelson.producer,
  wrapped bytea not null,
  created_at_us bigint not null,
  -- One that another took the place of, and that is good for a while yet.
  expires_at_us bigint
);
create index webhook_secret_of_producer on keelson.webhook_secret (producer, created_at_us);

grant select, insert, delete on keelson.webhook_secret to keelson_writer;
grant update (expires_at_us) on keelson.webhook_secret to keelson_writer;

-- The identity graph (src/identity) is dropped and rebuilt from the ledger alone, as search is: the service makes its tables by itself
-- (src/identity/tables.ts), in a schema of their own, and the same tables in a scratch schema while fsck refolds.

grant usage, create on schema keelson_identity to keelson_writer;

-- The search projection (src/search) is dropped and rebuilt from the ledger alone, and its parts are tables that come and go: the
-- service makes, indexes, merges and drops them, so they live in a schema of their own, where it may create. What is in it is made by
-- src/search/tables.ts, which also makes the same tables in a scratch schema while fsck refolds.

grant usage, create on schema keelson_search to keelson_writer;

-- The identity graph's tables have another shape (src/identity/tables.ts): those of before are dropped, the service makes the new ones
-- and folds them out of the ledger.

do $$
declare
  name text;
begin
  for name in select tablename from pg_tables where schemaname = 'keelson_identity' loop
    execute format('drop table keelson_identity.%I', name);
  end loop;
end
$$;
delete from keelson.projection_position where projection = 'identity';
delete from keelson.projection_folder where projection = 'identity';

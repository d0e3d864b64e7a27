-- The identity graph also holds the verdicts on registrations (src/identity/verdicts.ts): its tables are dropped, the service makes them
-- again and folds them out of the ledger.

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

import type pg from 'pg';

/** Keelson's schemas as stable text: what the catalogs say, in an order of names, so that a change of a migration shows as a diff. */
export async function describeSchema(client: pg.Client): Promise<string> {
  const lines: string[] = [];
  const list = async (sql: string): Promise<string[]> => {
    const { rows } = await client.query<{ line: string }>({ text: sql });
    return rows.map(({ line }) => line);
  };
  const tables = await client.query<{ oid: number; name: string }>(
    `select pg_class.oid::int4 as oid, nspname || '.' || relname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where nspname like 'keelson%' and relkind in ('r', 'p', 'v', 'm') order by nspname, relname`,
  );
  for (const { oid, name } of tables.rows) {
    lines.push(`table ${name}`);
    const parts = [
      `select format('  %s %s%s%s', attname, format_type(atttypid, atttypmod), case when attnotnull then ' not null' else '' end,
         coalesce(' default ' || pg_get_expr(adbin, adrelid), '')) as line
       from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
       where attrelid = ${oid} and attnum > 0 and not attisdropped order by attnum`,
      `select '  partition ' || pg_get_partkeydef(${oid}) as line where pg_get_partkeydef(${oid}) is not null`,
      `select '  of ' || inhparent::regclass || ' ' || pg_get_expr(relpartbound, pg_class.oid) as line
       from pg_inherits join pg_class on pg_class.oid = inhrelid where inhrelid = ${oid}`,
      `select '  constraint ' || conname || ' ' || pg_get_constraintdef(oid) as line
       from pg_constraint where conrelid = ${oid} and contype <> 'n' order by conname`,
      `select '  index ' || pg_get_indexdef(indexrelid) as line from pg_index join pg_class on pg_class.oid = indexrelid
       where indrelid = ${oid} and not exists (select from pg_constraint where conindid = indexrelid) order by relname`,
      `select '  trigger ' || pg_get_triggerdef(oid) || ' [' || tgenabled::text || ']' as line
       from pg_trigger where tgrelid = ${oid} and not tgisinternal order by tgname`,
      `select '  grant ' || string_agg(lower(privilege_type), ', ' order by privilege_type) || ' to ' || grantee::regrole as line
       from pg_class, aclexplode(relacl) where oid = ${oid} and grantee <> relowner group by grantee order by grantee::regrole::text`,
      `select '  grant ' || lower(privilege_type) || ' (' || attname || ') to ' || grantee::regrole as line
       from pg_attribute, aclexplode(attacl) where attrelid = ${oid} order by attname, privilege_type`,
      `select '  options ' || array_to_string(reloptions, ', ') as line from pg_class where oid = ${oid} and reloptions is not null`,
    ];
    for (const part of parts) lines.push(...(await list(part)));
  }
  lines.push(
    ...(await list(
      `select 'sequence ' || relname || coalesce(' ' || relacl::text, '') as line from pg_class
       where relnamespace = 'keelson'::regnamespace and relkind = 'S' order by relname`,
    )),
    ...(await list(
      `select pg_get_functiondef(oid) || coalesce('grants ' || proacl::text, '') as line from pg_proc
       where pronamespace = 'keelson'::regnamespace order by proname, pg_get_function_identity_arguments(oid)`,
    )),
    ...(await list(
      `select 'schema ' || nspname || ' of ' || nspowner::regrole || coalesce(' ' || nspacl::text, '') as line from pg_namespace
       where nspname like 'keelson%' order by nspname`,
    )),
  );
  return `${lines.join('\n')}\n`;
}

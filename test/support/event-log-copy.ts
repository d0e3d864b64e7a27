import pg from 'pg';

/**
 * Copies the whole event log of one database (`KEELSON_EVENTLOG_KEEP`) into another one, migrated and empty: what a replay
 * starts from. Both URLs are a superuser's.
 */
export async function copyEventLog(fromUrl: string, toUrl: string): Promise<void> {
  const source = new pg.Client({ connectionString: fromUrl });
  const target = new pg.Client({ connectionString: toUrl });
  await Promise.all([source.connect(), target.connect()]);
  try {
    for (const table of ['keelson.event_log_partition', 'keelson.event_log_message']) {
      const { rows } = await source.query<{ row: string }>(`select row_to_json(t)::text as row from ${table} t`);
      for (let at = 0; at < rows.length; at += 500) {
        const part = rows.slice(at, at + 500).map(({ row }) => row);
        await target.query(
          `insert into ${table} overriding system value select * from json_populate_recordset(null::${table}, $1::json)`,
          [`[${part.join(',')}]`],
        );
      }
    }
  } finally {
    await Promise.all([source.end(), target.end()]);
  }
}

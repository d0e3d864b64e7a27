import pg from 'pg';

/** When lifecycle grew to which size, as Postgres tells at the commit itself: nobody has to ask again and again. */
export class CommitWatch {
  readonly #client: pg.Client;
  readonly #commits: { readonly size: number; readonly atMs: number }[] = [];
  #waiting: (() => void)[] = [];

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on('notification', ({ payload }) => {
      this.#commits.push({ size: Number(payload), atMs: performance.now() });
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** @param adminUrl of a superuser: puts a trigger on the heads of the logs, which speaks of lifecycle alone. */
  static async open(adminUrl: string): Promise<CommitWatch> {
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    await client.query(`
      create or replace function public.bench_grown() returns trigger language plpgsql security definer as $$
        begin
          if exists (select from keelson.log where id = new.log and path like 'lifecycle/%') then
            perform pg_notify('bench_grown', new.size::text);
          end if;
          return null;
        end $$;
      create or replace trigger bench_grown after update on keelson.head for each row
        when (new.size > old.size) execute function public.bench_grown();
      listen bench_grown`);
    return new CommitWatch(client);
  }

  get size(): number {
    return this.#commits.at(-1)?.size ?? 0;
  }

  /** Resolves when lifecycle has `size` entries. @throws Error after 30 s */
  async until(size: number): Promise<void> {
    for (const endMs = performance.now() + 30_000; this.size < size;) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`lifecycle has ${this.size} entries, not ${size}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  /** When the entry at an index was committed, on the clock of `performance.now()`. */
  committedMs(index: number): number {
    const commit = this.#commits.find(({ size }) => size > index);
    if (commit === undefined) throw new Error(`entry ${index} was not seen`);
    return commit.atMs;
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

/** What an instance says of tools that fail open, to two feed processes at once: on a real database, into a ledger that the test holds up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Instances, type Instance } from '../../src/feed/instances.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { seed } from '../guard/support.js';

let db: TestDatabase;
/** Entries in the order of the ledger: what fails open. */
const entries: (readonly string[])[] = [];
/** What process A writes waits for this. */
let held: Promise<void> | undefined;

beforeAll(async () => {
  db = await createDatabase();
  await db.tamper(`insert into keelson.feed_point (point, enrolled_at_us) values ('gateway', 1)`);
});
afterAll(() => db?.drop());

function process(wait: () => Promise<void> | undefined): Instances {
  const publishOwn = async ([{ event }]: [{ event: { fail_open?: string[] } }]): Promise<unknown> => {
    await wait();
    entries.push(event.fail_open ?? []);
    return [{ outcome: 'recorded' }];
  };
  return new Instances({
    database: db.open(),
    locks: db.open(),
    clock: { nowUs: () => BigInt(Date.now()) * 1000n, monotonicMs: () => performance.now() },
    intake: { publishOwn } as never,
    ledger: 'ledger.example',
    generation: 1,
  });
}

/** Resolves when somebody waits for a lock of this kind. */
async function untilSomebodyWaits(): Promise<void> {
  for (const end = Date.now() + 20_000; ; await sleep(5)) {
    const { rows } = await db.tamper(
      `select from pg_locks l join pg_database d on d.oid = l.database
       where d.datname = $1 and l.locktype = 'advisory' and not l.granted`,
      [db.name],
    );
    if (rows.length > 0) return;
    if (Date.now() > end) throw new Error('nobody waits');
  }
}

it.each(['declared', 'joined'])(
  'an older statement that is stuck is not written behind what is %s after it',
  async (how) => {
    const [a, b] = [process(() => held), process(() => undefined)];
    const key = nodeSigner(seed(`says twice, ${how}`));
    const admission = { point: 'gateway', by: 'test' };
    held = undefined;
    const me: Instance = await a.join(admission, { publicKey: key.publicKey, failOpen: ['read'] });
    entries.length = 0;
    let goOn!: () => void;
    held = new Promise((resolve) => (goOn = resolve));
    const atUs = Date.now() * 1000;
    // It takes everything back, and the entry does not get into the ledger.
    const older = a.declare(me, { instance: me.id, atUs, tools: [] });
    await untilIsTaken(me);
    const newer =
      how === 'declared'
        ? b.declare(me, { instance: me.id, atUs: atUs + 1, tools: ['deploy'] })
        : b.join(admission, { publicKey: key.publicKey, failOpen: ['deploy'] });
    await untilSomebodyWaits();
    expect(entries).toEqual([]);
    goOn();
    await Promise.all([older, newer]);
    expect(entries).toEqual([[], ['deploy']]);
    const { rows } = await db.tamper('select fail_open from keelson.feed_instance where id = $1', [me.id]);
    expect(rows).toEqual([{ fail_open: ['deploy'] }]);
  },
);

/** The older statement is in the row. */
async function untilIsTaken({ id }: Instance): Promise<void> {
  for (const end = Date.now() + 20_000; ; await sleep(5)) {
    const { rows } = await db.tamper(
      'select from keelson.feed_instance where id = $1 and fail_open_at_us is not null',
      [id],
    );
    if (rows.length > 0) return;
    if (Date.now() > end) throw new Error('it was not taken');
  }
}

it('who joins again with more tools than a statement holds says that all of them fail open, and joins', async () => {
  const instances = process(() => undefined);
  const key = nodeSigner(seed('says many'));
  const joinWith = (tools: string): Promise<Instance> =>
    instances.join(
      { point: 'gateway', by: 'test' },
      { publicKey: key.publicKey, failOpen: Array.from({ length: 60 }, (_, i) => `${tools}-${i}`) },
    );
  await joinWith('read');
  const { id } = await joinWith('write');
  const { rows } = await db.tamper('select fail_open from keelson.feed_instance where id = $1', [id]);
  expect(rows).toEqual([{ fail_open: ['*'] }]);
});

import { startEmbeddedPostgres } from '../../../src/platform/postgres/embedded.js';

/** Starts the embedded Postgres on the folder it is given, tells the postmaster's pid, and stays. */
const { pid } = await startEmbeddedPostgres({ dataFolder: process.argv[2]! });
process.send!(pid);
setInterval(() => undefined, 60_000);

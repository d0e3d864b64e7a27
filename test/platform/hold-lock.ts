import { lockDataFolder } from '../../src/platform/data-lock.js';

/** Locks the folder it is given, says so, and stays. */
await lockDataFolder(process.argv[2]!);
process.send!('locked');
setInterval(() => undefined, 60_000);

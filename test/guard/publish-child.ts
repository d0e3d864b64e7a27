/** Takes decisions as fast as it can, writes a dot for each that it took, and is killed by whoever started it. */
import { openSync, writeSync } from 'node:fs';
import { Publisher } from '../../src/guard/publisher.js';
import { makeGuard } from './support.js';

const [url, spoolFolder, tally] = process.argv.slice(2);
const file = openSync(tally!, 'w');
const publisher = new Publisher(makeGuard().core, {
  url: url!,
  token: 'kls_x',
  point: 'gateway',
  spoolFolder: spoolFolder!,
});
const take = (): void => {
  for (let i = 0; i < 20; i++) {
    if (publisher.publish({ decision: 'allow', tool: 'deploy' })) writeSync(file, '.');
  }
  setImmediate(take);
};
take();

// @ts-check
/**
 * `npm run demo`: somebody leaves while their agents work, with Keelson and without. docs/revocation.md
 *
 * Starts everything it needs on free ports and in a folder of its own, and takes it all away again.
 */
import { parseArgs } from 'node:util';
import { makeScreen, printJson } from './screen.mjs';
import { tell } from './story.mjs';
import { World } from './world.mjs';

const HELP = `Somebody leaves while their agents work: what gateways with Keelson do, and gateways without.

  npm run demo                         for reading
  npm run --silent demo -- --json      one JSON document a line
  npm run demo -- --help

It takes less than a minute, needs nothing but Node.js, and leaves nothing behind.
NO_COLOR=1 leaves out the colours. It ends with 0 when each instance with Keelson refused, and the certificate
was verified; with 130 after Ctrl-C.
`;

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) return 2;
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  const world = new World(stopping.signal);
  const code = await play(world, options, stopping.signal);
  await world.close();
  return stopping.signal.aborted ? 130 : code;
}

/** @param {World} world @param {{ json?: boolean }} options @param {AbortSignal} signal @returns the exit code, unless it was interrupted */
async function play(world, options, signal) {
  try {
    const say = options.json ? printJson : makeScreen(process.stdout);
    if (await tell(world, say, signal)) return 0;
    if (!signal.aborted) complain('it did not end as it should', world.complaints);
  } catch (error) {
    if (!signal.aborted) complain(error instanceof Error ? error.message : String(error), world.complaints);
  }
  return 1;
}

/** @param {string} message @param {readonly string[]} more */
const complain = (message, more) => void process.stderr.write(`${['', `demo: ${message}`, ...more].join('\n')}\n`);

/** @param {string[]} args */
function readOptions(args) {
  try {
    return parseArgs({ args, options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    process.stderr.write(`demo: ${/** @type {Error} */ (error).message}\n\n${HELP}`);
    return undefined;
  }
}

process.exitCode = await main();

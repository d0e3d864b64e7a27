// @ts-check
/** The story for reading, at most 100 columns wide, and for machines. */

/** @typedef {import('./story.mjs').Told} Told */

/** @param {Told} told */
export const printJson = (told) => void process.stdout.write(`${JSON.stringify(told)}\n`);

/**
 * Prints what is told.
 * @param {NodeJS.WriteStream} out
 * @returns {import('./story.mjs').Say}
 */
export function makeScreen(out) {
  const isColoured = out.isTTY && !process.env.NO_COLOR;
  const paint = (/** @type {number} */ code, /** @type {string} */ text) =>
    isColoured ? `\x1b[${code}m${text}\x1b[0m` : text;
  const print = (line = '') => void out.write(`${line}\n`);
  const title = (/** @type {string} */ line) => print(`\n${paint(1, line)}\n`);
  /** Colours come after the padding. @param {string} first @param {Cell} second @param {Cell} third */
  const row = (first, second, third) => print(`  ${first.padEnd(34)}${cell(second, 30)}${cell(third, 0)}`.trimEnd());
  const cell = (/** @type {Cell} */ [text, colour], /** @type {number} */ width) => paint(colour, text.padEnd(width));

  /** @type {Record<string, (told: Told) => void>} */
  const lines = {
    begin: () => print(paint(1, 'Keelson demo: somebody leaves while their agents work')),
    started: ({ ms, gateways, leftBefore }) => {
      print(
        `\nUp after ${seconds(ms)}: Keelson with its own Postgres, where ${leftBefore} have left before; an MCP server;`,
      );
      print(
        `${2 * gateways.length} gateways before it, of each name two: one asks Keelson, one believes a token until it runs out.`,
      );
      title('Who works with which token through which gateway');
      print(`  ${columns('agent', 'for', 'token', 'lives', 'tool', 'gateways')}`);
    },
    agent: ({ agent, user, jti, expiresInS, tool, gateways }) =>
      print(`  ${columns(agent, user, jti.slice(0, 8), `${expiresInS / 60} min`, tool, gateways.join(', '))}`),
    calls: ({ calls }) => {
      title('They work');
      row('', plain('with Keelson'), plain('without'));
      for (const one of calls) row(through(one), good(count(one.with)), good(count(one.without)));
    },
    webhook: ({ person, status, ms }) => {
      title(`HR says that ${person} has left: a signed webhook, accepted (${status}) after ${Math.round(ms)} ms`);
      row('', plain('with Keelson'), plain('without'));
    },
    refused: (one) => row(through(one), bad(`refused ${one.ms} ms later`), good('goes on')),
    after: ({ calls, ms }) => {
      print(`\n  ${seconds(ms)} later`);
      for (const one of calls) {
        const colour = one.with.allowed === 0 ? bad : good;
        row(through(one), colour(count(one.with)), good(count(one.without)));
      }
    },
    case: ({ order, state, seq, instances }) => {
      title('The case that follows the order to its end');
      print(`  order ${order}, change ${seq} of the table: ${paint(1, state)}`);
      for (const { instance, point, status, ack } of instances) {
        const entry = ack === undefined ? '' : `, entry ${ack.index} of ${ack.log}`;
        print(`  instance ${instance} of ${point}: ${status}${entry}`);
      }
    },
    certificate: ({ bytes }) =>
      title(`Its certificate, ${bytes} bytes, verified by another process that knows the ledger's key alone`),
    verified: ({ ok, order, result, says, changedCode }) => {
      const counts = Object.entries(says).map(([word, lines]) => `${lines.length} ${word}`);
      print(`  order ${order}: ${result}, said in ${counts.join(', ')}`);
      print(`  as it is: ${ok ? paint(32, 'ok') : paint(31, 'WRONG')}`);
      print(`  with one letter changed: ${changedCode === 0 ? paint(31, 'ok') : paint(32, 'refused')}`);
    },
    end: ({ ms }) =>
      print(`\nAll of it took ${seconds(ms)}. What stands behind it: docs/revocation.md, docs/certificate.md`),
  };
  return (told) => lines[told.event]?.(told);
}

/** @typedef {[text: string, colour: number]} Cell */
/** @type {(text: string) => Cell} */
const plain = (text) => [text, 0];
/** @type {(text: string) => Cell} */
const good = (text) => [text, 32];
/** @type {(text: string) => Cell} */
const bad = (text) => [text, 31];

/** @param {Record<string, any>} who */
const through = ({ user, gateway }) => `${user} through ${gateway}`;

/** @param {string[]} cells */
const columns = (...cells) => cells.map((text, i) => text.padEnd([13, 18, 11, 9, 9, 0][i] ?? 0)).join('');

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** @param {{ allowed: number, refused: number }} counts */
const count = ({ allowed, refused }) =>
  [...(allowed > 0 ? [`${allowed} let in`] : []), ...(refused > 0 ? [`${refused} refused`] : [])].join(', ') || 'none';

/** Decisions at a steady rate, a process of its own, until it is told to stop; then it says how many were taken a second. */
import { Agent, request } from 'node:http';
import { makeDecision } from './records.js';

export interface SteadyLoad {
  readonly url: string;
  readonly token: string;
  readonly perS: number;
}

const BATCH = 100;
const CONNECTIONS = 4;

process.on('disconnect', () => process.exit(0));
process.once('message', ({ url, token, perS }: SteadyLoad) => {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const startMs = performance.now();
  let [sent, taken] = [0, 0];
  const timer = setInterval(() => {
    // What could not be sent in time is sent late, but never more at once than the server takes.
    const due = ((performance.now() - startMs) / 1000) * perS;
    while (sent + BATCH <= due && sent - taken < CONNECTIONS * BATCH) post();
  }, 10);

  function post(): void {
    const items = Array.from({ length: BATCH }, (_, i) => makeDecision(sent + i).replace('"decision-', '"steady-'));
    sent += BATCH;
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    request(`${url}/v1/decisions`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume().on('end', () => {
        if (answer.statusCode !== 200) throw new Error(`decisions were answered ${answer.statusCode}`);
        taken += BATCH;
      });
    }).end(`[${items.join()}]`);
  }

  process.once('message', () => {
    clearInterval(timer);
    process.send!(taken / ((performance.now() - startMs) / 1000), () => process.exit(0));
  });
});

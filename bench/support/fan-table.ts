import type { FanSample } from './fan-leavers.js';

export interface FanRow {
  readonly name: string;
  readonly samples: readonly FanSample[];
  readonly cpu: FanCpu;
}

/** User and system time, microseconds: what was used while all orders of a row came, leases and acks with them. */
export interface FanCpu {
  readonly server: number;
  readonly postgres: number;
  readonly listeners: number;
}

export const cpuSince = (before: FanCpu, after: FanCpu): FanCpu => ({
  server: after.server - before.server,
  postgres: after.postgres - before.postgres,
  listeners: after.listeners - before.listeners,
});

const STAGES = [
  ['webhook sent', ({ sent }) => sent],
  ['cause committed', ({ causeCommitted }) => causeCommitted],
  ['order committed', ({ orderCommitted }) => orderCommitted],
  ['frame sent', ({ frameSent }) => frameSent],
  ['first applied', ({ firstApplied }) => firstApplied],
  ['last applied', ({ lastApplied }) => lastApplied],
  ['last canary refused', ({ lastRefused }) => lastRefused],
] satisfies [string, (sample: FanSample) => number][];

/** Each stage, in milliseconds since HR's webhook was accepted. */
export function printStages(rows: readonly FanRow[]): void {
  console.log('\nmilliseconds since the webhook was accepted, p50 / p99');
  console.log(
    `| what | orders | ${STAGES.map(([name]) => name).join(' | ')} | CPU ms an order: server, Postgres, listeners |`,
  );
  console.log(`|---|---|${STAGES.map(() => '---').join('|')}|---|`);
  for (const { name, samples, cpu } of rows) {
    const cells = STAGES.map(([, pick]) => {
      const sorted = samples.map(pick).sort((a, b) => a - b);
      const at = (q: number): string => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!.toFixed(1);
      return `${at(0.5)} / ${at(0.99)}`;
    });
    const used = [cpu.server, cpu.postgres, cpu.listeners].map((us) => Math.round(us / 1000 / samples.length));
    console.log(`| ${name} | ${samples.length} | ${cells.join(' | ')} | ${used.join(', ')} |`);
  }
}

import type { FanSample } from './fan-leavers.js';

export interface FanRow {
  readonly name: string;
  readonly samples: readonly FanSample[];
}

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
  console.log(`| what | orders | ${STAGES.map(([name]) => name).join(' | ')} |`);
  console.log(`|---|---|${STAGES.map(() => '---').join('|')}|`);
  for (const { name, samples } of rows) {
    const cells = STAGES.map(([, pick]) => {
      const sorted = samples.map(pick).sort((a, b) => a - b);
      const at = (q: number): string => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!.toFixed(1);
      return `${at(0.5)} / ${at(0.99)}`;
    });
    console.log(`| ${name} | ${samples.length} | ${cells.join(' | ')} |`);
  }
}

/** A progress bar on stderr where a person watches; nothing else. */
import { Presets, SingleBar } from 'cli-progress';
import type { Output } from './io.js';

export interface ProgressBar {
  /** `total` undefined: not known yet. */
  update(done: number, total: number | undefined, label: string): void;
  stop(): void;
}

const SILENT: ProgressBar = { update: () => undefined, stop: () => undefined };

export function startProgress(output: Output): ProgressBar {
  if (!output.interactive) return SILENT;
  const stream = output.progressStream as NodeJS.WriteStream;
  const format = '{label} {bar} {value}/{total}';
  const bar = new SingleBar({ stream, format, hideCursor: true, etaBuffer: 50, fps: 5 }, Presets.shades_grey);
  let started = false;
  return {
    update(done, total, label) {
      if (started) bar.setTotal(total ?? done);
      else bar.start(total ?? done, done, { label });
      started = true;
      bar.update(done, { label });
    },
    stop: () => (started ? bar.stop() : undefined),
  };
}

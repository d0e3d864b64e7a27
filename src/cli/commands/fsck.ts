import type { Command } from 'commander';
import type { FsckFinding } from '../../ledger/fsck.js';
import { createCommand, formatJson, withExamples, type Context, type JsonOption } from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { startProgress } from '../progress.js';
import { neutralise } from '../text.js';

/** `keelson fsck`: beside a running server, or without one. */
export function createFsck(context: Context): Command {
  const command = createCommand('fsck', 'check the database: every hash, tile, checkpoint, link, offset and signature')
    .option(
      '--no-projections',
      'without folding the projections again, which needs KEELSON_MIGRATION_URL (embedded: nothing)',
    )
    .option('--no-event-log', 'without comparing with the event log and its memory of checkpoints')
    .addHelpText(
      'after',
      '\nRuns where the server runs, with its settings; finds the embedded database by KEELSON_DATA.',
    )
    .action((options: FsckOptions) => check(context, options));
  return withExamples(command, ['keelson fsck', 'keelson fsck --json --no-projections | jq .findings']);
}

interface FsckOptions extends JsonOption {
  projections: boolean;
  eventLog: boolean;
}

async function check({ io, output }: Context, options: FsckOptions): Promise<void> {
  const { openInspection } = await import('../workshop.js');
  const inspection = await openInspection({ io, output }, options);
  const progress = startProgress(output);
  const findings: FsckFinding[] = [];
  const logs = new Map<string, bigint>();
  try {
    const onProgress = ({ log, done, size }: { log: string; done: bigint; size: bigint }): void => {
      logs.set(log, done);
      progress.update(Number(done), Number(size), log);
    };
    for await (const finding of inspection.run(onProgress)) {
      findings.push(finding);
      if (!options.json) await output.line(neutralise(describe(finding)));
    }
  } finally {
    progress.stop();
    await inspection.close();
  }
  if (options.json)
    await output.line(formatJson({ ok: findings.length === 0, checked: Object.fromEntries(logs), findings }));
  else for (const [log, done] of logs) await output.line(neutralise(`${log}  ${done} entries checked`));
  if (findings.length > 0)
    throw new CommandError(EXIT.failed, `${findings.length} findings: this is not as it was written`);
}

const describe = ({ log, what, index, reason }: FsckFinding): string =>
  `${log}, ${what}${index === undefined ? '' : `, index ${index}`}: ${reason}`;

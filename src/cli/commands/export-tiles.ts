import type { Command } from 'commander';
import { openHttpSource } from '../../verify/http-source.js';
import { asObject, listOf, textOf } from '../answer.js';
import {
  createCommand,
  formatJson,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { startProgress } from '../progress.js';
import { neutralise } from '../text.js';
import { exportLog } from '../tile-export.js';

/** `keelson export-tiles`: what an auditor takes along. */
export function createExportTiles(context: Context): Command {
  const command = withTarget(
    createCommand('export-tiles', 'copy checkpoints, tiles and entries into a folder, for `verify`'),
  )
    .argument('<folder>', 'made where it is missing; a copy that is there is brought up to date')
    .action(async (folder: string, options: TargetOptions) => {
      const { output } = context;
      const client = await openClient(context, options);
      const { url, token } = client.target;
      const source = openHttpSource(`${url}/ledger`, token === undefined ? {} : { token });
      const logs = listOf(asObject(await client.getJson('/v1/logs')), 'logs').map((log) => textOf(log, 'log'));
      const progress = startProgress(output);
      try {
        for (const log of logs) {
          const done = await exportLog(source, log, folder, (at, total) => progress.update(at, total, log));
          const { size, written } = done;
          await output.line(
            options.json ? formatJson(done) : neutralise(`${log}  ${size} entries, ${written} files written`),
          );
        }
      } finally {
        progress.stop();
      }
    });
  return withExamples(command, [
    'keelson export-tiles ./tiles',
    'keelson export-tiles ./tiles --url https://keelson.company.com --token-file auditor.token',
  ]);
}

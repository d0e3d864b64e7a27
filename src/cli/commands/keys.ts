import type { Command } from 'commander';
import { asObject, textOf } from '../answer.js';
import {
  createCommand,
  formatJson,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { formatTable } from '../text.js';

/** `keelson keys`. */
export function createKeys(context: Context): Command {
  const command = withTarget(createCommand('keys', "show the ledger's verifier key, and the key of each log"))
    .option('--ledger', "only the ledger's: all that `verify` needs")
    .action(async (options: TargetOptions & { ledger?: true }) => {
      const { output } = context;
      const keys = asObject(await (await openClient(context, options)).getJson('/v1/keys'));
      const logs = asObject(keys.logs);
      if (options.ledger)
        await output.line(options.json ? formatJson({ ledger: keys.ledger }) : textOf(keys, 'ledger'));
      else if (options.json) await output.line(formatJson(keys));
      else {
        const rows = [['ledger', textOf(keys, 'ledger')], ...Object.keys(logs).map((log) => [log, textOf(logs, log)])];
        for (const line of formatTable(rows)) await output.line(line);
      }
    });
  return withExamples(command, ['keelson keys', 'keelson keys --ledger > ledger.key']);
}

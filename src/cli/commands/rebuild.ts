import { Argument, type Command } from 'commander';
import { createCommand, formatJson, withExamples, type Context, type JsonOption } from '../command.js';

/** `keelson rebuild`: beside a running server, or without one. */
export function createRebuild(context: Context): Command {
  const command = createCommand('rebuild', 'empty a projection, so that the server folds it anew from the ledger')
    .addArgument(
      new Argument('<projection>', 'which one').choices(['search', 'identity', 'revocation', 'provisioning']),
    )
    .addHelpText(
      'after',
      '\nRuns where the server runs, with its settings; finds the embedded database by KEELSON_DATA.',
    )
    .action(async (name: string, options: JsonOption) => {
      const { openWorkshop } = await import('../workshop.js');
      const { rebuildProjection } = await import('../../ledger/projection-runner.js');
      const { PROJECTIONS } = await import('../../server/projections.js');
      const foundation = await openWorkshop(context);
      try {
        await rebuildProjection(foundation.database, PROJECTIONS[name]!(foundation));
      } finally {
        await foundation.close();
      }
      if (options.json) await context.output.line(formatJson({ projection: name, emptied: true }));
      else context.output.note(`${name} is empty; the server folds it anew, answers tell how far it is`);
    });
  return withExamples(command, ['keelson rebuild search', 'keelson rebuild revocation']);
}

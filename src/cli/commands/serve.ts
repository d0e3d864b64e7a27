import type { Command } from 'commander';
import { createCommand, withExamples, type Context } from '../command.js';

/** `keelson serve`: ends the process by itself. */
export function createServe(context: Context): Command {
  const command = createCommand('serve', 'run the server, until it is told to stop')
    .addHelpText('after', '\nEverything is set by environment variables, see docs/settings.md.')
    .action(async () => {
      // Loaded here only: the other commands start without the server's parts.
      const { runServer } = await import('../../server/run.js');
      await runServer(context.io.env, context.io.stdout);
    });
  return withExamples(command, [
    'keelson serve',
    'KEELSON_KAFKA_BROKERS=kafka:9092 KEELSON_DATABASE_URL=postgres://… keelson serve',
  ]);
}

import { readConfig } from '../config.js';
import { growHeap } from '../platform/heap.js';
import { createLogger, type Logger } from '../platform/logger.js';
import { createServer, type Running, type Server } from '../server.js';

/** Longer than any of the parts takes to stop by itself. */
const STOP_TIMEOUT_MS = 35_000;
/** npm hands a Ctrl-C on to us that the terminal has sent us already: only a later signal is a second one. */
const SAME_SIGNAL_MS = 1_000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * `keelson serve`: starts the service, says where it is, and stops it on SIGINT or SIGTERM, on an error nobody caught, or when a part of it
 * failed for good. Ends the process: 0 after a signal, 1 after a failure, or at a second signal, which does not wait.
 *
 * @throws KeelsonError what kept it from starting; everything that was started is stopped by then.
 */
export async function runServer(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  out: NodeJS.WritableStream = process.stdout,
): Promise<never> {
  growHeap();
  const config = readConfig(environment);
  const logger = createLogger(config);
  const server = createServer(config, { logger });
  const release = stopOnSignals(server, logger);
  try {
    await server.start();
  } catch (error) {
    release();
    throw error;
  }
  out.write(formatWelcome(server.running));
  logger.fatal({ err: await server.failed }, 'a part failed for good');
  return stopAndExit(server, logger, 1);
}

/** Answers how to take the listeners away again. */
function stopOnSignals(server: Server, logger: Logger): () => void {
  let signalledAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (signalledAtMs === undefined) {
      signalledAtMs = nowMs;
      logger.info(`${signal}: stopping`);
      void stopAndExit(server, logger, 0);
    } else if (nowMs - signalledAtMs > SAME_SIGNAL_MS) {
      logger.fatal(`${signal} again: leaving at once`);
      process.exit(1);
    }
  };
  const onError = (error: unknown): void => {
    logger.fatal({ err: error }, 'an error nobody caught');
    void stopAndExit(server, logger, 1);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    process.off('uncaughtException', onError);
    process.off('unhandledRejection', onError);
  };
}

async function stopAndExit(server: Server, logger: Logger, code: number): Promise<never> {
  setTimeout(() => {
    logger.fatal(`not stopped after ${STOP_TIMEOUT_MS / 1000} s: leaving`);
    process.exit(1);
  }, STOP_TIMEOUT_MS).unref();
  try {
    await server.stop();
  } catch (error) {
    logger.fatal({ err: error }, 'while stopping');
    process.exit(1);
  }
  logger.info('stopped');
  process.exit(code);
}

/** Where it is, who may administer it, and a first event to paste. */
export function formatWelcome({ url, adminTokenFile, verifierKey }: Running): string {
  return `
Keelson listens on ${url} (API: ${url}/docs)

  admin token    ${adminTokenFile}
  verifier key   ${verifierKey}

Publish a decision, and see it in the ledger:

  curl -sS ${url}/v1/decisions -H "authorization: Bearer $(cat '${adminTokenFile}')" \\
    -H 'content-type: application/json' -H 'prefer: wait=10' \\
    -d '{"timestamp":"2024-01-20T10:30:00Z","agent":"spiffe://company.com/agent/deploy-bot","tool":"deploy_to_production","decision":"allow"}'

Stop with Ctrl-C.

`;
}

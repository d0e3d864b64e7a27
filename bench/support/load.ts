/** The load of `bench:intake`, a process of its own: makes all bodies first, then sends them over some connections. */
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describeDecision, makeDecision } from './records.js';

export interface LoadOptions {
  readonly kind: 'decisions' | 'opa';
  readonly url: string;
  readonly token: string;
  /** Events of another round are other events. */
  readonly round: number;
  readonly events: number;
  readonly batch: number;
  readonly connections: number;
}

function makeOpaEvent(index: number, round: number): object {
  const it = describeDecision(index);
  return {
    labels: { id: 'bench-opa', version: '1.22.2' },
    decision_id: `r${round}-${it.id}`,
    bundles: { main: { revision: it.policyVersion } },
    path: 'mcp/authz/decision',
    input: { agent: it.agent, user: it.user, tool: it.tool, parameters: { service: 'api', region: 'eu-central-1' } },
    result: { allow: it.decision === 'allow', reasons: ['role'] },
    requested_by: '127.0.0.1:40000',
    timestamp: new Date(it.occurredAtMs).toISOString(),
    metrics: { timer_server_handler_ns: 120_000 },
    req_id: index,
  };
}

/** Events `[from, to)` as JSON texts. */
export function makeItems(kind: LoadOptions['kind'], round: number, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) =>
    kind === 'opa'
      ? JSON.stringify(makeOpaEvent(from + i, round))
      : makeDecision(from + i).replace('"decision-', `"r${round}-decision-`),
  );
}

function makeBodies({ kind, events, batch, round }: LoadOptions): Buffer[] {
  const bodies: Buffer[] = [];
  for (let from = 0; from < events; from += batch) {
    const items = makeItems(kind, round, from, Math.min(from + batch, events));
    bodies.push(kind === 'opa' ? gzipSync(`[${items.join()}]`) : Buffer.from(`[${items.join()}]`));
  }
  return bodies;
}

function send(agent: Agent, { kind, url, token }: LoadOptions, body: Buffer): Promise<void> {
  const path = kind === 'opa' ? '/v1/opa/logs' : '/v1/decisions';
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': body.length,
    ...(kind === 'opa' ? { 'content-encoding': 'gzip' } : {}),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume().on('end', () => {
        if (answer.statusCode! < 300) resolve();
        else reject(new Error(`${path} answered ${answer.statusCode}`));
      });
    });
    outgoing.on('error', reject).end(body);
  });
}

process.once('message', (options: LoadOptions) => {
  void (async () => {
    const bodies = makeBodies(options);
    const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
    const start = process.hrtime.bigint();
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < bodies.length) await send(agent, options, bodies[next++]!);
    };
    await Promise.all(Array.from({ length: options.connections }, work));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    agent.destroy();
    process.send!(seconds, () => process.disconnect());
  })();
});

import { collectDefaultMetrics, Registry } from 'prom-client';

export type Metrics = Registry;

/** The registry behind /metrics, with Node's and the process's own figures. Rooms register theirs on it, named `keelson_<room>_…`. */
export function createMetrics(): Metrics {
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  return metrics;
}

import { Counter, type Registry } from 'prom-client';

export interface IntakeMetrics {
  readonly accepted: Counter<'protocol' | 'topic'>;
  readonly quarantined: Counter<'protocol' | 'code'>;
}

export const createIntakeMetrics = (registry: Registry): IntakeMetrics => ({
  accepted: new Counter({
    name: 'keelson_intake_accepted_total',
    help: 'Events that are durable in the event log',
    labelNames: ['protocol', 'topic'],
    registers: [registry],
  }),
  quarantined: new Counter({
    name: 'keelson_intake_quarantined_total',
    help: 'Events and uploads that went to quarantine',
    labelNames: ['protocol', 'code'],
    registers: [registry],
  }),
});

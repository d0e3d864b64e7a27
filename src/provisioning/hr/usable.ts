import type { ProducerConfig } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { isZone } from './dates.js';

/** @throws KeelsonError `invalid_request`: a time zone that there is not */
export function requireUsableHr({ hr }: ProducerConfig): void {
  if (hr?.zone === undefined || isZone(hr.zone)) return;
  throw new KeelsonError('invalid_request', `there is no time zone ${hr.zone}`, { pointer: '/hr/zone' });
}

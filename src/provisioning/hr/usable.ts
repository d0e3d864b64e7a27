import type { HrSignature } from '../../access/hr-config.js';
import type { ProducerConfig } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { isZone } from './dates.js';

/** @throws KeelsonError `invalid_request`: a time zone that there is not; a time of sending that is not signed */
export function requireUsableHr({ hr }: ProducerConfig): void {
  const signature = hr?.signature;
  if (signature !== undefined && !isTimeSigned(signature)) {
    const why =
      'signs only the body, so anybody could send an old one with a new header: name the place of the time in the body';
    throw new KeelsonError('invalid_request', `this scheme ${why}`, { pointer: '/hr/signature/time' });
  }
  if (hr?.zone === undefined || isZone(hr.zone)) return;
  throw new KeelsonError('invalid_request', `there is no time zone ${hr.zone}`, { pointer: '/hr/zone' });
}

/** Whether nobody can give an old message a new time. */
export const isTimeSigned = (signature: HrSignature): boolean =>
  signature.scheme === 'standard' || signature.signs !== 'body' || !('header' in signature.time);

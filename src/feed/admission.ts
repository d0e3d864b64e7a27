/** What lets a process in: the token of an enrolment. */
import type { Enrolments } from './enrolments.js';
import { refused, type Admission } from './instances.js';

export class Admissions {
  constructor(private readonly options: { readonly enrolments: Enrolments }) {}

  /** @throws KeelsonError `forbidden`: it lets nobody in; `database_unavailable` */
  async of(token: string): Promise<Admission> {
    const enrolment = await this.options.enrolments.find(token);
    if (enrolment === undefined) throw refused();
    return { point: enrolment.point, by: `enrolment/${enrolment.id}`, enrolment: enrolment.id };
  }
}

/** What lets a process in: the token of an enrolment, or what its platform gives it. */
import type { Enrolments } from './enrolments.js';
import { refused, type Admission } from './instances.js';
import type { Workloads } from './workload/workloads.js';

export interface AdmissionsOptions {
  readonly enrolments: Enrolments;
  readonly workloads: Workloads;
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export class Admissions {
  constructor(private readonly options: AdmissionsOptions) {}

  /** @throws KeelsonError `forbidden`: it lets nobody in; `database_unavailable`; `not_ready` */
  async of(token: string): Promise<Admission> {
    const { enrolments, workloads } = this.options;
    if (JWT.test(token)) {
      const admission = await workloads.find(token);
      if (admission === undefined) throw refused();
      return admission;
    }
    const enrolment = await enrolments.find(token);
    if (enrolment === undefined) throw refused();
    return { point: enrolment.point, by: `enrolment/${enrolment.id}`, enrolment: enrolment.id };
  }
}

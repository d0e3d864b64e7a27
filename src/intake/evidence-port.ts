/** What intake asks about evidence that must not be kept, before it masks anything. */
import type { JsonObject } from '../events/json.js';

/** The member of an event that says what was found; no producer's event may have it. */
export const INTAKE_CHECK = 'intake_check';

export interface EvidencePort {
  /** Whether events of this type may bring such evidence. */
  concerns(type: string): boolean;
  /**
   * What was found in the evidence of an event: members of `intake_check`. Undefined: it brings none, or none is looked for. The event is
   * not changed. Never rejects: whatever happens, the event goes on.
   */
  check(event: JsonObject): Promise<JsonObject | undefined>;
}

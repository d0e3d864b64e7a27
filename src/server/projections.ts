import type { Projection } from '../ledger/projection.js';
import { casesProjection } from '../revocation/cases/projection.js';
import type { Foundation } from './foundation.js';
import { makeIdentityProjection } from './identity.js';
import { makeSearchProjection } from './ledger.js';
import { makeScimProjection } from './provisioning.js';
import { makeRevocationProjection } from './revocation.js';

/** Every projection of the ledger, by its name: what can be emptied and folded anew, and what fsck folds again. */
export const PROJECTIONS: Readonly<Record<string, (foundation: Foundation) => Projection>> = {
  search: makeSearchProjection,
  identity: makeIdentityProjection,
  revocation: makeRevocationProjection,
  provisioning: makeScimProjection,
  cases: casesProjection,
};

import type { IdentityPort } from '../revocation/identity-port.js';
import { NO_DESCENDANTS } from '../revocation/world.js';

/** The graph where there is none: everybody is one name, and owns nothing. */
export const ALONE: IdentityPort = {
  isHere: true,
  positions: () => new Map([['lifecycle/0/g1', (1n << 53n) - 1n]]),
  waitForLifecycle: async () => true,
  aliasesOf: (subject) => ({ subjects: [subject], absentIssuers: [] }),
  ownedBy: () => [],
  descendantsOf: () => NO_DESCENDANTS,
  reachOf: () => ({
    agents: [],
    tools: [],
    environments: [],
    points: [],
    sessionCount: 0,
    delegationCount: 0,
    tokenCount: 0,
    lastUsedAtUs: null,
  }),
  changedSince: () => ({ mark: '', subjects: [] }),
};

// Files that are pure: they take what they need as arguments and answer; no clock, timer, promise, randomness or I/O. The simulation runs
// these very functions, and a guard folds the same table. Held by eslint.config.js (what is in them) and imports.cjs (what they import).
// Another `step` is added by a line.
module.exports = {
  /** `step` functions, what they fold and decide on, and the words of the protocol. */
  steps: [
    'src/protocol/*.ts',
    'src/revocation/{step,decide,decision,expire,order-keys,cause,names,hex,world,state,state-dump,body}.ts',
    'src/revocation/fold*.ts',
    'src/revocation/cases/{standing,outcome,step,allowed,entry,statement}.ts',
    'src/guard/{core,step,check,mapping}.ts',
    'src/feed/core.ts',
  ],
  /** What these may import beside each other. */
  beneath: [
    'src/core/{bytes,entry,error,hasher,signer}.ts',
    'src/events/{json,time}.ts',
    'src/verify/{record,verify-certificate}.ts',
    'src/verify/certificate/*.ts',
  ],
};

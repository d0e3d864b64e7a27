import fc from 'fast-check';

// That a property fails is enough: the smallest counterexample takes many times as long.
fc.configureGlobal({ endOnFailure: true });

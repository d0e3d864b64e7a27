import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import { builtInSchemas } from '../../src/events/index.js';
import { makeLogOpened } from '../../src/events/log-records.js';
import { readOpening } from '../../src/verify/opening.js';
import { openingRecord } from '../support/ledger-files.js';

const stamp = { blind: Buffer.alloc(16, 3), nowUs: 1_705_746_600_000_000n };
const origins = ['ledger.example/lifecycle/0/g1', 'ledger.example/decisions/0/g1'];

describe('the opening record', () => {
  it('reads as intake writes it', () => {
    const opening = { ledger: 'ledger.example', origin: origins[0]!, generation: 'g1' };
    expect(readOpening(makeLogOpened(builtInSchemas(), { ...opening, origins }, stamp))).toEqual({
      ledger: 'ledger.example',
      origin: origins[0],
      origins,
    });
    expect(readOpening(makeLogOpened(builtInSchemas(), opening, stamp))).toMatchObject({ origins: null });
  });

  it('reads past everything that an envelope may hold', () => {
    const body = { ledger: 'ledger.example', origin: origins[1]!, origins };
    expect(readOpening(openingRecord(body))).toEqual(body);
    expect(readOpening(openingRecord(body, 'decision.made'))).toBeUndefined();
  });

  it('damaged in any way is read or refused, at once', () => {
    const record = openingRecord({ ledger: 'ledger.example', origin: origins[0]!, origins });
    fc.assert(
      fc.property(fc.nat({ max: record.length - 1 }), fc.uint8Array({ minLength: 1, maxLength: 12 }), (at, bytes) => {
        const damaged = Uint8Array.from(record);
        damaged.set(bytes.subarray(0, record.length - at), at);
        try {
          readOpening(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(KeelsonError);
          expect((error as KeelsonError).code).toBe('malformed_record');
        }
      }),
      { numRuns: 5000 },
    );
  });
});

/** A small ledger in memory in which a case ended, and the certificate of it: the same bytes whenever it is made. */
import { encodeRecordEntry } from '../../src/core/entry.js';
import { formatBase64, formatHex } from '../../src/core/bytes.js';
import { proveInclusion } from '../../src/core/proof.js';
import { builtInSchemas, formatTimestamp, type JsonObject } from '../../src/events/index.js';
import { makeOwnRecord } from '../../src/events/log-records.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { signAck } from '../../src/protocol/ack.js';
import type { CertifiedLog, EntryRef, Evidence } from '../../src/protocol/certificate.js';
import { instanceOf } from '../../src/protocol/join.js';
import { orderName, partName } from '../../src/revocation/names.js';
import { seed } from '../guard/support.js';
import { LEDGER, LogFixture, signer } from './ledger-files.js';

export const trusted = { hasher, verifier, key: { ledger: LEDGER, publicKey: signer.publicKey } };

const schemas = builtInSchemas();
const BEGIN_US = 1_790_000_000_000_000;
const CAUSE = 'left-1';
export const ORDER = orderName(hasher, 'keelson', CAUSE);
const SEQ = 3;

export interface CaseStory {
  /** By instance: what it attested; undefined: nothing. */
  readonly acks: readonly (number | undefined)[];
  /** When the case was closed, seconds after its order. */
  readonly closedAfterS: number;
  readonly result: string;
  /** How those stand who attested nothing; `fenced` where absent. */
  readonly silentAre?: string;
}

export const FENCED: CaseStory = { acks: [SEQ, undefined], closedAfterS: 61, result: 'fenced' };
export const ENFORCED: CaseStory = { acks: [SEQ, SEQ + 1], closedAfterS: 2, result: 'enforced' };

/** What a story leaves as evidence. */
export async function makeEvidence({ acks, closedAfterS, result, silentAre = 'fenced' }: CaseStory): Promise<Evidence> {
  const ledger = new MemoryLedger();
  const instances = acks.map((seq, i) => {
    const key = nodeSigner(seed(`instance ${i}`));
    const id = instanceOf(hasher, LEDGER, key.publicKey);
    const instance = formatHex(id);
    const enrolled = ledger.add('lifecycle', 1, 'point.enrolled', `instance/${instance}`, {
      point: 'gateway',
      instance,
      public_key: formatBase64(key.publicKey),
      generation: 1,
    });
    return { seq, key, id, instance, enrolled };
  });
  const use = ledger.add('decisions', 5, 'decision.made', 'used-1', {
    agent: 'build-agent',
    tool: 'deploy',
    decision: 'allow',
    token: { jti: 't-1', issuer: 'https://idp.example' },
  });
  const cause = ledger.add('lifecycle', 10, 'revocation.requested', CAUSE, {});
  const records = [0, 1].map((number) =>
    ledger.add(
      'lifecycle',
      11 + number,
      number === 0 ? 'revocation.ordered' : 'revocation.extended',
      partName(hasher, 'keelson', CAUSE, 1n, number),
      {
        term: 1,
        number,
        last: number === 1,
        order: ORDER,
        cause: { id: CAUSE, type: 'revocation.requested', producer: 'keelson', index: cause.index },
        changes: [{ change: 'block', order: ORDER, keys: formatBase64(seed(`key ${number}`).slice(0, 16)) }],
        counts: [{ type: 'token', count: 1 }],
      },
    ),
  );
  const signed = instances.flatMap(({ seq, key, id }) => {
    if (seq === undefined) return [];
    const stateHash = seed(`table ${seq}`);
    const ack = {
      instance: id,
      generation: 1,
      seq,
      stateHash,
      mappingHash: seed('mapping'),
      keyTypes: ['token'] as const,
    };
    return [signAck(key, LEDGER, { ...ack, aborted: 0, atUs: BEGIN_US + 13_000_000 })];
  });
  const collected = ledger.add('activity', 13, 'ack.collected', 'acks-1', {
    acks: formatBase64(Buffer.concat(signed)),
  });
  const certified = instances.map(({ seq, instance, enrolled }) => ({
    instance,
    point: 'gateway',
    status: seq === undefined ? silentAre : 'acked',
    enrolled,
    ...(seq === undefined ? {} : { ack: collected }),
  }));
  const count = (status: string): number => certified.filter((one) => one.status === status).length;
  const closed = ledger.add('activity', 12 + closedAfterS, 'case.closed', `case/${ORDER}/${SEQ}`, {
    order: ORDER,
    seq: SEQ,
    result,
    points: [{ point: 'gateway', acked: count('acked'), fenced: count('fenced') }],
    instances: certified.map(({ instance, point, status, ack }) => ({ instance, point, status, ...ack })),
  });
  return {
    ledger: LEDGER,
    order: ORDER,
    issuedAt: '2026-11-28T08:00:00Z',
    result,
    seq: SEQ,
    cause,
    records,
    closed,
    reopened: [],
    instances: certified,
    tokens: {
      count: 1,
      shown: [{ issuer: 'https://idp.example', token: 't-1', use }],
      asOf: [{ log: use.log, size: 2 }],
    },
    logs: await ledger.prove([cause, ...records, closed, collected, use, ...certified.map(({ enrolled }) => enrolled)]),
  };
}

class MemoryLedger {
  readonly #logs = ['activity', 'decisions', 'lifecycle'].map((topic) => new LogFixture(`${topic}/0/g1`).fill(1));

  /** @param atS seconds after the story begins. */
  add(topic: string, atS: number, type: string, id: string, event: JsonObject): EntryRef {
    const log = this.#logs.find((one) => one.log.startsWith(topic))!;
    const atUs = BigInt(BEGIN_US + atS * 1e6);
    const stamp = { blind: Buffer.from(seed(id)).subarray(0, 16), nowUs: atUs };
    const record = makeOwnRecord(schemas, type, id, { timestamp: formatTimestamp(atUs), ...event }, stamp);
    const index = log.entries.length;
    log.push(encodeRecordEntry({ appendedAtUs: atUs, partition: 0, offset: BigInt(index * 3), place: 0 }, record));
    return { log: log.log, index };
  }

  prove(refs: readonly EntryRef[]): Promise<CertifiedLog[]> {
    return Promise.all(
      this.#logs.map(async (log) => {
        const own = refs.filter((ref) => ref.log === log.log).map(({ index }) => index);
        const entries = [...new Set(own)]
          .sort((a, b) => a - b)
          .map(async (index) => {
            const size = BigInt(log.entries.length);
            return {
              index,
              entry: log.entries[index]!,
              proof: await proveInclusion(hasher, BigInt(index), size, log.tree),
            };
          });
        return { log: log.log, checkpoint: log.checkpoint(), entries: await Promise.all(entries) };
      }),
    );
  }
}

/**
 * Writes vectors.json beside it: records and sealed blocks with every input, all bytes in lower-case hex. Inputs that are random
 * in life are SHA-256 of a label here. Made once; test/vault/vectors.test.ts holds the code to the file.
 *
 *     node --import ./test/support/typescript.mjs test/vectors/record/make.ts
 */
import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import {
  builtInSchemas,
  dedupeKey,
  encodeRecord,
  makeLogOpened,
  parseJsonText,
  separate,
  type JsonObject,
  type SealedBlock,
} from '../../../src/events/index.js';
import { openField, sealBlock, type Subject } from '../../../src/vault/index.js';

const schemas = builtInSchemas();
const made = (label: string, bytes: number): Buffer => hash('sha256', label, 'buffer').subarray(0, bytes);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const EVENT =
  '{"timestamp":"2024-01-20T10:30:00Z","agent":"spiffe://company.com/agent/deploy-bot","user":"devops@company.com",' +
  '"tool":"deploy_to_production","parameters":{"service":"api","version":"2.3.4"},"decision":"allow","policy_version":"1.2.3",' +
  '"justification":"Scheduled deployment window, approved by release manager"}';
const FULL =
  '{"id":"d-2","type":"decision.made","timestamp":"2024-01-20T12:30:00.123456789+02:00","epoch":3,"sequence":9007199254740993,' +
  '"decision":"deny","agent":"agent-ü","reason_codes":["risk","time"],"context":{"risk_score":1e400,"session_id":"s",' +
  '"approval_chain":[{"approver":{"issuer":"hr","id":"42"},"timestamp":"2024-01-20T10:00:00Z"}],"floor":3},' +
  '"token":{"jti":"j","issued_at":1705746600,"audience":["a","b"]},' +
  '"enforcement":{"instance":"i","generation":1,"seq":17,"leaseAgeMs":12.5,"verdict":"refuse"},"user":null}';

function makeRecord(name: string, text: string, assigned: string[], subjects: string[]) {
  const event = parseJsonText(text) as JsonObject;
  event.type ??= 'decision.made';
  const schema = schemas.forType(event.type as string);
  const parts = separate(event, schema);
  const id = typeof event.id === 'string' ? event.id : '018d2669-4bc0-7000-8000-000000000001';
  const blind = made(`${name} blind`, 16);
  const context = { id, fingerprint: schema.fingerprint, blind };
  const who: Subject[] = subjects.map((label) => ({
    pseudonym: made(`${label} pseudonym`, 16),
    key: made(`${label} key`, 32),
  }));
  const persons = parts.persons.map(({ pointer }, i) => ({ pointer, subject: who[i]!.pseudonym }));
  const sealed: SealedBlock[] = [];
  const blocks = who.map((subject, i) => {
    const person = parts.persons[i];
    const own = i === (parts.acting ?? who.length - 1);
    const fields = [...(person ? [{ pointer: person.pointer, text: person.text }] : []), ...(own ? parts.sealed : [])];
    const block = sealBlock(subject, context, fields, made(`${name} nonce ${i}`, 12));
    sealed.push(block);
    return {
      subject: hex(subject.pseudonym),
      key: hex(subject.key),
      nonce: hex(block.nonce),
      ciphertext: hex(block.ciphertext),
      fields: fields.map(({ pointer, text: fieldText }, j) => ({
        pointer,
        text: fieldText,
        fieldKey: hex(openField(subject.key, context, block, pointer).fieldKey),
        commitment: hex(block.fields[j]!.commitment),
      })),
    };
  });
  const record = {
    dedupe: dedupeKey('gateway-1', 'source', id),
    blind,
    id,
    type: parts.type,
    occurredAtUs: parts.occurredAtUs,
    acceptedAtUs: 1_705_746_600_250_000n,
    producer: 'gateway-1',
    producerVerified: true,
    source: 'source',
    protocol: 'native',
    epoch: parts.epoch,
    sequence: parts.sequence,
    assigned,
    persons,
    sealed,
    masked: [{ pointer: '/parameters/key', rule: 'jwt', digest: made(`${name} masked`, 32) }],
    originals: parts.originals,
    body: parts.body,
  };
  return {
    name,
    event: text,
    schema: schema.name,
    fingerprint: hex(schema.fingerprint),
    id,
    producer: 'gateway-1',
    source: 'source',
    dedupe: hex(record.dedupe),
    blind: hex(blind),
    blocks,
    record: hex(encodeRecord(schema, record)),
  };
}

const opened = makeLogOpened(
  schemas,
  {
    ledger: 'example',
    origin: 'example/lifecycle/0/g1',
    origins: ['example/decisions/0/g1', 'example/lifecycle/0/g1'],
    generation: 'g1',
  },
  { blind: made('opened blind', 16), nowUs: 1_705_746_600_000_000n },
);

const vectors = {
  records: [
    makeRecord('verbatim', EVENT, ['id', 'type'], ['devops']),
    makeRecord('full', FULL, [], ['approver', 'own']),
  ],
  logOpened: hex(opened),
};
writeFileSync(new URL('vectors.json', import.meta.url), JSON.stringify(vectors, null, 2) + '\n');

import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  builtInSchemas,
  canonicalJson,
  decodeRecord,
  dedupeKey,
  encodeRecord,
  parseJsonText,
  reassemble,
  recordDedupe,
  recordFingerprint,
} from '../../src/events/index.js';
import type { AvroObject, AvroSchema } from '../../src/events/fingerprint.js';
import { checkCommitment, openBlock, openEvent, openField, sealBlock } from '../../src/vault/index.js';

interface Field {
  pointer: string;
  text: string;
  fieldKey: string;
  commitment: string;
}
interface Block {
  subject: string;
  key: string;
  nonce: string;
  ciphertext: string;
  fields: Field[];
}
interface Vector {
  name: string;
  event: string;
  schema: string;
  fingerprint: string;
  id: string;
  producer: string;
  source: string;
  dedupe: string;
  blind: string;
  blocks: Block[];
  record: string;
}
const { records, logOpened } = JSON.parse(
  readFileSync(new URL('../vectors/record/vectors.json', import.meta.url), 'utf8'),
) as { records: Vector[]; logOpened: string };
const schemas = builtInSchemas();
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const lp = (...parts: (string | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(part));
      return [length, Buffer.from(part as string)];
    }),
  );

/** Avro's binary encoding as its specification says it, by hand: no code of the room takes part. Longs are bigints. */
class AvroReader {
  at = 10;
  private readonly names = new Map<string, AvroObject>();

  constructor(
    private readonly buffer: Buffer,
    private readonly schema: AvroObject,
  ) {
    this.learnNames(schema);
  }

  readAll(): Record<string, unknown> {
    return this.read(this.schema) as Record<string, unknown>;
  }

  /** A name may stand for what is defined in a branch that is not taken. */
  private learnNames(schema: unknown): void {
    if (typeof schema !== 'object' || schema === null) return;
    const { name, type } = schema as AvroObject;
    if (name !== undefined && ['record', 'fixed', 'enum'].includes(type as string))
      this.names.set(name, schema as AvroObject);
    Object.values(schema).forEach((part) => this.learnNames(part));
  }

  private read(schema: AvroSchema): unknown {
    if (Array.isArray(schema)) return this.read(schema[Number(this.readLong())]!);
    const type = typeof schema === 'string' ? schema : schema.type;
    const named = typeof type === 'string' ? this.names.get(type) : undefined;
    if (named) return this.read(named);
    switch (type) {
      case 'null':
        return null;
      case 'boolean':
        return this.take(1)[0] === 1;
      case 'long':
        return this.readLong();
      case 'double':
        return this.take(8).readDoubleLE();
      case 'string':
        return this.take(Number(this.readLong())).toString('utf8');
      case 'bytes':
        return this.take(Number(this.readLong())).toString('hex');
      case 'fixed':
        return this.take((schema as AvroObject).size!).toString('hex');
      case 'enum':
        return (schema as AvroObject).symbols![Number(this.readLong())];
      case 'array': {
        const items: unknown[] = [];
        for (let n = this.readLong(); n !== 0n; n = this.readLong()) {
          for (; n > 0n; n--) items.push(this.read((schema as AvroObject).items!));
        }
        return items;
      }
      case 'record':
        return Object.fromEntries((schema as AvroObject).fields!.map(({ name, type }) => [name, this.read(type)]));
      default:
        throw new Error(`unexpected ${JSON.stringify(type)}`);
    }
  }

  private take(length: number): Buffer {
    if (this.at + length > this.buffer.length) throw new Error('past the end');
    return this.buffer.subarray(this.at, (this.at += length));
  }

  /** Zigzag varint, as short as can be. */
  private readLong(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0n) throw new Error('a longer varint than needed');
        return (value >> 1n) ^ -(value & 1n);
      }
    }
  }
}

describe.each(records)('the $name record', (vector) => {
  const record = bytes(vector.record);
  const schema = schemas.find(bytes(vector.fingerprint))!;
  const context = { id: vector.id, fingerprint: bytes(vector.fingerprint), blind: bytes(vector.blind) };

  test('stands byte for byte where the format says, and is read by a decoder written by hand', () => {
    expect(schema.name).toBe(vector.schema);
    expect(record.subarray(0, 2).toString('hex')).toBe('c301');
    expect(Buffer.from(recordFingerprint(record)).toString('hex')).toBe(vector.fingerprint);
    expect(Buffer.from(recordDedupe(record)).toString('hex')).toBe(vector.dedupe);
    expect(record.subarray(26, 42).toString('hex')).toBe(vector.blind);
    const reader = new AvroReader(record, JSON.parse(schema.text) as AvroObject);
    const avro = reader.readAll();
    expect(reader.at).toBe(record.length);
    const decoded = decodeRecord(record, schemas);
    expect(avro).toMatchObject({
      dedupe: vector.dedupe,
      blind: vector.blind,
      id: vector.id,
      type: 'decision.made',
      occurred_at: decoded.occurredAtUs,
      accepted_at: 1_705_746_600_250_000n,
      producer: vector.producer,
      producer_verified: true,
      source: vector.source,
      protocol: 'native',
      epoch: decoded.epoch,
      sequence: decoded.sequence,
      assigned: decoded.assigned,
      originals: decoded.originals.map((original) => ({ ...original })),
      sealed: vector.blocks.map(({ subject, nonce, ciphertext, fields }) => ({
        subject,
        nonce,
        ciphertext,
        blob: null,
        fields: fields.map(({ pointer, commitment }) => ({ pointer, commitment })),
      })),
    });
    expect(JSON.stringify(avro.body, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v))).toBe(
      JSON.stringify(decoded.body, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)),
    );
    expect(encodeRecord(schema, decoded).equals(record)).toBe(true);
  });

  test('comes back as the event that went in', () => {
    const decoded = decodeRecord(record, schemas);
    const keys = new Map(vector.blocks.map(({ subject, key }) => [subject, bytes(key)]));
    const { event, missing } = reassemble(decoded, openEvent(decoded, keys));
    expect(missing).toEqual([]);
    expect(canonicalJson(event)).toBe(canonicalJson(parseJsonText(vector.event)));
  });

  test('has the duplicate key of its producer, source and id', () => {
    const { producer, source, id } = vector;
    const expected = createHash('sha256')
      .update(lp(producer, source, id))
      .digest()
      .subarray(0, 16);
    expect(expected.toString('hex')).toBe(vector.dedupe);
    expect(dedupeKey(producer, source, id)).toEqual(expected);
  });

  test.each(vector.blocks)(
    'its block of $subject is what the format says, computed with plain HKDF, HMAC and GCM',
    (block) => {
      const derive = (info: string): Buffer =>
        Buffer.from(hkdfSync('sha256', bytes(block.key), context.blind, info, 32));
      const mac = (key: Buffer, data: Buffer): Buffer => createHmac('sha256', key).update(data).digest();
      const sealed = bytes(block.ciphertext);
      const decipher = createDecipheriv('aes-256-gcm', derive('keelson/seal/1'), bytes(block.nonce));
      decipher.setAAD(lp(vector.id, bytes(block.subject), context.fingerprint)).setAuthTag(sealed.subarray(-16));
      const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
      const texts = lp(...block.fields.map(({ text }) => text));
      expect(plain.length % 64).toBe(0);
      expect(plain.equals(Buffer.concat([texts, Buffer.from([0x80])], plain.length))).toBe(true);
      for (const { pointer, text, fieldKey, commitment } of block.fields) {
        expect(mac(derive('keelson/commit/1'), lp(vector.id, pointer)).toString('hex')).toBe(fieldKey);
        const committed = mac(bytes(fieldKey), Buffer.concat([lp(context.fingerprint, pointer), Buffer.from(text)]));
        expect(committed.toString('hex')).toBe(commitment);
      }
      const subject = { pseudonym: bytes(block.subject), key: bytes(block.key) };
      const fields = block.fields.map(({ pointer, text }) => ({ pointer, text }));
      const again = sealBlock(subject, context, fields, bytes(block.nonce));
      expect(again.ciphertext.toString('hex')).toBe(block.ciphertext);
      expect(again.fields.map(({ commitment }) => commitment.toString('hex'))).toEqual(
        block.fields.map(({ commitment }) => commitment),
      );
    },
  );

  test('a flipped bit anywhere in a block, or another record, key or subject, is noticed', () => {
    const tampered = expect.objectContaining({ code: 'tampered' }) as Error;
    for (const [i, { key }] of vector.blocks.entries()) {
      const block = decodeRecord(record, schemas).sealed[i]!;
      for (let at = 0; at < block.ciphertext.length; at++) {
        const ciphertext = Buffer.from(block.ciphertext);
        ciphertext[at]! ^= 1 << (at % 8);
        expect(() => openBlock(bytes(key), context, { ...block, ciphertext })).toThrow(tampered);
      }
      const flip = (buffer: Uint8Array): Buffer => Buffer.from(buffer.map((byte, j) => (j === 3 ? byte ^ 1 : byte)));
      const fields = block.fields.map((field) => ({ ...field, commitment: flip(field.commitment) }));
      expect(() => openBlock(bytes(key), context, { ...block, fields })).toThrow(tampered);
      expect(() => openBlock(bytes(key), context, { ...block, nonce: flip(block.nonce) })).toThrow(tampered);
      expect(() => openBlock(bytes(key), context, { ...block, subject: flip(block.subject) })).toThrow(tampered);
      expect(() => openBlock(bytes(key), { ...context, id: 'other' }, block)).toThrow(tampered);
      expect(() => openBlock(bytes(key), { ...context, blind: flip(context.blind) }, block)).toThrow(tampered);
      expect(() => openBlock(flip(bytes(key)), context, block)).toThrow(tampered);
      expect(() => openBlock(bytes(key), context, { ...block, fields: block.fields.slice(1) })).toThrow(tampered);
    }
  });

  test('one field can be opened to somebody who holds nothing else', () => {
    const block = decodeRecord(record, schemas).sealed[0]!;
    const { fields, key } = vector.blocks[0]!;
    const { pointer, text, fieldKey } = openField(bytes(key), context, block, fields[0]!.pointer);
    expect({ pointer, text, fieldKey: fieldKey.toString('hex') }).toEqual({
      pointer: fields[0]!.pointer,
      text: fields[0]!.text,
      fieldKey: fields[0]!.fieldKey,
    });
    expect(checkCommitment(fieldKey, context.fingerprint, block.fields[0]!, text)).toBe(true);
    expect(checkCommitment(fieldKey, context.fingerprint, block.fields[0]!, `${text} `)).toBe(false);
    expect(() => openField(bytes(key), context, block, '/nothing')).toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
  });
});

test('the opening record of a log', () => {
  const record = decodeRecord(bytes(logOpened), schemas);
  expect(record).toMatchObject({
    type: 'log.opened',
    producer: 'keelson',
    protocol: 'internal',
    sealed: [],
    persons: [],
  });
  const reader = new AvroReader(bytes(logOpened), JSON.parse(schemas.forType('log.opened').text) as AvroObject);
  expect(reader.readAll()).toMatchObject({
    body: { ledger: 'example', origin: 'example/lifecycle/0/g1', generation: 'g1', previous: null },
  });
});

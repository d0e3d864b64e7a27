import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { makeSecret, parseCheckingKey, parseSigningKey } from '../../src/webhooks/keys.js';
import { checkWebhook, signWebhook, type Headers } from '../../src/webhooks/signature.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const STAMP = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1614265330 };
const BODY = Buffer.from('{"test": 2432232314}');
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

const headersOf = (signature: string, { id, timestampS } = STAMP): Headers => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestampS),
  'webhook-signature': signature,
});
const check = (headers: Headers, body: Uint8Array = BODY, nowS = STAMP.timestampS, secrets = [SECRET]): unknown =>
  checkWebhook(secrets.map(parseCheckingKey), headers, body, nowS);

/** A pair of texts for Ed25519, by OpenSSL. */
function makePair(): { whsk: string; whpk: string; whole: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return {
    whsk: `whsk_${seed.toString('base64')}`,
    whpk: `whpk_${raw.toString('base64')}`,
    whole: `whsk_${Buffer.concat([seed, raw]).toString('base64')}`,
  };
}

describe('the published vector', () => {
  test('is signed and taken', () => {
    expect(signWebhook([parseSigningKey(SECRET)], STAMP, BODY)).toBe(SIGNATURE);
    expect(check(headersOf(SIGNATURE))).toEqual(STAMP);
  });

  test('every flipped bit of body and signature is refused', () => {
    for (let bit = 0; bit < BODY.length * 8; bit++) {
      const body = Buffer.from(BODY);
      body[bit >> 3]! ^= 1 << (bit & 7);
      expect(check(headersOf(SIGNATURE), body)).toBe('bad_signature');
    }
    const signature = Buffer.from(SIGNATURE.slice(3), 'base64');
    for (let bit = 0; bit < signature.length * 8; bit++) {
      const other = Buffer.from(signature);
      other[bit >> 3]! ^= 1 << (bit & 7);
      expect(check(headersOf(`v1,${other.toString('base64')}`))).toBe('bad_signature');
    }
  });

  test('another id or timestamp is refused, and none of the signature', () => {
    expect(check(headersOf(SIGNATURE, { ...STAMP, id: 'msg_other' }))).toBe('bad_signature');
    expect(check(headersOf(SIGNATURE, { ...STAMP, timestampS: STAMP.timestampS + 1 }))).toBe('bad_signature');
    for (const header of ['', 'v1', 'v1,', ',', 'v2,abcd', SIGNATURE.slice(0, -8), SIGNATURE.replace('v1,', 'v1a,')]) {
      expect(check(headersOf(header))).toBe('bad_signature');
    }
  });
});

test('five minutes either way', () => {
  const at = (offsetS: number): unknown => check(headersOf(SIGNATURE), BODY, STAMP.timestampS + offsetS);
  expect([at(300), at(-300)]).toEqual([STAMP, STAMP]);
  expect([at(301), at(-301)]).toEqual(['too_old', 'in_future']);
});

test('headers that are missing, doubled or malformed', () => {
  const whole = headersOf(SIGNATURE);
  expect(check({ ...whole, 'webhook-signature': undefined })).toBe('no_signature');
  expect(check({ ...whole, 'webhook-signature': [SIGNATURE, SIGNATURE] })).toBe('no_signature');
  for (const id of [undefined, '', 'a.b', 'a b', 'ä', 'x'.repeat(257), ['a', 'b']]) {
    expect(check({ ...whole, 'webhook-id': id })).toBe('malformed_id');
  }
  for (const timestamp of [undefined, '', '0', '-1', '1e9', ' 1614265330', '1614265330.5', '0x60', '1'.repeat(13)]) {
    expect(check({ ...whole, 'webhook-timestamp': timestamp })).toBe('malformed_timestamp');
  }
});

test('what is signed here, another implementation takes, and the other way round', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/), fc.string({ unit: 'binary' }), (id, text) => {
      const secret = makeSecret();
      const timestampS = Math.floor(Date.now() / 1000);
      const body = Buffer.from(text);
      const signature = signWebhook([parseSigningKey(secret)], { id, timestampS }, body);
      const headers = headersOf(signature, { id, timestampS }) as Record<string, string>;
      const other = new Webhook(secret);
      expect(() => other.verify(body.toString(), headers, { jsonParse: false })).not.toThrow();
      const theirs = headersOf(other.sign(id, new Date(timestampS * 1000), body.toString()), { id, timestampS });
      expect(check(theirs, body, timestampS, [secret])).toEqual({ id, timestampS });
    }),
    { numRuns: 50 },
  );
});

describe('Ed25519', () => {
  test('v1a is signed by whsk_ and checked by whpk_, both forms of the private key alike', () => {
    const { whsk, whpk, whole } = makePair();
    const signature = signWebhook([parseSigningKey(whsk)], STAMP, BODY);
    expect(signature).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
    expect(signWebhook([parseSigningKey(whole)], STAMP, BODY)).toBe(signature);
    expect(check(headersOf(signature), BODY, STAMP.timestampS, [whpk])).toEqual(STAMP);
    expect(check(headersOf(signature), BODY, STAMP.timestampS, [makePair().whpk])).toBe('bad_signature');
    // A signature of one kind is none of another.
    expect(check(headersOf(signature.replace('v1a,', 'v1,')), BODY, STAMP.timestampS, [whpk])).toBe('bad_signature');
  });

  test('several signatures in one header: any one of a known key will do', () => {
    const { whsk, whpk } = makePair();
    const old = makeSecret();
    const signature = signWebhook([old, SECRET, whsk].map(parseSigningKey), STAMP, BODY);
    expect(signature.split(' ')).toHaveLength(3);
    for (const known of [old, SECRET, whpk]) {
      expect(check(headersOf(signature), BODY, STAMP.timestampS, [makeSecret(), known])).toEqual(STAMP);
    }
    expect(check(headersOf(signature), BODY, STAMP.timestampS, [makeSecret()])).toBe('bad_signature');
    // A header stuffed with signatures is not looked through without end.
    const late = `${'v1,AAAA '.repeat(16)}${SIGNATURE}`;
    expect(check(headersOf(late))).toBe('bad_signature');
  });
});

test('keys that are none are refused, and not repeated', () => {
  const { whsk, whpk, whole } = makePair();
  const wrongHalf = `whsk_${Buffer.concat([Buffer.from(whsk.slice(5), 'base64'), Buffer.alloc(32)]).toString('base64')}`;
  const short = `whsec_${Buffer.alloc(23).toString('base64')}`;
  for (const text of ['', 'whsec_', 'secret', short, 'whsec_???', wrongHalf, `${whole}AAAA`, whpk]) {
    expect(() => parseSigningKey(text)).toThrow(expect.objectContaining({ code: 'malformed_key' }) as Error);
  }
  for (const text of [whsk, short, 'whpk_AAAA']) {
    expect(() => parseCheckingKey(text)).toThrow(expect.objectContaining({ code: 'malformed_key' }) as Error);
    expect(() => parseCheckingKey(text)).not.toThrow(text);
  }
});

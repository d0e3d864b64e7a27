// @ts-check
/**
 * Sends a webhook as an HR system would, signed as its producer's configuration says. Prints Keelson's answer and exits 0 where it was taken.
 *
 *   node examples/hr/send.mjs <source> <body.json> <secret-file> [<producer.json>]
 *
 * `{{now}}` in the body becomes this moment. Environment: KEELSON_URL.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

const url = process.env.KEELSON_URL ?? 'http://127.0.0.1:8420';
const [source, bodyFile, secretFile, producerFile] = process.argv.slice(2);
if (source === undefined || bodyFile === undefined || secretFile === undefined) {
  console.error('usage: node examples/hr/send.mjs <source> <body.json> <secret-file> [<producer.json>]');
  process.exit(2);
}
const secret = readFileSync(secretFile, 'utf8').trim();
const body = readFileSync(bodyFile, 'utf8').replaceAll('{{now}}', new Date().toISOString());
/** @type {{ hr?: { signature?: any } }} */
const producer = producerFile === undefined ? {} : JSON.parse(readFileSync(producerFile, 'utf8'));
const seconds = String(Math.floor(Date.now() / 1000));

/** @returns {Record<string, string>} */
function sign() {
  const { scheme = 'standard', algorithm, header, encoding, prefix = '', signs, time } = producer.hr?.signature ?? {};
  if (scheme === 'standard') {
    const id = `msg_${randomUUID()}`;
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const digits = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${digits}` };
  }
  const timestamp = time.unit === 'ms' ? `${seconds}000` : seconds;
  /** @type {Record<string, string>} */
  const contents = {
    body,
    'body+timestamp': body + timestamp,
    'timestamp+body': timestamp + body,
    'timestamp.body': `${timestamp}.${body}`,
  };
  const digits = createHmac(algorithm, secret)
    .update(contents[signs] ?? '')
    .digest(encoding);
  return { [header]: prefix + digits, ...(time.header === undefined ? {} : { [time.header]: timestamp }) };
}

const response = await fetch(`${url}/v1/hr/${encodeURIComponent(source)}`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', prefer: 'wait=10', ...sign() },
  body,
});
console.log(await response.text());
if (!response.ok) {
  console.error(`Keelson answered ${response.status}`);
  process.exitCode = 1;
}

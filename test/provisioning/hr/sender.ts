/** An HR system that signs what it says. */
import { randomUUID } from 'node:crypto';
import { parseSigningKey } from '../../../src/webhooks/keys.js';
import { signHmac, type HmacScheme } from '../../../src/webhooks/hmac.js';
import { signWebhook } from '../../../src/webhooks/signature.js';
import type { Answer, Json } from '../../support/api.js';
import type { Service } from '../harness.js';

export interface HrItem {
  readonly person: number;
  readonly event?: string;
  readonly status: string;
  readonly id?: string;
  readonly index?: string;
  readonly code?: string;
  readonly pointer?: string;
}
export interface HrAnswer {
  readonly people: number;
  readonly ignored: number;
  readonly accepted: number;
  readonly quarantined: number;
  readonly items: readonly HrItem[];
  readonly code?: string;
  readonly quarantineId?: string;
}

export const ISSUER = 'https://idp.example';
/** Whom `principal` names without an issuer. */
export const person = (id: string): object => ({ issuer: ISSUER, id });

export interface Sending {
  readonly id?: string;
  readonly timestampS?: number;
  readonly headers?: Record<string, string>;
}

export class HrSystem {
  constructor(
    readonly url: string,
    readonly source: string,
    public secret: string,
  ) {}

  /** A new source, with a secret that was made for it. */
  static async open(
    { admin }: Service,
    source: string,
    hr: object = {},
    more: object = {},
    secret?: string,
  ): Promise<HrSystem> {
    const put = await admin.send('PUT', `/v1/producers/${source}`, { issuer: ISSUER, hr, ...more });
    if (put.status !== 200) throw new Error(`no source: ${JSON.stringify(put.body)}`);
    const made = await admin.post<{ secret: string }>(
      `/v1/producers/${source}/webhook-secrets`,
      secret === undefined ? {} : { secret },
    );
    if (made.status !== 201) throw new Error(`no secret: ${JSON.stringify(made.body)}`);
    return new HrSystem(admin.url, source, secret ?? made.body.secret);
  }

  /** Sends it as it is, under these headers. */
  async post(body: string | Buffer, headers: Record<string, string>): Promise<Answer<HrAnswer>> {
    const response = await fetch(`${this.url}/v1/hr/${this.source}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=20', ...headers },
      body: new Uint8Array(Buffer.from(body)),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as HrAnswer };
  }

  /** Signed as Standard Webhooks has it. */
  sign(body: string | Buffer, { id = randomUUID(), timestampS = nowS() }: Sending = {}): Record<string, string> {
    return {
      'webhook-id': id,
      'webhook-timestamp': String(timestampS),
      'webhook-signature': signWebhook([parseSigningKey(this.secret)], { id, timestampS }, Buffer.from(body)),
    };
  }

  send(body: unknown, sending: Sending = {}): Promise<Answer<HrAnswer>> {
    const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return this.post(text, { ...this.sign(text, sending), ...sending.headers });
  }

  /** One or more persons, in Keelson's own form. */
  say(type: string, data: unknown, sending: Sending & { timestamp?: string } = {}): Promise<Answer<HrAnswer>> {
    const { timestamp = new Date().toISOString() } = sending;
    return this.send({ type, timestamp, data }, sending);
  }

  /** Signed by a vendor's own header. */
  sendHmac(
    body: unknown,
    scheme: HmacScheme,
    header: string,
    timestamp?: { readonly header: string; readonly text: string },
  ): Promise<Answer<HrAnswer>> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const signature = signHmac(scheme, this.secret, timestamp?.text ?? '', Buffer.from(text));
    return this.post(text, {
      [header]: (scheme.prefix ?? '') + signature.toString(scheme.encoding),
      ...(timestamp === undefined ? {} : { [timestamp.header]: timestamp.text }),
    });
  }
}

export const nowS = (): number => Math.floor(Date.now() / 1000);

/** The causes of a source, newest first. */
export async function causesOf(
  { admin }: Service,
  source: string,
): Promise<{ state: string; kind: string; cause: Json; effectiveAt?: string; order: string }[]> {
  const { body } = await admin.get<{ revocations: [] }>(`/v1/revocations?source=${source}&limit=100`);
  return body.revocations;
}

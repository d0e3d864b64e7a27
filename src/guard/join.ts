/** How a process becomes an instance: once, with an enrolment token; what it got, it keeps. */
import { formatBase64, parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Signer } from '../core/signer.js';
import { signJoin } from '../protocol/join.js';
import type { Membership } from './core.js';

/** As `/v1/feed/join` answers; with the key's seed all that an instance needs to come back. Secret. */
export interface MembershipJson {
  readonly instance: string;
  readonly point: string;
  readonly ledger: string;
  readonly generation: number;
  readonly guardKey: string;
  readonly rootKey: string;
  readonly keySet: string;
}

/**
 * Joins as an instance of the point that the enrolment token is for.
 * @param url of the server, `https://keelson.example`
 * @param token `kle_…`
 * @throws KeelsonError `forbidden`: it lets nobody in; `not_ready`: the server can't be asked now
 */
export async function join(url: string, token: string, signer: Signer): Promise<MembershipJson> {
  const body = {
    token,
    publicKey: formatBase64(signer.publicKey),
    signature: formatBase64(signJoin(signer, token)),
  };
  let answer: Response;
  try {
    answer = await fetch(new URL('/v1/feed/join', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
  } catch (error) {
    throw new KeelsonError('not_ready', `cannot reach ${url}`, { cause: error });
  }
  if (answer.ok) return (await answer.json()) as MembershipJson;
  const detail = (await answer.text()).slice(0, 500);
  throw new KeelsonError(answer.status < 500 ? 'forbidden' : 'not_ready', `join: HTTP ${answer.status} ${detail}`);
}

/** @throws KeelsonError `malformed_key` */
export function readMembership(json: MembershipJson, signer: Signer): Membership {
  const bytes = (text: string, length: number): Uint8Array => {
    const read = parseBase64(text);
    if (read?.length !== length) throw new KeelsonError('malformed_key', `not a key of ${length} bytes`);
    return read;
  };
  const { ledger, generation } = json;
  if (!/^[0-9a-f]{32}$/.test(json.instance)) throw new KeelsonError('malformed_key', 'not the name of an instance');
  const instance = Uint8Array.from(json.instance.match(/../g)!, (hex) => parseInt(hex, 16));
  return { instance, ledger, generation, guardKey: bytes(json.guardKey, 32), rootKey: bytes(json.rootKey, 32), signer };
}

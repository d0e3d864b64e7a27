/** Who calls: a Keelson API token as bearer, or by HTTP Basic as the secret of a client (RFC 6749, section 2.3.1). */
import type { Access } from '../../access/access.js';
import { KeelsonError } from '../../core/error.js';
import { requireAnyScope, type Caller } from '../../http/caller.js';

/**
 * @param client the id that Basic has to name
 * @throws KeelsonError `unauthenticated`, `forbidden` (another producer's token, or without the scope `publish:lifecycle`)
 */
export async function authenticateClient(
  access: Pick<Access, 'authenticate'>,
  authorization: string | undefined,
  client: string,
): Promise<Caller> {
  const basic = /^basic +([A-Za-z0-9+/=_-]{1,4096}) *$/i.exec(authorization ?? '')?.[1];
  const caller = await access.authenticate(basic === undefined ? authorization : readBasic(basic, client));
  if (caller.producer !== client) {
    throw new KeelsonError('forbidden', `this token is of another producer than ${client}`);
  }
  requireAnyScope(caller, ['publish:lifecycle']);
  return caller;
}

/** `id:secret`, each form-encoded → what the same token is as a bearer. */
function readBasic(base64: string, client: string): string {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0 || decode(text.slice(0, colon)) !== client) {
    throw new KeelsonError('unauthenticated', `the client id is ${client}`);
  }
  return `Bearer ${decode(text.slice(colon + 1))}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new KeelsonError('unauthenticated', 'client id and secret are form-encoded');
  }
}

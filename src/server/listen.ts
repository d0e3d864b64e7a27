import { isIPv6, type AddressInfo } from 'node:net';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';

/** Connections that wait to be taken: after a restart ten thousand points come back at once. The system takes what it allows of it. */
const BACKLOG = 4_096;

/**
 * Listens; answers the address to call it at.
 *
 * @throws KeelsonError `address_in_use`, `invalid_config` (an address that is not this machine's, a port one may not take).
 */
export async function listen(http: Http, host: string, port: number): Promise<string> {
  try {
    await http.listen({ host, port, backlog: BACKLOG });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new KeelsonError(
        'address_in_use',
        `${host}:${port} is taken by another program: stop it, or set KEELSON_PORT (0 takes a free one)`,
        { cause: error },
      );
    }
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new KeelsonError(
        'invalid_config',
        `cannot listen on KEELSON_HOST ${host}, KEELSON_PORT ${port}: ${message}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
  const address = http.server.address() as AddressInfo;
  const reachable = ['0.0.0.0', '::'].includes(address.address) ? 'localhost' : address.address;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${address.port}`;
}

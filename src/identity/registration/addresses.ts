/** Which addresses may be asked for documents that others name: public ones, and those that are configured (RFC 6890, RFC 9637). */
import { BlockList, isIP } from 'node:net';

/** Not the internet: this host, private and shared networks, link-local (where clouds keep their metadata), multicast, and what embeds IPv4. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
];
/** All that is assigned to the internet in IPv6. */
const GLOBAL_UNICAST = '2000::/3';

const notPublic = listOf(NOT_PUBLIC);
const globalUnicast = listOf([GLOBAL_UNICAST]);

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return list;
}

/** Adds a network in CIDR notation. @throws Error for people */
export function addNetwork(list: BlockList, network: string): void {
  const [address = '', bits, more] = network.split('/');
  const family = isIP(address);
  const prefix = Number(bits);
  const widest = family === 4 ? 32 : 128;
  if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(bits ?? '') || prefix > widest) {
    throw new Error(`${network} is no network such as 10.0.0.0/8`);
  }
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
}

/** @param allowed networks that may be asked although they are not public */
export function mayAsk(address: string, allowed: BlockList): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(address) === 0) return false;
  if (allowed.check(address, family)) return true;
  return !notPublic.check(address, family) && (family === 'ipv4' || globalUnicast.check(address, family));
}

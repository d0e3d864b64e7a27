/** Instances of the feed for benchmarks: made by number, so that whoever knows the number can be it. */
import { createHash } from 'node:crypto';
import type { Signer } from '../../src/core/signer.js';
import { join, type MembershipJson } from '../../src/guard/join.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { instanceOf } from '../../src/protocol/join.js';
import type { Api } from '../../test/support/api.js';
import type { BenchDatabase } from './cluster.js';

const POINT = 'bench';
const ROWS = 1_000;

export function signerOf(ledger: string, n: number): { readonly signer: Signer; readonly instance: Uint8Array } {
  const signer = nodeSigner(new Uint8Array(createHash('sha256').update(`bench instance ${n}`).digest()));
  return { signer, instance: instanceOf(nodeHasher, ledger, signer.publicKey) };
}

/**
 * Lets so many in. The first joins as they all would; the rows of the others are written into the database at once, and the ledger does not
 * know of them: joining is not what is measured.
 */
export async function enrolInstances(api: Api, database: BenchDatabase, count: number): Promise<MembershipJson> {
  await api.post('/v1/points', { point: POINT });
  const { body } = await api.post<{ token: string }>('/v1/enrolments', { point: POINT, uses: 1, expiresInS: 3600 });
  const first = nodeSigner(new Uint8Array(createHash('sha256').update('bench instance 0').digest()));
  const membership = await join(api.url, body.token, first);
  for (let from = 0; from < count; from += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, count - from) }, (_, i) => {
      const { signer, instance } = signerOf(membership.ledger, from + i);
      const hex = (bytes: Uint8Array): string => `'\\x${Buffer.from(bytes).toString('hex')}'`;
      return `(${hex(instance)}, '${POINT}', ${hex(signer.publicKey)}, ${membership.generation}, 0, true)`;
    });
    await database.query(
      `insert into keelson.feed_instance (id, point, public_key, generation, joined_at_us, announced) values ${rows.join()} on conflict do nothing`,
    );
  }
  return membership;
}

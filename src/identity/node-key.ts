/** The name of a node in the database. */
import { hash } from 'node:crypto';
import type { NodeKind } from './kinds.js';

const NODE_KEY_BYTES = 16;

/** First 16 bytes of SHA-256(kind ‖ 0 ‖ issuer ‖ 0 ‖ id). `id` of a principal: its 16 bytes. */
export const nodeKey = (kind: NodeKind, issuer: string, id: string | Uint8Array): Buffer => {
  const before = `${kind}\0${issuer}\0`;
  const name = typeof id === 'string' ? before + id : Buffer.concat([Buffer.from(before), id]);
  return hash('sha256', name, 'buffer').subarray(0, NODE_KEY_BYTES);
};

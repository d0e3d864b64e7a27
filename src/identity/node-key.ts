/** The name of a node in the database. */
import { hash } from 'node:crypto';
import type { NodeKind } from './kinds.js';

export const NODE_KEY_BYTES = 16;

/** First 16 bytes of SHA-256(kind ‖ 0 ‖ issuer ‖ 0 ‖ id). `id` of a principal: its 16 bytes. */
export const nodeKey = (kind: NodeKind, issuer: string, id: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from(`${kind}\0${issuer}\0`), id]), 'buffer').subarray(0, NODE_KEY_BYTES);

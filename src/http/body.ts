/**
 * Request bodies as bytes. A route that takes raw bodies reads them in two bounded steps: the bytes of the wire, then their
 * decoded form (RFC 9110, 8.4: gzip, x-gzip, deflate, identity). Both are counted against the memory gate while they grow,
 * so a bomb is stopped at the cap and costs at most the cap.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
import { KeelsonError } from '../core/error.js';
import type { Hold } from './gate.js';

/** A body as it came over the wire: whole, or, past the limit, only its beginning with the digest of all of it. */
export type Wire =
  | { readonly whole: true; readonly bytes: Buffer }
  | { readonly whole: false; readonly prefix: Buffer; readonly sha256: Buffer; readonly lengthBytes: number };

const CHUNK_BYTES = 64 * 1024;
/** What comes in pieces smaller than this is moved together: an object per byte costs hundreds of times its content. */
const SMALL_BYTES = 1024;

export interface WireLimits {
  readonly maxBytes: number;
  /**
   * What happens at the first byte beyond: `refuse` raises `too_large`; a number keeps that many first bytes, and hashes
   * and drops the rest for as long as the server's request time-out allows.
   */
  readonly oversize: 'refuse' | number;
}

/**
 * Reads a request's body as it came over the wire.
 * @throws KeelsonError `too_large`, `overloaded` (from the hold), `malformed_request` where the client broke off. What is
 * left unread then is drained and dropped, so that the connection can carry the answer and the next request.
 */
export async function readWire(stream: Readable, limits: WireLimits, hold: Hold): Promise<Wire> {
  const chunks = new Chunks();
  let lengthBytes = 0;
  let rest: { readonly hash: Hash; readonly prefix: Buffer } | undefined;
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      lengthBytes += chunk.length;
      if (rest !== undefined) {
        rest.hash.update(chunk);
      } else if (lengthBytes <= limits.maxBytes) {
        hold.grow(chunk.length);
        chunks.add(chunk);
      } else {
        if (limits.oversize === 'refuse') throw tooLarge(limits.maxBytes);
        chunks.add(chunk);
        const read = chunks.take();
        rest = { hash: createHash('sha256').update(read), prefix: Buffer.from(read.subarray(0, limits.oversize)) };
      }
    }
  } catch (error) {
    stream.resume();
    if (error instanceof KeelsonError) throw error;
    throw new KeelsonError('malformed_request', 'the request body ended early', { cause: error });
  }
  if (rest !== undefined) return { whole: false, prefix: rest.prefix, sha256: rest.hash.digest(), lengthBytes };
  return { whole: true, bytes: chunks.take() };
}

/** A body's pieces as they come, in memory of about their size however small they are. */
class Chunks {
  #whole: Buffer[] = [];
  /** Small pieces since the last of the whole ones. */
  #small = Buffer.alloc(0);
  #smallBytes = 0;

  add(chunk: Buffer): void {
    if (chunk.length >= SMALL_BYTES) {
      this.#flush();
      this.#whole.push(chunk);
      return;
    }
    if (this.#smallBytes + chunk.length > this.#small.length) {
      this.#flush();
      this.#small = Buffer.allocUnsafeSlow(this.#whole.length === 0 ? SMALL_BYTES : CHUNK_BYTES);
    }
    this.#smallBytes += chunk.copy(this.#small, this.#smallBytes);
  }

  /** All of it; empties this. */
  take(): Buffer {
    this.#flush();
    const whole = this.#whole;
    this.#whole = [];
    return whole.length === 1 ? whole[0]! : Buffer.concat(whole);
  }

  #flush(): void {
    if (this.#smallBytes === 0) return;
    this.#whole.push(this.#small.subarray(0, this.#smallBytes));
    this.#small = this.#small.subarray(this.#smallBytes);
    this.#smallBytes = 0;
  }
}

/**
 * Undoes the content coding.
 * @param maxBytes the most that may come out; the decoder is stopped at the first byte beyond.
 * @throws KeelsonError `too_large`, `bad_encoding` (unknown coding, damaged or cut data), `overloaded`.
 */
export async function decodeBody(
  wire: Buffer,
  contentEncoding: string | undefined,
  maxBytes: number,
  hold: Hold,
): Promise<Buffer> {
  const coding = (contentEncoding ?? 'identity').trim().toLowerCase();
  if (coding === 'identity' || coding === '') {
    if (wire.length > maxBytes) throw tooLarge(maxBytes);
    return wire;
  }
  const decoder = openDecoder(coding);
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  decoder.end(wire);
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      lengthBytes += chunk.length;
      if (lengthBytes > maxBytes) throw tooLarge(maxBytes);
      hold.grow(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof KeelsonError) throw error;
    throw new KeelsonError('bad_encoding', `the body is not valid ${coding}`, { cause: error });
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, lengthBytes);
}

function openDecoder(coding: string): Gunzip | Inflate {
  if (coding === 'gzip' || coding === 'x-gzip') return createGunzip({ chunkSize: CHUNK_BYTES });
  if (coding === 'deflate') return createInflate({ chunkSize: CHUNK_BYTES });
  throw new KeelsonError('bad_encoding', 'Content-Encoding must be gzip, deflate or identity');
}

const tooLarge = (maxBytes: number): KeelsonError =>
  new KeelsonError('too_large', `the body is larger than ${maxBytes} bytes`);

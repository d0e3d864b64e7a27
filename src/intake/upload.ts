/** Reads an upload, within every limit, and says what can't be read without losing it. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { KeelsonError } from '../core/error.js';
import { decodeBody, readWire } from '../http/body.js';
import type { Hold } from '../http/gate.js';
import type { IntakeSettings } from './settings.js';

/** What is kept of an upload as a whole: its bytes as they came over the wire, or only the first of them. */
export interface Original {
  readonly bytes: Uint8Array;
  /** Of all of it, kept or not. */
  readonly sha256: Uint8Array;
  readonly lengthBytes: number;
}

export type Upload =
  | { readonly readable: true; readonly body: Buffer; readonly original: () => Original }
  | { readonly readable: false; readonly error: KeelsonError; readonly original: () => Original };

/**
 * @param keepUnreadable whether an upload that is too large or wrongly coded is handed over as such (its sender would send it
 *   again for ever) instead of being refused
 * @throws KeelsonError `overloaded`, `malformed_request`, and unless `keepUnreadable` `too_large`, `bad_encoding`.
 */
export async function readUpload(
  request: FastifyRequest,
  hold: Hold,
  settings: IntakeSettings,
  keepUnreadable: boolean,
): Promise<Upload> {
  const maxBytes = settings.KEELSON_INTAKE_BODY_BYTES;
  const oversize = keepUnreadable ? settings.KEELSON_INTAKE_SAMPLE_BYTES : 'refuse';
  if (!keepUnreadable && Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const wire = await readWire(request.raw, { maxBytes, oversize }, hold);
  if (!wire.whole) {
    const original = { bytes: wire.prefix, sha256: wire.sha256, lengthBytes: wire.lengthBytes };
    return { readable: false, error: tooLarge(maxBytes), original: () => original };
  }
  const original = (): Original => ({
    bytes: wire.bytes,
    sha256: createHash('sha256').update(wire.bytes).digest(),
    lengthBytes: wire.bytes.length,
  });
  try {
    const encoding = request.headers['content-encoding'];
    const body = await decodeBody(wire.bytes, encoding, settings.KEELSON_INTAKE_DECODED_BYTES, hold);
    return { readable: true, body, original };
  } catch (error) {
    if (keepUnreadable && error instanceof KeelsonError && error.code !== 'overloaded') {
      return { readable: false, error, original };
    }
    throw error;
  }
}

const tooLarge = (maxBytes: number): KeelsonError =>
  new KeelsonError('too_large', `an upload may have ${maxBytes} bytes; send fewer events at once`);

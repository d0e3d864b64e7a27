/**
 * What could not become an event: its original goes into the vault, and a `record.quarantined` into the event log, so that
 * nothing is unaccounted for. The row comes first: a crash in between leaves an original without a notice, and a sender without an
 * answer, who sends it again. Its id is made of what was refused, so that it is then kept, and noticed, once.
 */
import { hash } from 'node:crypto';
import type { KeelsonError } from '../core/error.js';
import { formatPointer, parsePointer } from '../events/pointer.js';
import type { Clock } from '../platform/clock.js';
import { lengthPrefixed } from '../vault/bytes.js';
import type { Quarantined, Refusal, Vault } from '../vault/index.js';
import type { Encoded, Encoder } from './encoder.js';
import type { Refused } from './item.js';
import type { Original } from './upload.js';
import { formatUuidV8 } from './uuid.js';

export interface Kept {
  readonly quarantineId: string;
  /** To be appended before anyone is answered. */
  readonly notice: Encoded;
}

export interface QuarantineOptions {
  readonly vault: Pick<Vault, 'quarantine'>;
  readonly encoder: Encoder;
  readonly clock: Clock;
}

const sha256 = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/** What looks like an event type: anything else is not repeated outside of the original. */
const EVENT_TYPE = /^[a-z]{1,30}\.[a-z]{1,30}$/;

export class QuarantineDesk {
  constructor(private readonly options: QuarantineOptions) {}

  /**
   * Keeps the originals of items, in one round trip.
   * @throws KeelsonError `database_unavailable`
   */
  async keepItems(refused: readonly Refused[], producer: string, protocol: string): Promise<Kept[]> {
    const receivedAtUs = this.options.clock.nowUs();
    const kept = await this.options.vault.quarantine.put(
      refused.map((item) => this.#describe(item, producer, protocol, receivedAtUs)),
    );
    return kept.map((row) => ({
      quarantineId: row.id,
      notice: this.#notice(row, { sha256: row.digest, size: row.size }),
    }));
  }

  /**
   * Keeps an upload, or what there is of it; the notice has digest and length of all of it.
   * @throws KeelsonError `database_unavailable`
   */
  async keepUpload(original: Original, error: KeelsonError, producer: string, protocol: string): Promise<Kept> {
    const [row] = await this.options.vault.quarantine.put([
      {
        id: formatUuidV8(sha256(lengthPrefixed(producer, protocol, error.code, original.sha256))),
        original: original.bytes,
        reason: error.code,
        producer,
        protocol,
        receivedAtUs: this.options.clock.nowUs(),
      },
    ]);
    const notice = this.#notice(row!, { sha256: original.sha256, size: BigInt(original.lengthBytes) });
    return { quarantineId: row!.id, notice };
  }

  #notice(row: Quarantined, of: { sha256: Uint8Array; size: bigint }): Encoded {
    const { id: quarantineId, reason, producer: sender, eventId, eventType, expiresAtUs } = row;
    return this.options.encoder.encodeQuarantined({
      quarantineId,
      digest: Buffer.from(of.sha256),
      reason,
      sender,
      eventId,
      eventType,
      size: of.size,
      expiresAtUs,
    });
  }

  /** Only the original is encrypted: what stands beside it, in the row and in the notice, holds no secret. */
  #describe(item: Refused, producer: string, protocol: string, receivedAtUs: bigint): Refusal {
    const { error, id, type, raw } = item;
    const of = [producer, protocol, error.code, id ?? '', sha256(raw)];
    const { encoder } = this.options;
    return {
      id: formatUuidV8(sha256(lengthPrefixed(...of))),
      original: raw,
      reason: error.code,
      pointer: error.pointer && formatPointer(parsePointer(error.pointer).map((name) => encoder.maskText(name))),
      producer,
      protocol,
      eventId: id && encoder.maskText(id),
      eventType: type !== undefined && EVENT_TYPE.test(type) ? type : undefined,
      receivedAtUs,
    };
  }
}

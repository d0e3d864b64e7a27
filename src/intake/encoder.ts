/**
 * From what arrived to the final bytes of a record. Secrets are replaced and persons sealed here, before anything leaves this
 * process; a record that this makes is never changed again.
 */
import type { KeyObject } from 'node:crypto';
import type { ProducerConfig } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import {
  canonicalBytes,
  dedupeKey,
  encodeRecord,
  makeObject,
  makeOwnRecord,
  separate,
  type EventSchema,
  type JsonObject,
  type Json,
  type MaskedAt,
  type SchemaRegistry,
  type SchemaTopic,
  type Separated,
} from '../events/index.js';
import {
  makeLogOpened,
  makeLogSchema,
  makeRecordQuarantined,
  type OwnStamp,
  type QuarantineNotice,
} from '../events/log-records.js';
import { compileMasks, scrubSecrets, scrubText, type MaskPatterns } from '../events/secrets.js';
import type { PackedRecord } from '../eventlog/pack.js';
import type { Partition, Topic } from '../eventlog/port.js';
import type { Clock } from '../platform/clock.js';
import { hmac } from '../vault/mac.js';
import { drawRandom, needsOwnSubject, sealEvent, type Person, type Subject, type Vault } from '../vault/index.js';
import { INTAKE_CHECK, type EvidencePort } from './evidence-port.js';
import { refuse, type Arrived, type Item, type Refused } from './item.js';
import type { PartitionTable } from './partition.js';
import { markSource, requireOwned, requirePublishable } from './scope.js';
import type { Sender } from './sender.js';
import { makeUuidV7 } from './uuid.js';

export interface EncoderOptions {
  readonly schemas: SchemaRegistry;
  readonly vault: Vault;
  readonly partitions: PartitionTable;
  readonly clock: Clock;
  /** Absent: no evidence is looked at. */
  readonly evidence?: EvidencePort;
  /** The keyring's `content` and `secrets` keys. */
  readonly contentKey: KeyObject;
  readonly secretsKey: KeyObject;
  readonly ledger: LedgerNames;
}

/** How the ledger's logs are called. */
export interface LedgerNames {
  readonly name: string;
  /** `g1` */
  readonly generation: string;
  /** Every log of the ledger. */
  readonly origins: readonly string[];
  originOf(at: Partition): string;
}

/** An event of Keelson's own: members beside `type`, `id` and `timestamp`, which is now. */
export interface OwnEvent {
  readonly type: string;
  readonly id: string;
  readonly event: Readonly<JsonObject>;
  /** What must be the same in a repeat beside the id: the same id with another is refused. */
  readonly kind?: string | undefined;
}

/** A record, ready for the event log. */
export interface Encoded {
  readonly at: Partition;
  readonly schema: EventSchema;
  /** The event's id. */
  readonly id: string;
  readonly packed: PackedRecord;
}

export interface EncodeContext {
  /** As it stands in the record. */
  readonly protocol: string;
  readonly sender: Sender;
  readonly topics: readonly SchemaTopic[] | undefined;
}

/** An event taken apart, with all that needs no vault. */
interface Prepared {
  readonly item: Arrived;
  readonly schema: EventSchema;
  readonly id: string;
  /** Members that intake supplied. */
  readonly assigned: readonly string[];
  readonly masked: readonly MaskedAt[];
  readonly separated: Separated;
}

/** The issuer of a person for whom neither event nor producer names one. */
const NO_ISSUER = '';

export class Encoder {
  readonly #contentKey: Buffer;
  readonly #secretsKey: Buffer;

  constructor(private readonly options: EncoderOptions) {
    this.#contentKey = options.contentKey.export();
    this.#secretsKey = options.secretsKey.export();
  }

  /**
   * One outcome per item, in order; what was refused before stays so. Subjects come in one round trip for all of them (none where they are known), blobs are
   * durable when this resolves.
   * @throws KeelsonError `database_unavailable` where a row is needed and can't be had: nothing was produced.
   */
  async encode(items: readonly Item[], context: EncodeContext): Promise<(Encoded | Refused)[]> {
    const checks = this.#areConcerned(items) ? await this.#check(items) : undefined;
    const prepared = items.map((item, i) => ('error' in item ? item : this.#prepare(item, context, checks?.[i])));
    const issuer = context.sender.producer.config.issuer ?? NO_ISSUER;
    const persons: Person[] = [];
    let needOwn = 0;
    for (const one of prepared) {
      if ('error' in one) continue;
      for (const person of one.separated.persons) persons.push({ issuer: person.issuer ?? issuer, id: person.id });
      if (needsOwnSubject(one.separated)) needOwn++;
    }
    const [subjects, own] = await Promise.all([
      persons.length === 0 ? [] : this.options.vault.subjectsFor(persons),
      needOwn === 0 ? [] : this.options.vault.newSubjects(needOwn),
    ]);
    const acceptedAtUs = this.options.clock.nowUs();
    let nextSubject = 0;
    let nextOwn = 0;
    const blobs: { readonly sha256: Buffer; readonly ciphertext: Buffer }[] = [];
    const outcomes = prepared.map((one) => {
      if ('error' in one) return one;
      const count = one.separated.persons.length;
      const theirs = subjects.slice(nextSubject, (nextSubject += count));
      const itsOwn = needsOwnSubject(one.separated) ? own[nextOwn++] : undefined;
      return this.#finish(one, context, acceptedAtUs, theirs, itsOwn, blobs);
    });
    if (blobs.length > 0) await this.options.vault.blobs.put(blobs);
    return outcomes;
  }

  #areConcerned(items: readonly Item[]): boolean {
    const { evidence } = this.options;
    return evidence !== undefined && items.some((item) => concerns(evidence, item));
  }

  /** What evidence says that the next step masks. It only reads: whatever is found, the event goes on. */
  #check(items: readonly Item[]): Promise<(JsonObject | undefined)[]> {
    const evidence = this.options.evidence!;
    return Promise.all(
      items.map(async (item) => (concerns(evidence, item) ? evidence.check((item as Arrived).event) : undefined)),
    );
  }

  /** Checks, masks, takes apart. */
  #prepare(arrived: Arrived, { sender, topics }: EncodeContext, check: JsonObject | undefined): Prepared | Refused {
    let item = arrived;
    const type = item.event.type;
    try {
      if (typeof type !== 'string') {
        throw new KeelsonError('invalid_event', 'a type is a text', { pointer: '/type' });
      }
      const schema = this.options.schemas.forType(type);
      requirePublishable(type, schema, sender.scopes, topics);
      const id = item.id ?? makeUuidV7(Number(this.options.clock.nowUs() / 1000n));
      if (schema.plan.members.has(INTAKE_CHECK)) item = addCheck(item, check);
      const masked = scrubSecrets(item.event, this.#digestSecret, masksOf(sender.producer.config, type));
      this.#requireNoSecret(id, item.source);
      const assigned = [...item.assigned, ...markSource(type, item.event, sender.scopes)];
      const separated = separate(item.event, schema);
      requireOwned(separated, sender);
      return { item, schema, id, assigned, masked, separated };
    } catch (error) {
      return refuse(item.raw, error, {
        ...(item.id === undefined ? {} : { id: item.id }),
        ...(typeof type === 'string' ? { type } : {}),
      });
    }
  }

  #finish(
    { item, schema, id, assigned, masked, separated }: Prepared,
    { protocol, sender }: EncodeContext,
    acceptedAtUs: bigint,
    persons: readonly Subject[],
    own: Subject | undefined,
    blobs: { readonly sha256: Buffer; readonly ciphertext: Buffer }[],
  ): Encoded | Refused {
    const blind = drawRandom(16);
    const sealed = sealEvent(separated, { id, fingerprint: schema.fingerprint, blind }, persons, own);
    const producer = sender.producer.id;
    try {
      const record = encodeRecord(schema, {
        dedupe: dedupeKey(producer, item.source, id),
        blind,
        id,
        type: separated.type,
        occurredAtUs: separated.occurredAtUs,
        acceptedAtUs,
        producer,
        producerVerified: sender.verified,
        source: item.source,
        protocol,
        epoch: separated.epoch,
        sequence: separated.sequence,
        assigned,
        persons: sealed.persons,
        sealed: sealed.sealed,
        masked,
        originals: separated.originals,
        body: separated.body,
      });
      blobs.push(...sealed.blobs);
      const at = this.options.partitions.choose(schema.topic as Topic, item.event, id);
      return { at, schema, id, packed: { record, digest: item.digest } };
    } catch (error) {
      return refuse(item.raw, error, { id, type: separated.type });
    }
  }

  /**
   * What opens a log: its opening, which in lifecycle names every log there is, and the texts of the two schemas that are used to
   * say what any record is. Repeats have the same ids and contents, from whichever process.
   */
  encodeOpening(at: Partition): Encoded[] {
    const { ledger, schemas } = this.options;
    const origin = ledger.originOf(at);
    const origins = at.topic === 'lifecycle' ? { origins: ledger.origins } : {};
    const opening = { ledger: ledger.name, generation: ledger.generation, origin, ...origins };
    const schema = schemas.forType('log.opened');
    return [
      this.#own(at, schema, `log.opened/${origin}`, makeLogOpened(schemas, opening, this.#stamp())),
      this.encodeSchema(at, schema),
      this.encodeSchema(at, schemas.forType('log.schema')),
    ];
  }

  /** The text of a schema, to stand in a log before its first use there. */
  encodeSchema(at: Partition, schema: EventSchema): Encoded {
    const { schemas } = this.options;
    const id = `log.schema/${schema.fingerprint.toString('hex')}`;
    return this.#own(at, schemas.forType('log.schema'), id, makeLogSchema(schemas, schema, this.#stamp()));
  }

  /** That something went to quarantine; the texts in the notice went through `maskText`. */
  encodeQuarantined(notice: QuarantineNotice): Encoded {
    const { schemas, partitions } = this.options;
    const schema = schemas.forType('record.quarantined');
    const at = partitions.choose('activity', makeObject(), notice.quarantineId);
    return this.#own(at, schema, notice.quarantineId, makeRecordQuarantined(schemas, notice, this.#stamp()));
  }

  /**
   * What Keelson says of its own accord. Its id (and its kind) stands for its content: the same twice is a repeat.
   * @throws Error where the event is not one that its schema describes, or names a person: a bug
   */
  encodeOwn({ type, id, event, kind }: OwnEvent): Encoded {
    const { schemas, partitions } = this.options;
    const schema = schemas.forType(type);
    const at = partitions.choose(schema.topic as Topic, event, id);
    const record = makeOwnRecord(schemas, type, id, event, this.#stamp());
    return { at, schema, id, packed: { record, digest: this.#digest(kind === undefined ? id : `${id}\0${kind}`) } };
  }

  /** A text of a refused event, its secrets masked: for what is kept outside of its encrypted original. */
  maskText(text: string): string {
    return scrubText(text, '', this.#digestSecret, []);
  }

  #own(at: Partition, schema: EventSchema, id: string, record: Buffer): Encoded {
    return { at, schema, id, packed: { record, digest: this.#digest(id) } };
  }

  #stamp(): OwnStamp {
    return { blind: drawRandom(16), nowUs: this.options.clock.nowUs() };
  }

  /** What identifies an event stands in the record as it is, and can't be masked without making it another one. */
  #requireNoSecret(id: string, source: string): void {
    const masked: MaskedAt[] = [];
    scrubText(id, '/id', this.#digestSecret, masked);
    scrubText(source, '/id', this.#digestSecret, masked);
    if (masked.length > 0) {
      throw new KeelsonError('invalid_event', `what identifies an event must hold no secret`, { pointer: '/id' });
    }
  }

  readonly #digestSecret = (secret: string): Buffer => hmac(this.#secretsKey, secret);

  /** First 16 bytes of HMAC-SHA-256(content key, canonical JSON): tells a repeat from a conflict. */
  readonly digestContent = (content: Json): Buffer => this.#digest(canonicalBytes(content));

  #digest(content: Uint8Array | string): Buffer {
    return hmac(this.#contentKey, content).subarray(0, 16);
  }
}

const concerns = (evidence: EvidencePort, item: Item): boolean =>
  !('error' in item) && typeof item.event.type === 'string' && evidence.concerns(item.event.type);

/** @throws KeelsonError `invalid_event` where the producer says it itself */
function addCheck(item: Arrived, check: JsonObject | undefined): Arrived {
  if (item.event[INTAKE_CHECK] !== undefined) {
    throw new KeelsonError('invalid_event', 'only Keelson itself says this', { pointer: `/${INTAKE_CHECK}` });
  }
  if (check === undefined) return item;
  item.event[INTAKE_CHECK] = check;
  return { ...item, assigned: [...item.assigned, INTAKE_CHECK] };
}

const compiledMasks = new WeakMap<ProducerConfig, MaskPatterns>();
/** A bearer token by its place, whatever it looks like. */
const AGENT_MASKS = compileMasks(['/agent_identity/jwt_svid']);

function masksOf(config: ProducerConfig, type: string): MaskPatterns {
  let masks = compiledMasks.get(config);
  if (masks === undefined) compiledMasks.set(config, (masks = compileMasks(config.mask ?? [])));
  return type.startsWith('agent.') ? [...masks, ...AGENT_MASKS] : masks;
}

import type { DecodedRecord, PersonAt, SealedBlock, SealedField, Separated } from '../events/index.js';
import { detachCiphertext, openBlock, sealBlock, type SealContext, type Subject } from './seal.js';

/** Bytes of ciphertext a record keeps itself; what is beyond goes into blobs, the biggest blocks first. */
export const INLINE_BYTES = 32_768;

export interface SealedEvent {
  readonly persons: readonly PersonAt[];
  readonly sealed: readonly SealedBlock[];
  /** To be put into the vault before the record is produced. */
  readonly blobs: readonly { readonly sha256: Buffer; readonly ciphertext: Buffer }[];
}

/** Whether the event has fields to seal and no acting principal to seal them under: then it needs a subject of its own. */
export const needsOwnSubject = (event: Separated): boolean => event.sealed.length > 0 && event.acting === undefined;

/**
 * Seals what `separate` took out of an event: one block per subject.
 * @param persons the subject of each of `event.persons`, in their order.
 * @param own the record's own subject, where `needsOwnSubject`.
 */
export function sealEvent(
  event: Separated,
  context: SealContext,
  persons: readonly Subject[],
  own: Subject | undefined,
): SealedEvent {
  const groups = new Groups();
  const places = event.persons.map(({ pointer, text }, i) => {
    const subject = persons[i];
    if (!subject) throw new Error('a person without a subject');
    groups.of(subject).push({ pointer, text });
    return { pointer, subject: subject.pseudonym };
  });
  if (event.sealed.length > 0) {
    const owner = event.acting === undefined ? own : persons[event.acting];
    if (!owner) throw new Error('fields to seal and no subject to seal them under');
    groups.of(owner).push(...event.sealed);
  }
  const blocks = groups.all.map(({ subject, fields }) => sealBlock(subject, context, fields));
  return { persons: places, ...moveToBlobs(blocks) };
}

interface Group {
  readonly subject: Subject;
  readonly fields: SealedField[];
}

/** Whose fields go into one block, in the order of their first; nearly always there is one. */
class Groups {
  readonly all: Group[] = [];
  #byPseudonym: Map<string, Group> | undefined;

  of(subject: Subject): SealedField[] {
    const [first] = this.all;
    if (first?.subject === subject) return first.fields;
    if (first === undefined) return this.#open(subject).fields;
    this.#byPseudonym ??= new Map([[nameOf(first.subject), first]]);
    let group = this.#byPseudonym.get(nameOf(subject));
    if (group === undefined) this.#byPseudonym.set(nameOf(subject), (group = this.#open(subject)));
    return group.fields;
  }

  #open(subject: Subject): Group {
    const group = { subject, fields: [] };
    this.all.push(group);
    return group;
  }
}

const nameOf = ({ pseudonym }: Subject): string => pseudonym.toString('latin1');

function moveToBlobs(blocks: SealedBlock[]): Pick<SealedEvent, 'sealed' | 'blobs'> {
  const blobs: { sha256: Buffer; ciphertext: Buffer }[] = [];
  let inline = blocks.reduce((sum, block) => sum + block.ciphertext.length, 0);
  while (inline > INLINE_BYTES) {
    const biggest = blocks.reduce((a, b) => (b.ciphertext.length > a.ciphertext.length ? b : a));
    const { block, ciphertext } = detachCiphertext(biggest);
    blocks[blocks.indexOf(biggest)] = block;
    blobs.push({ sha256: block.blob!.sha256, ciphertext });
    inline -= ciphertext.length;
  }
  return { sealed: blocks, blobs };
}

/**
 * Opens every block of a record whose key is given, for `reassemble`.
 * @param keys subject keys by pseudonym in hex, as `Vault.keysOf` answers; a missing one leaves its block shut.
 * @param blobs ciphertexts by SHA-256 in hex, as `Vault.blobsOf` answers; a missing one leaves its block shut.
 * @throws KeelsonError `tampered`
 */
export function openEvent(
  record: DecodedRecord,
  keys: ReadonlyMap<string, Buffer>,
  blobs: ReadonlyMap<string, Buffer> = new Map(),
): SealedField[] {
  const context = { id: record.id, fingerprint: record.schema.fingerprint, blind: record.blind };
  return record.sealed.flatMap((block) => {
    const key = keys.get(block.subject.toString('hex'));
    const ciphertext = block.blob ? blobs.get(block.blob.sha256.toString('hex')) : block.ciphertext;
    return key && ciphertext ? openBlock(key, context, block, ciphertext) : [];
  });
}

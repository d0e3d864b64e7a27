/**
 * The vault: what must stay forgettable.
 *
 * ```ts
 * const vault = new Vault({ database, encryptionKey: keyring.encryptionKey, lookupKey: keyring.macKey('lookup'), cachedSubjects, quarantineDays });
 * vault.subjectsFor([{ issuer, id }, …]): Promise<Subject[]>        // found or made; one round trip, none when in memory
 * vault.newSubject(): Promise<Subject>                             // a record's own; concurrent calls share statements
 * vault.newSubjects(count): Promise<Subject[]>
 * vault.keysOf(pseudonyms): Promise<Map<hex, key>>                 // missing = erased
 * vault.lookup(issuer, id): Promise<Buffer | undefined>            // the pseudonym, for searching
 * vault.lookupAny(issuers, id): Promise<Buffer[]>
 * vault.blobs.put([{ sha256, ciphertext }]), vault.blobs.get(addresses): Promise<Map<hex, ciphertext>>
 * vault.quarantine.put([…]), .get(id), .list({ limit, … }), .purge(nowUs)
 *
 * needsOwnSubject(separated): boolean
 * sealEvent(separated, { id, fingerprint: schema.fingerprint, blind }, subjects, own): { persons, sealed, blobs }
 * openEvent(record, keys, blobs?): SealedField[]                   // for reassemble
 * sealBlock, openBlock, openField, checkCommitment; drawRandom(16) for `blind`
 * ```
 */
export { Vault, type VaultOptions } from './vault.js';
export type { Person } from './subjects.js';
export { Quarantine, type Quarantined, type QuarantineQuery, type Refusal } from './quarantine.js';
export { Blobs } from './blobs.js';
export {
  checkCommitment,
  openBlock,
  openField,
  sealBlock,
  type FieldOpening,
  type SealContext,
  type Subject,
} from './seal.js';
export { INLINE_BYTES, needsOwnSubject, openEvent, sealEvent, type SealedEvent } from './seal-event.js';
export { drawRandom } from './bytes.js';
export { vaultSettings } from './settings.js';

import type { Producer } from '../access/producer.js';
import type { Scope } from '../http/caller.js';

/** Who sends, as far as intake looks. */
export interface Sender {
  readonly producer: Producer;
  /** False where the transport could not prove who wrote. */
  readonly verified: boolean;
  readonly scopes: ReadonlySet<Scope>;
  /** The token that is to be revoked was shown to Keelson itself: its digest speaks for it, whoever issued it. */
  readonly showedToken?: true;
  /** Who asks is who the event says it is, as Keelson itself wrote down: only so somebody answers for what waits for a second person. */
  readonly isPerson?: true;
}

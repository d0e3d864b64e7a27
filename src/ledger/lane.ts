import type pg from 'pg';
import type { Connection, Submittable } from 'pg';
import { databaseError } from '../platform/database.js';
import { COPY_END, COPY_PAGES } from './page-writer.js';
import { SEAL, sealValues } from './seal.js';
import type { Lane, Sealing } from './store.js';

/** What pg's protocol connection is beside its declared type: a socket that takes framed messages. */
type Wire = Connection & { readonly stream: NodeJS.WritableStream & { readonly writable: boolean } };

/**
 * `begin; copy … from stdin` as one message, and CopyData behind it without waiting for an answer. If the server refuses the
 * COPY it skips what follows up to CopyDone and answers with the error, so nothing need be taken back.
 */
class CopyPages implements Submittable {
  readonly done: Promise<void>;
  #wire: Wire | undefined;
  #waiting: Uint8Array[] = [];
  #error: unknown;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => undefined);
  }

  write(message: Uint8Array): void {
    if (this.#wire === undefined) this.#waiting.push(message);
    else if (this.#wire.stream.writable) this.#wire.stream.write(message);
  }

  submit(connection: Connection): void {
    this.#wire = connection;
    connection.query(`begin; ${COPY_PAGES}`);
    for (const message of this.#waiting.splice(0)) this.write(message);
  }

  handleError(error: Error): void {
    this.#error = error;
    this.#reject(databaseError(error));
  }

  handleReadyForQuery(): void {
    if (this.#error === undefined) this.#resolve();
  }

  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  /** The driver looks for it. */
  callback(): void {}
}

export class PostgresLane implements Lane {
  #copy: CopyPages | undefined;

  /** @param client connected, this lane's alone */
  constructor(private readonly client: pg.Client) {
    client.on('error', () => undefined); // the call under way, or the next one, rejects with it
  }

  write(slice: Uint8Array): void {
    this.#copy ??= this.client.query(new CopyPages());
    this.#copy.write(slice);
  }

  async written(): Promise<void> {
    if (this.#copy === undefined) {
      await this.#query('begin');
      return;
    }
    this.#copy.write(COPY_END);
    await this.#copy.done;
    this.#copy = undefined;
  }

  async seal(sealing: Sealing): Promise<boolean> {
    const { rows } = await this.#query({ name: 'ledger-seal', text: SEAL, values: sealValues(sealing) });
    return (rows[0] as { moved: number }).moved === 1;
  }

  async commit(): Promise<void> {
    const { command } = await this.#query('commit');
    // After a failed statement COMMIT succeeds and rolls back.
    if (command !== 'COMMIT') throw new Error(`a failed statement was swallowed: the batch ended with ${command}`);
  }

  close(): void {
    const { stream } = (this.client as unknown as { connection: { stream: { destroy(): void } } }).connection;
    stream.destroy();
  }

  async #query(query: string | pg.QueryConfig): Promise<pg.QueryResult> {
    return this.client.query(query as pg.QueryConfig).catch((error: unknown) => {
      throw databaseError(error);
    });
  }
}

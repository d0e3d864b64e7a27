import type { ClientBase, Connection, Submittable } from 'pg';

/**
 * COPY … FROM STDIN with everything at hand: one round trip, no stream. The bytes are PostgreSQL's binary COPY format, without
 * header and trailer, which are added here.
 */
export function copyIn(client: ClientBase, target: string, rows: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(
      new CopyIn(`copy ${target} from stdin (format binary)`, rows, (error) => (error ? reject(error) : resolve())),
    );
  });
}

/** `PGCOPY\n\377\r\n\0`, no flags, no header extension. */
const HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
/** A field count of −1. */
const TRAILER = Buffer.from('ffff', 'hex');

/** The part of the driver's connection that COPY needs, and its types leave out. */
interface CopyConnection {
  query(text: string): void;
  endCopyFrom(): void;
  stream: { write(bytes: Uint8Array): boolean; cork(): void; uncork(): void };
}

/** CopyData around so many bytes: `d`, and a length that counts itself. The driver would copy them once more. */
function frame(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(5);
  bytes[0] = 0x64;
  bytes.writeInt32BE(4 + length, 1);
  return bytes;
}

class CopyIn implements Submittable {
  #error: Error | undefined;

  constructor(
    private readonly text: string,
    private readonly rows: Uint8Array,
    private readonly done: (error?: Error) => void,
  ) {}

  submit(connection: Connection): void {
    (connection as unknown as CopyConnection).query(this.text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    const { stream } = connection;
    stream.cork();
    stream.write(frame(HEADER.length + this.rows.length + TRAILER.length));
    stream.write(HEADER);
    stream.write(this.rows);
    stream.write(TRAILER);
    connection.endCopyFrom();
    stream.uncork();
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    // After a lost connection no ReadyForQuery follows; after the server's refusal one does. The first answer counts.
    this.#error ??= error;
    this.done(this.#error);
  }

  handleReadyForQuery(): void {
    this.done(this.#error);
  }
}

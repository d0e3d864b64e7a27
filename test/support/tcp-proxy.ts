/**
 * A TCP proxy that misbehaves on command: in front of a broker or a database it makes the failures that a test wants, at the
 * byte where it wants them.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Where to: a port of this machine, or the path of a Unix socket. */
export type Target = { readonly port: number } | { readonly path: string };

export class TcpProxy {
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #stalled = false;
  #refusing = false;
  #cutBeforeReply: { matches: (sent: Buffer) => boolean; left: number } | undefined;

  private constructor(
    private readonly server: Server,
    public target: Target,
  ) {}

  /** Listens on a free port of 127.0.0.1, or on `port`. */
  static async listen(target: Target, port = 0): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server, target);
    server.on('connection', (client) => proxy.#join(client));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /**
   * Lets the next `times` requests that match reach the target, and cuts the connection at the first byte of the reply: done,
   * but reported as failed.
   */
  cutBeforeReply(matches: (sent: Buffer) => boolean, times = 1): void {
    this.#cutBeforeReply = { matches, left: times };
  }

  /** How many of the asked-for cuts have not happened yet. */
  get cutsLeft(): number {
    return this.#cutBeforeReply?.left ?? 0;
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#part(pair);
  }

  /** Holds back every byte, in both directions, until `flow`. */
  stall(): void {
    this.#stalled = true;
    for (const { client, upstream } of this.#pairs) {
      client.pause();
      upstream.pause();
    }
  }

  flow(): void {
    this.#stalled = false;
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }

  /** Cuts everything and takes no new connection until `accept`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  accept(): void {
    this.#refusing = false;
  }

  async close(): Promise<void> {
    this.refuse();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #join(client: Socket): void {
    if (this.#refusing) return void client.destroy();
    const upstream = connect(this.target);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    let doomed = false;
    client.on('data', (bytes) => {
      const cut = this.#cutBeforeReply;
      if (cut !== undefined && cut.left > 0 && !doomed && cut.matches(bytes)) {
        cut.left--;
        doomed = true;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (doomed) this.#part(pair);
      else client.write(bytes);
    });
    for (const socket of [client, upstream]) {
      socket.on('error', () => this.#part(pair));
      socket.on('close', () => this.#part(pair));
      if (this.#stalled) socket.pause();
    }
  }

  #part(pair: { client: Socket; upstream: Socket }): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.upstream.destroy();
  }
}

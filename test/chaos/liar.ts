/** A network that lies: between a guard and its server it flips, drops, replays, reorders and delays bytes, in both directions. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Dice } from './dice.js';

export const LIES = ['flip', 'drop', 'replay', 'reorder', 'delay'] as const;
export type Lie = (typeof LIES)[number];

/** Of so many chunks one is lied about. */
const ODDS = 4;
const LONGEST_DELAY_MS = 500;

/** One direction of a connection: what was read and is not passed on yet. */
interface Way {
  readonly to: Socket;
  held: Buffer | undefined;
  /** What is delayed comes before what follows, as TCP has it. */
  last: Promise<void>;
}

export class Liar {
  /** What it may do just now; none: it passes everything on. */
  lies: readonly Lie[] = [];
  /** How often it lied, by kind. */
  readonly told: Record<Lie, number> = { flip: 0, drop: 0, replay: 0, reorder: 0, delay: 0 };
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly dice: Dice,
  ) {}

  static async listen(port: number, dice: Dice): Promise<Liar> {
    const server = createServer();
    const liar = new Liar(server, dice);
    server.on('connection', (client) => liar.#join(client, connect({ port, host: '127.0.0.1' })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return liar;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #join(client: Socket, upstream: Socket): void {
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      const way: Way = { to, held: undefined, last: Promise.resolve() };
      this.#sockets.add(from);
      from.on('data', (chunk) => this.#pass(way, chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  #pass(way: Way, chunk: Buffer): void {
    const lie = this.lies.length > 0 && this.dice.between(1, ODDS) === 1 ? this.dice.pick(this.lies) : undefined;
    if (lie !== undefined) this.told[lie]++;
    const chunks = way.held === undefined ? [chunk] : [chunk, way.held];
    way.held = undefined;
    switch (lie) {
      case 'flip':
        chunk[this.dice.between(0, chunk.length - 1)]! ^= 1 << this.dice.between(0, 7);
        break;
      case 'drop':
        return;
      case 'replay':
        chunks.push(chunk);
        break;
      case 'reorder':
        way.held = chunks.pop();
        break;
      case 'delay': {
        const delayMs = this.dice.between(1, LONGEST_DELAY_MS);
        way.last = way.last.then(() => new Promise((resolve) => setTimeout(resolve, delayMs)));
        break;
      }
      case undefined:
        break;
    }
    way.last = way.last.then(() => {
      for (const one of chunks) if (!way.to.destroyed) way.to.write(one);
    });
  }
}

/** Somebody who is told: an HTTP server that keeps what it gets and answers as it is told to. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly id: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly atMs: number;
}

export type Answer = number | ((response: ServerResponse, request: IncomingMessage) => void);

export class Receiver {
  readonly received: Received[] = [];
  /** What comes next; the last one stays. */
  answers: Answer[] = [200];
  readonly #server: Server;
  readonly #waiting: (() => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const headers = request.headers as Record<string, string>;
        const body = Buffer.concat(chunks).toString();
        this.received.push({ id: headers['webhook-id'] ?? '', headers, body, atMs: performance.now() });
        const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
        if (typeof answer === 'number') response.writeHead(answer).end();
        else answer(response, request);
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
  }

  static async open(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** Resolves when so many have come. */
  async until(count: number): Promise<readonly Received[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.received;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

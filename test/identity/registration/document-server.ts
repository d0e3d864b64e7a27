/** A real HTTPS server of client metadata documents, honest or not, on this host alone. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { certificatePem, issue, keyPem } from './authority.js';

export class DocumentServer {
  /** Requests by path. */
  readonly asked = new Map<string, number>();
  readonly #answers = new Map<string, RequestListener>();

  private constructor(
    private readonly server: Server,
    /** PEM of who vouches for it. */
    readonly ca: string,
    readonly origin: string,
  ) {}

  static async start(): Promise<DocumentServer> {
    const root = await issue({ name: 'documents', ca: true });
    const host = await issue({ name: 'localhost', issuer: root, dns: 'localhost' });
    const server = createServer({ key: await keyPem(host), cert: certificatePem(host) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const documents = new DocumentServer(server, certificatePem(root), `https://localhost:${port}`);
    server.on('request', (request, response) => {
      const path = request.url!;
      documents.asked.set(path, (documents.asked.get(path) ?? 0) + 1);
      const answer = documents.#answers.get(path);
      if (answer === undefined) response.writeHead(404).end();
      else answer(request, response);
    });
    return documents;
  }

  /** Answers a path; its URL. */
  on(path: string, answer: RequestListener): string {
    this.#answers.set(path, answer);
    return this.origin + path;
  }

  /** An honest document, with more members; its URL. */
  honest(path: string, more: object = {}): string {
    return this.on(path, (_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ client_id: this.origin + path, client_name: 'A client', ...more }));
    });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** What is told of tools that fail open, against what is remembered of it. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { declareFailOpen } from '../../src/guard/fail-open.js';
import { parseFailOpen } from '../../src/protocol/fail-open.js';
import { guardKey, instanceSigner, LEDGER, rootSigner, seed } from './support.js';

let server: Server;
/** What happens, in order. */
let happened: string[];
let stopping: AbortController;

beforeEach(async () => {
  happened = [];
  stopping = new AbortController();
  server = createServer((request, response) => {
    request.once('data', (body: Buffer) => {
      happened.push(`told ${parseFailOpen(body).tools.join()}`);
      response.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  stopping.abort();
  server.closeAllConnections();
  server.close();
});

const declare = (declared: string[], wanted: string[]): Promise<void> =>
  declareFailOpen(
    {
      address: {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        membership: {
          instance: seed('an instance').subarray(0, 16),
          ledger: LEDGER,
          generation: 1,
          guardKey,
          rootKey: rootSigner.publicKey,
          signer: instanceSigner,
        },
      },
      wanted,
      declared,
      onChange: (tools) => happened.push(`fails open ${[...tools].join()}`),
      onDeclared: (tools) => void happened.push(`remembered ${tools.join()}`),
      onProblem: (error) => happened.push(String(error)),
    },
    stopping.signal,
  );

it('a tool is not remembered as told of, once the ledger may have been told that it does not fail open', async () => {
  await declare(['deploy', 'read'], ['read']);
  expect(happened).toEqual(['fails open read', 'remembered read', 'told read', 'fails open read', 'remembered read']);
});

it('a tool fails open and is remembered once the ledger has been told', async () => {
  await declare(['read'], ['deploy', 'read']);
  expect(happened).toEqual(['fails open read', 'told deploy,read', 'fails open deploy,read', 'remembered deploy,read']);
});

it('what was told is not told again', async () => {
  await declare(['read'], ['read']);
  expect(happened).toEqual(['fails open read']);
});

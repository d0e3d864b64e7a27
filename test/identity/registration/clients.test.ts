/** Clients: the list, and documents from servers that lie, stall, redirect or stream for ever. */
import { BlockList } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addNetwork, mayAsk } from '../../../src/identity/registration/addresses.js';
import { readClientUrl } from '../../../src/identity/registration/client-url.js';
import { Clients } from '../../../src/identity/registration/clients.js';
import type { ClientRules } from '../../../src/identity/registration/configuration.js';
import { Busy, findingOf, Unavailable, type Finding } from '../../../src/identity/registration/finding.js';
import { fetchMetadata } from '../../../src/identity/registration/metadata-document.js';
import { DocumentServer } from './document-server.js';

let documents: DocumentServer;
let rules: ClientRules;
let nowMs = 0;
let clients: Clients;

beforeAll(async () => {
  documents = await DocumentServer.start();
  const networks = new BlockList();
  addNetwork(networks, '127.0.0.0/8');
  addNetwork(networks, '::1/128');
  rules = { ids: new Set(['ci']), documents: [`${documents.origin}/*`], networks, ca: documents.ca };
});
afterAll(() => documents.stop());
beforeEach(() => {
  clients = new Clients({ monotonicMs: () => nowMs });
  documents.asked.clear();
});

const check = (client: string, by: ClientRules = rules): Promise<Finding> =>
  findingOf(
    'allow_list',
    (known) => clients.verify(client, by, known),
    (bug) => {
      throw bug;
    },
  );

it('an id on the list, and nothing that is like it', async () => {
  expect(await check('ci')).toEqual({ method: 'allow_list' });
  for (const client of ['CI', 'ci ', 'ci2', '', 'https://elsewhere.example/client']) {
    expect(await check(client)).toMatchObject({ code: 'client_not_approved' });
  }
});

it('an honest document, asked for once in five minutes', async () => {
  const url = documents.honest('/honest');
  expect(await check(url)).toEqual({ method: 'metadata_document' });
  nowMs += 299_000;
  expect(await check(url)).toEqual({ method: 'metadata_document' });
  expect(documents.asked.get('/honest')).toBe(1);
  nowMs += 2_000;
  await check(url);
  expect(documents.asked.get('/honest')).toBe(2);
  // Other rules may trust other servers.
  await check(url, { ...rules });
  expect(documents.asked.get('/honest')).toBe(3);
});

describe('a document is refused', () => {
  const json = { 'content-type': 'application/json' };
  it.each<[string, Parameters<DocumentServer['on']>[1]]>([
    [
      'of another client',
      (_, response) => response.writeHead(200, json).end('{"client_id":"https://localhost/other"}'),
    ],
    ['without a client_id', (_, response) => response.writeHead(200, json).end('{}')],
    ['that is no object', (_, response) => response.writeHead(200, json).end('[]')],
    ['that is no JSON', (_, response) => response.writeHead(200, json).end('<html>')],
    [
      'that says everything twice',
      ({ url }, response) => response.writeHead(200, json).end(`{"client_id":"x","client_id":"${url}"}`),
    ],
    ['of another type', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('{}')],
    [
      'that is compressed',
      (_, response) => response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync('{}')),
    ],
    ['of more than 32 KiB', (_, response) => response.writeHead(200, json).end(' '.repeat(33_000))],
    ['that is elsewhere', (_, response) => response.writeHead(302, { location: '/honest' }).end()],
    ['that is not there', (_, response) => response.writeHead(404).end()],
    ['that is empty by its status', (_, response) => response.writeHead(204).end()],
  ])('%s', async (_, answer) => {
    documents.honest('/honest');
    expect(await check(documents.on('/refused', answer))).toMatchObject({ code: 'metadata_refused' });
    expect(documents.asked.get('/refused')).toBe(1);
    expect(documents.asked.has('/honest')).toBe(false);
  });

  it.each([[{ client_secret: 's' }], [{ token_endpoint_auth_method: 'client_secret_basic' }]])(
    'with a shared secret: %j',
    async (more) => {
      expect(await check(documents.honest('/secret', more))).toMatchObject({ code: 'metadata_refused' });
    },
  );
});

describe('a document can not be had', () => {
  const within = 300;

  it('from a server that never ends, or never begins', async () => {
    const endless = documents.on('/endless', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    await expect(fetchMetadata(endless, rules, within)).rejects.toThrow(Unavailable);
    await expect(
      fetchMetadata(
        documents.on('/silent', () => undefined),
        rules,
        within,
      ),
    ).rejects.toThrow(Unavailable);
  });

  it.each([500, 502, 503, 429])('for now: %i', async (status) => {
    const url = documents.on('/later', (_, response) => response.writeHead(status).end());
    await expect(check(url)).rejects.toThrow(Unavailable);
  });

  it('where the connection breaks, nobody listens, or nobody vouches for the server', async () => {
    const broken = documents.on('/broken', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{');
      response.socket!.destroy();
    });
    await expect(check(broken)).rejects.toThrow(Unavailable);
    await expect(fetchMetadata('https://localhost:1/client', rules)).rejects.toThrow(Unavailable);
    const url = documents.honest('/honest');
    await expect(fetchMetadata(url, { ...rules, ca: undefined })).rejects.toThrow(Unavailable);
    expect(documents.asked.has('/honest')).toBe(false);
  });

  it('while eight others are asked for', async () => {
    const hanging: (() => void)[] = [];
    const urls = Array.from({ length: 8 }, (_, i) =>
      documents.on(`/hang/${i}`, (_request, response) => hanging.push(() => response.writeHead(404).end())),
    );
    const asked = urls.map((url) => check(url));
    await expect.poll(() => hanging.length).toBe(8);
    await expect(check(documents.honest('/honest'))).rejects.toThrow(Busy);
    expect(await check('ci')).toEqual({ method: 'allow_list' });
    for (const end of hanging) end();
    await Promise.all(asked);
    expect(await check(documents.honest('/honest'))).toEqual({ method: 'metadata_document' });
  });
});

describe('addresses', () => {
  const none = new BlockList();

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    'ff02::1',
    'localhost',
    '',
  ])('%s may not be asked', (address) => expect(mayAsk(address, none)).toBe(false));

  it.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'])('%s may', (address) =>
    expect(mayAsk(address, none)).toBe(true),
  );

  it('a name of this host is not connected to, unless its network is configured', async () => {
    const url = documents.honest('/honest');
    const closed = { ...rules, networks: none };
    expect(await check(url, closed)).toMatchObject({ code: 'address_not_allowed' });
    const { port } = new URL(url);
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:7f00:1]']) {
      const literal = `https://${host}:${port}/honest`;
      expect(await check(literal, { ...closed, documents: ['https://*'] })).toMatchObject({
        code: 'address_not_allowed',
      });
    }
    expect(documents.asked.size).toBe(0);
  });
});

it.each([
  'http://example.com/c',
  'https://example.com',
  'https://user@example.com/c',
  'https://example.com/c#f',
  'https://example.com/a/../c',
  'https://EXAMPLE.com/c',
  'https://example.com:443/c',
  'https://2130706433/c',
  'https://0x7f.1/c',
  'https://example.com/ c',
  'https:/example.com/c',
  'https://',
  'x',
  `https://example.com/${'a'.repeat(2048)}`,
])('%s is no client’s URL', (url) => expect(() => readClientUrl(url)).toThrow());

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { checkToken } from '../../src/protocol/check.js';
import { FACT_BYTES, parseFact } from '../../src/protocol/fact.js';
import { FactTable, type TableHead } from '../../src/protocol/fact-table.js';
import { deriveCanaryKey, deriveKey } from '../../src/protocol/keys.js';
import type { Change, Part } from '../../src/protocol/part.js';
import { RevocationTable } from '../../src/protocol/revocation-table.js';
import { decodeSnapshot, encodeSnapshot } from '../../src/protocol/snapshot.js';
import { STATE_HASH_BYTES } from '../../src/protocol/state-hash.js';
import { keysOfToken, type TokenFacts } from '../../src/protocol/token-keys.js';

/**
 * A small world in which a token names each thing by one of its names, and an order carries all of them. The model knows things, not
 * names: for each token it walks to the things it descends from, and for each of those through the whole history.
 */
const guardKey = Buffer.alloc(32, 1);
const canary = deriveCanaryKey(hasher, guardKey);
const NOW = 1_000;
const SKEW = 3;

type Thing = {
  kind: 'person' | 'agent' | 'grant' | 'session' | 'delegation' | 'client' | 'member';
  n: number;
  group?: number;
};
const nameOf = (thing: Thing): string => `${thing.kind}/${thing.n}/${thing.group ?? ''}`;
const ALIASES = [0, 1, 2];
const aliasOf = (n: number, alias: number): { issuer: string; id: string } => ({
  issuer: `iss${alias}`,
  id: `p${n}.${alias}`,
});
const issuerOf = (n: number): string => (n % 2 === 0 ? 'iss0' : '');

/** Every key that stands for a thing. */
function keysOfThing(thing: Thing): Uint8Array {
  const derive = (...parts: Parameters<typeof deriveKey> extends [unknown, unknown, ...infer R] ? R : never) =>
    deriveKey(hasher, guardKey, ...parts);
  const names = ALIASES.map((alias) => aliasOf(thing.n, alias));
  if (thing.kind === 'person') return Buffer.concat(names.map(({ issuer, id }) => derive('principal', issuer, id)));
  if (thing.kind === 'member') {
    return Buffer.concat(names.map(({ issuer, id }) => derive('membership', issuer, id, `g${thing.group}`)));
  }
  const scoped = thing.kind === 'agent' || thing.kind === 'delegation' ? '' : issuerOf(thing.n);
  return derive(thing.kind, scoped, `${thing.kind}${thing.n}`);
}

const few = fc.nat(2);
const thing: fc.Arbitrary<Thing> = fc.oneof(
  fc.record({ kind: fc.constantFrom('person', 'agent', 'grant', 'session', 'delegation', 'client'), n: few }),
  fc.record({ kind: fc.constant('member' as const), n: few, group: fc.nat(1) }),
);
interface Token {
  facts: TokenFacts;
  things: Thing[];
}
const token: fc.Arbitrary<Token> = fc
  .record({
    person: fc.option(few),
    alias: fc.constantFrom(...ALIASES),
    claim: fc.boolean(),
    groups: fc.uniqueArray(fc.nat(1)),
    agents: fc.uniqueArray(few, { maxLength: 2 }),
    grants: fc.uniqueArray(few, { maxLength: 2 }),
    delegations: fc.uniqueArray(few, { maxLength: 2 }),
    session: fc.option(few),
    client: fc.option(few),
    issuedAtUs: fc.option(fc.integer({ min: 0, max: NOW + 10 }), { nil: undefined }),
  })
  .map((t) => {
    const name = t.person === null ? undefined : aliasOf(t.person, t.alias);
    const one = (kind: Thing['kind'], n: number | null): Thing[] => (n === null ? [] : [{ kind, n }]);
    return {
      facts: {
        issuer: t.claim && name ? name.issuer : 'iss0',
        subject: t.claim ? name?.id : undefined,
        subjects: t.claim || !name ? undefined : [name],
        sessionId: t.session === null ? undefined : `session${t.session}`,
        clientId: t.client === null ? undefined : `client${t.client}`,
        agents: t.agents.map((n) => `agent${n}`),
        grants: t.grants.map((n) => `grant${n}`),
        delegations: t.delegations.map((n) => `delegation${n}`),
        groups: t.groups.map((n) => `g${n}`),
        issuedAtUs: t.issuedAtUs,
      },
      things: [
        ...one('person', t.person),
        ...(t.person === null ? [] : t.groups.map((group) => ({ kind: 'member' as const, n: t.person!, group }))),
        // What is named by its issuer is another thing than what another issuer names so.
        ...[
          ...one('session', t.session),
          ...one('client', t.client),
          ...t.grants.map((n) => one('grant', n)[0]!),
        ].filter((at) => issuerOf(at.n) === '' || !(t.claim && name) || name.issuer === 'iss0'),
        ...t.agents.map((n) => one('agent', n)[0]!),
        ...t.delegations.map((n) => one('delegation', n)[0]!),
      ],
    };
  });

type Verb = { change: 'block' | 'lift' | 'cutoff' | 'expire'; thing: Thing; order: number; atUs: number };
const verb = (changes: Verb['change'][]): fc.Arbitrary<Verb> =>
  fc.record({ change: fc.constantFrom(...changes), thing, order: fc.nat(3), atUs: fc.nat(NOW) });
const orderName = (n: number): string => String(n).padStart(32, '0');
const changeOf = ({ change, thing, order, atUs }: Verb): Change => {
  const keys = keysOfThing(thing);
  switch (change) {
    case 'block':
      return { change, order: orderName(order), keys };
    case 'lift':
      return { change, order: orderName(order), atUs, keys };
    case 'cutoff':
      return { change, atUs, keys };
    case 'expire':
      return { change, keys };
  }
};

interface Entry {
  term: number;
  /** Undefined: only the term. */
  verbs: Verb[] | undefined;
  /** Delivered once more right away, and what came `again` entries before it as well. */
  again: number;
}
const entries = fc.array(
  fc.record({
    // Terms mostly rise, with a zombie's in between.
    term: fc.nat(3),
    verbs: fc.option(fc.array(verb(['block', 'block', 'lift', 'cutoff', 'expire']), { maxLength: 4 }), {
      nil: undefined,
    }),
    again: fc.nat(4),
  }),
  { maxLength: 25 },
);
const partOf = (entry: Entry, i: number): Part => ({ term: termOf(entry, i), changes: entry.verbs?.map(changeOf) });
const termOf = (entry: Entry, i: number): bigint => BigInt(Math.max(0, Math.floor(i / 4) + entry.term - 2));

/** Walks through all that counted, for one thing. */
function walk(history: Verb[], at: Thing): { orders: number[]; cutoffUs: number | undefined } {
  let orders: number[] = [];
  let cutoffUs: number | undefined;
  for (const { change, thing, order, atUs } of history) {
    if (nameOf(thing) !== nameOf(at)) continue;
    const isOpen = orders.includes(order);
    if (change === 'block' && !isOpen) orders.push(order);
    if (change === 'lift' && isOpen) orders = orders.filter((one) => one !== order);
    if ((change === 'lift' && isOpen) || change === 'cutoff') cutoffUs = Math.max(cutoffUs ?? atUs, atUs);
    if (change === 'expire') [orders, cutoffUs] = [[], undefined];
  }
  return { orders, cutoffUs };
}

function naiveVerdict(history: Verb[], { things, facts }: Token): string {
  const found = things.map((at) => walk(history, at));
  if (found.some(({ orders }) => orders.length > 0)) return 'blocked';
  const iat = facts.issuedAtUs;
  for (const { cutoffUs } of found) {
    if (cutoffUs === undefined) continue;
    if (iat === undefined) return 'no_issue_time';
    if (iat <= cutoffUs + SKEW) return 'cutoff';
  }
  return iat !== undefined && iat > NOW + SKEW ? 'issued_in_future' : 'not revoked';
}

function verdict(table: RevocationTable | FactTable, { facts }: Token): string {
  const found = checkToken(table, keysOfToken(hasher, guardKey, facts), facts.issuedAtUs, NOW, SKEW);
  return found.revoked ? found.reason : 'not revoked';
}

/** The head of a list of changes, by its definition. */
function naiveHead(changes: Uint8Array[]): TableHead {
  const sha = (...bytes: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(bytes)).digest();
  let chainHash: Buffer = Buffer.alloc(32);
  const present = new Map<string, Uint8Array>();
  for (const change of changes) {
    chainHash = sha(chainHash, change);
    const key = formatHex(change.subarray(0, 16));
    if (change[16] === 0) present.delete(key);
    else present.set(key, change);
  }
  let sum = 0n;
  for (const fact of present.values()) sum += BigInt(`0x${sha(fact).toString('hex')}`);
  const stateHash = Buffer.from((sum % (1n << 256n)).toString(16).padStart(64, '0'), 'hex');
  return { seq: changes.length, chainHash, stateHash };
}
const plain = ({ seq, chainHash, stateHash }: TableHead) => [seq, formatHex(chainHash), formatHex(stateHash)];

describe('RevocationTable against a walk through graph and history', () => {
  it('gives every token the same verdict after every record, with zombies and redelivery; guards and snapshots agree', () => {
    fc.assert(
      fc.property(entries, fc.array(token, { minLength: 1, maxLength: 12 }), fc.nat(25), (log, tokens, cut) => {
        const table = new RevocationTable(hasher, canary);
        let guard = new FactTable(hasher);
        const history: Verb[] = [];
        const changes: Uint8Array[] = [];
        let term = 0n;
        let parts = 0;
        log.forEach((entry, i) => {
          const part = partOf(entry, i);
          const applied = table.apply(BigInt(i), part);
          expect(applied === undefined).toBe(part.term < term);
          if (part.term >= term) {
            term = part.term;
            history.push(...(entry.verbs ?? []));
            if (entry.verbs !== undefined) parts++;
          }
          for (let at = 0; at < (applied?.facts.length ?? 0); at += FACT_BYTES) {
            const fact = parseFact(applied!.facts, at)!;
            changes.push(applied!.facts.subarray(at, at + FACT_BYTES));
            expect(guard.put(fact.key, 0, fact.blocked, fact.cutoffUs)).toEqual(changes.at(-1));
            const hash = (at / FACT_BYTES) * STATE_HASH_BYTES;
            expect(guard.stateHash()).toEqual(applied!.stateHashes.subarray(hash, hash + STATE_HASH_BYTES));
          }
          for (let back = Math.max(0, i - entry.again); back <= i; back++) {
            expect(table.apply(BigInt(back), partOf(log[back]!, back))).toBeUndefined();
          }
          if (i === cut) guard = decodeSnapshot(hasher, encodeSnapshot(guard));
          for (const one of tokens) expect(verdict(table, one)).toBe(naiveVerdict(history, one));
        });
        for (const one of tokens) expect(verdict(guard, one)).toBe(naiveVerdict(history, one));
        expect(plain(table.head())).toEqual(plain(naiveHead(changes)));
        expect(plain(guard.head())).toEqual(plain(table.head()));
        expect([table.term, table.parts, table.seq]).toEqual([term, parts, changes.length]);
        expect([...guard.facts()]).toEqual([...table.facts.facts()]);
      }),
      { numRuns: 300 },
    );
  });

  it('names an order that is open, and the change that made it so', () => {
    fc.assert(
      fc.property(entries, fc.array(thing, { maxLength: 8 }), (log, things) => {
        const table = new RevocationTable(hasher, canary);
        const history: Verb[] = [];
        let facts = new Uint8Array(0);
        log.forEach((entry, i) => {
          const applied = table.apply(BigInt(i), partOf(entry, i));
          if (applied === undefined) return;
          history.push(...(entry.verbs ?? []));
          facts = Buffer.concat([facts, applied.facts]);
        });
        for (const one of things) {
          const { orders } = walk(history, one);
          const key = keysOfThing(one).subarray(0, 16);
          expect(table.orders.of(key)).toEqual(orders.map(orderName));
          const found = checkToken(table, [key], NOW, NOW, SKEW);
          if (orders.length === 0) continue;
          expect(found).toMatchObject({ revoked: true, reason: 'blocked', order: orderName(orders[0]!) });
          const seq = found.revoked ? found.seq : 0;
          expect(formatHex(facts.subarray((seq - 1) * FACT_BYTES, (seq - 1) * FACT_BYTES + 16))).toBe(formatHex(key));
        }
        const open = [...table.orders.entries()].map(({ key }) => formatHex(key));
        expect(open).toEqual(
          [...table.facts.facts()].filter((fact) => fact.blocked).map((fact) => formatHex(fact.key)),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('ends in the same facts, however the parts of different orders interleave and however orders are cut into parts', () => {
    const perOrder = fc.array(fc.array(verb(['block', 'lift', 'cutoff']), { maxLength: 8 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(perOrder, fc.infiniteStream(fc.nat(7)), fc.infiniteStream(fc.nat(7)), (orders, one, other) => {
        const queues = orders.map((verbs, order) => verbs.map((verb) => changeOf({ ...verb, order })));
        const ends = [one, other].map((choices) => {
          const table = new RevocationTable(hasher, canary);
          const left = queues.map((queue) => [...queue]);
          let index = 0n;
          while (left.some((queue) => queue.length > 0)) {
            const queue = left[choices.next().value % left.length]!;
            const changes = queue.splice(0, 1 + (choices.next().value % 3));
            if (changes.length > 0) table.apply(index++, { term: 1n, changes });
          }
          const facts = [...table.facts.facts()].filter(({ key }) => formatHex(key) !== formatHex(canary));
          const open = [...table.orders.entries()].map(({ key, orders }) => ({ key, orders: orders.sort() }));
          return { facts, open };
        });
        expect(ends[0]).toEqual(ends[1]);
      }),
      { numRuns: 200 },
    );
  });
});

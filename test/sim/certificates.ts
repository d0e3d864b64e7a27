/**
 * Certificates are true: the certificate of each closed case is made as the server makes it, read by the verifier, and then each word of
 * it is held against what really happened, which nobody who made it could look at.
 */
import type { CertifiedToken, Certificate } from '../../src/protocol/certificate.js';
import type { KeyType } from '../../src/protocol/keys.js';
import {
  certify,
  entriesSpokenOf,
  followingIn,
  instanceNamesIn,
  instancesIn,
  LastUse,
  stateCase,
} from '../../src/revocation/cases/statement.js';
import { verifyCertificate } from '../../src/verify/verify-certificate.js';
import { allowedBefore, type Happened, type Life } from './happened.js';
import { ledgerSigner, logOf, trusted, type ModelLedger } from './ledger.js';
import { IDP, LEDGER, type Token } from './names.js';
import type { ModelCase } from './store.js';

/** A case that was closed just now. */
export interface ClosedCase {
  readonly one: ModelCase;
  readonly result: string;
  /** Its entry, in activity. */
  readonly index: number;
  /** When who closed it read what it went by. */
  readonly lookedUs: number;
  readonly closedUs: number;
  /** Names of what was ordered. */
  readonly names: readonly string[];
  /** Those that hang on it; undefined: nobody can tell. */
  readonly tokens: readonly Token[] | undefined;
  /** Decisions that can be searched through. */
  readonly searched: number;
}

export class Certificates {
  count = 0;

  constructor(
    private readonly ledger: ModelLedger,
    private readonly happened: Happened,
    private readonly joinedAt: (instance: string) => number | undefined,
  ) {}

  /** What is wrong with the certificate of a case; undefined: nothing. @throws KeelsonError none can be made of what is recorded */
  check(closed: ClosedCase): string | undefined {
    this.count++;
    const bytes = this.#make(closed);
    const { certificate, findings } = verifyCertificate(trusted, bytes);
    if (findings.length > 0) return `its own verifier finds ${findings[0]!.code}: ${findings[0]!.message}`;
    return [...new Falsehoods(certificate, closed, this.happened)][0];
  }

  #make({ one, result, index, tokens, searched }: ClosedCase): Uint8Array {
    const { ledger } = this;
    const { cause, last } = one.records;
    const row = {
      ...{ order: one.order, seq: one.seq, contradictions: [] },
      closed: { result, log: logOf('activity'), index: BigInt(index), appendedUs: 0, doc: {} },
    };
    const entry = ledger.entry({ log: row.closed.log, index });
    const from = cause.index + 1;
    const joined = instanceNamesIn(entry).flatMap((name) => {
      const at = this.joinedAt(name);
      return at === undefined ? [] : [[name, at] as const];
    });
    const statement = stateCase({
      row,
      cause,
      records: followingIn(ledger.entries('lifecycle', from, last + 1), BigInt(from), cause).map(({ index }) => index),
      instances: instancesIn(entry, new Map(joined)),
      tokens: tokens && {
        count: tokens.length,
        shown: tokens.map((token) => this.#show(token, searched)),
        asOf: [{ log: logOf('decisions'), size: searched }],
      },
    });
    const logs = entriesSpokenOf(statement).map((one) => ledger.prove(one));
    return certify(ledgerSigner, trusted, { ...statement, ledger: LEDGER, issuedAt: '2026-11-28T08:00:00Z', logs });
  }

  #show({ facts }: Token, searched: number): CertifiedToken {
    const [issuer, token] = [facts.issuer!, facts.jti!];
    const last = new LastUse(issuer, token);
    for (const index of this.#search(token, searched)) {
      const ref = { log: logOf('decisions'), index };
      if (last.offer(ref, this.ledger.entry(ref))) break;
    }
    return { issuer, token, ...(last.found && { use: last.found }) };
  }

  /** Decisions that let a token of this name do something, of whichever issuer, newest first. */
  #search(jti: string, searched: number): number[] {
    return [...this.happened.uses]
      .flatMap(([name, uses]) => (name.endsWith(`\n${jti}`) ? uses.map(({ index }) => index) : []))
      .filter((index) => index < searched)
      .sort((a, b) => b - a);
  }
}

/** What a certificate says that is not so. */
class Falsehoods implements Iterable<string> {
  readonly #said: Certificate['says'];

  constructor(
    private readonly certificate: Certificate,
    private readonly closed: ClosedCase,
    private readonly happened: Happened,
  ) {
    this.#said = certificate.says;
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    const { one } = this.closed;
    const seq = this.happened.seqs.get(one.cause);
    if (this.certificate.seq !== seq) yield `it says ${this.certificate.seq}, and the order is complete at ${seq}`;
    yield* this.#ofNames();
    for (const [instance, life] of this.happened.lives) yield* this.#ofInstance(instance, life);
    yield* this.#ofResult();
    yield* this.#ofUses();
  }

  *#ofNames(): Generator<string> {
    const names = this.certificate.instances.map(({ instance }) => instance);
    if (new Set(names).size < names.length) yield 'an instance stands in it twice';
    const unknown = names.find((name) => !this.happened.lives.has(name));
    if (unknown !== undefined) yield `${unknown} never joined`;
    const { attested, fenced } = this.#said;
    const count = (...statuses: string[]): number =>
      this.certificate.instances.filter(({ status }) => statuses.includes(status)).length;
    if (attested.length !== count('acked', 'partial', 'contradicting')) yield 'it has other words of acks than acks';
    if (fenced.length !== count('fenced')) yield 'it has other words of fences than fences';
    const keys = [...this.#said.proved.join('\n').matchAll(/^(?:ordered|extended) (\d+) key/gm)];
    const counted = keys.reduce((sum, [, many]) => sum + Number(many), 0);
    if (counted !== this.closed.names.length) yield `${counted} keys are ordered, not ${this.closed.names.length}`;
  }

  *#ofInstance(instance: string, life: Life): Generator<string> {
    const { one, lookedUs } = this.closed;
    const status = this.certificate.instances.find((other) => other.instance === instance)?.status;
    const hadTable = life.readable.some(({ seq, sinceUs }) => seq >= one.seq && sinceUs < lookedUs);
    /** By a table without the order, after it was committed. */
    const allowedUs = allowedBefore(life, one.seq);
    const wasLeased = allowedUs > one.committedUs;
    const is = `${instance} is said to be ${status ?? 'nobody'}`;
    switch (status) {
      case 'acked':
      case 'partial':
        yield* this.#ofAck(instance, life, status);
        return;
      case 'contradicting':
        if (!life.hasLied) yield `${is}, and never lied`;
        return;
      case 'fenced':
      case 'unfenced':
        if (hadTable) yield `${is}, and has attested it`;
        if (allowedUs > this.closed.closedUs - 1) yield `${is}, and allows by an older table`;
        if ((status === 'unfenced') !== life.failOpen.length > 0)
          yield `${is}, and fails open: ${life.failOpen.join()}`;
        if (status === 'fenced') yield* this.#ofFence(instance);
        return;
      case 'absent':
        if (hadTable) yield `${is}, and has attested it`;
        if (wasLeased) yield `${is}, and had a lease ${(allowedUs - one.committedUs) / 1e6} s after the order`;
        if (life.failOpen.length > 0) yield `${is}, and fails open: ${life.failOpen.join()}`;
        if (!this.#said.stated.some((line) => line.includes(`${instance}: absent`))) yield `${is}, without a word`;
        return;
      case undefined:
        if (life.joined > one.joinedBefore) return;
        if (life.retired === undefined || (life.retired === 'silent' && life.failOpen.length > 0))
          yield `${is}, and joined before the order`;
        if (wasLeased) yield `${is}, and had a lease ${(allowedUs - one.committedUs) / 1e6} s after the order`;
        return;
      default:
        yield is;
    }
  }

  *#ofAck(instance: string, { attested, keyTypes }: Life, status: string): Generator<string> {
    const { one } = this.closed;
    const line = this.#said.attested.find((other) => other.includes(instance)) ?? '';
    const [, seq, time] = /up to change (\d+)[,;].*?(\d{4}-[^ ]+Z) by its clock/.exec(line) ?? [];
    const ack = attested.find((other) => other.seq === Number(seq));
    if (ack === undefined || ack.seq < one.seq) yield `${instance} is said to enforce ${seq}, and never attested that`;
    else if (!attested.some((other) => other.seq === ack.seq && Math.abs(other.atUs - Date.parse(time!) * 1e3) < 1e3))
      yield `${instance} is said to have attested ${seq} at ${time}`;
    const lacks = typesOf(this.closed.names).filter((type) => !keyTypes.includes(type));
    if ((status === 'partial') !== lacks.length > 0)
      yield `${instance} is said to be ${status}, and lacks ${lacks.join()}`;
    if (lacks.length > 0 !== line.includes('BUT can find no ')) yield `${instance} lacks ${lacks.join()}: ${line}`;
  }

  *#ofFence(instance: string): Generator<string> {
    const { one, closedUs } = this.closed;
    const line = this.#said.fenced.find((other) => other.includes(instance)) ?? '';
    const seconds = Number(/closed ([0-9.]+) s after/.exec(line)?.[1]);
    const wasS = (closedUs - one.committedUs) / 1e6;
    if (!(Math.abs(seconds - wasS) < 0.06 && wasS >= 60.6)) yield `${instance} is fenced after ${wasS} s: ${line}`;
  }

  *#ofResult(): Generator<string> {
    const { result, instances } = this.certificate;
    const statuses = new Set(instances.map(({ status }) => status));
    const isSure = [...statuses].every((status) => ['acked', 'fenced', 'absent'].includes(status)) && statuses.size > 0;
    const isEnforced = statuses.has('acked') && !statuses.has('fenced');
    const { signalled } = this.closed.one;
    const is = isSure && signalled.length === 0 ? (isEnforced ? 'enforced' : 'fenced') : 'incomplete';
    if (result !== is) yield `it is said to be ${result}, and is ${is}: ${[...statuses].join()}`;
    if (result !== this.closed.result) yield `it was closed as ${this.closed.result}`;
    const notProven = this.#said.stated.filter((line) => line.startsWith('not proven: '));
    const isTold = notProven.includes('not proven: signalled_only crm');
    if (isTold !== signalled.length > 0) yield `signalled: ${signalled.join()}, and not proven: ${notProven.join()}`;
    if ((result === 'incomplete') !== notProven.length > 0) yield `${result}, and not proven: ${notProven.join()}`;
  }

  *#ofUses(): Generator<string> {
    const { one, tokens, searched } = this.closed;
    const shown = this.certificate.tokens?.shown;
    const names = (some: readonly (string | undefined)[] | undefined): string => [...(some ?? ['?'])].sort().join();
    const concerned = tokens?.map(({ facts }) => facts.jti);
    if (names(shown?.map(({ token }) => token)) !== names(concerned))
      yield `it names other tokens than ${names(concerned)}`;
    for (const { issuer, token, use } of shown ?? []) {
      const last = this.happened.lastUse(issuer, token, searched);
      if (issuer !== IDP || use?.index !== last?.index)
        yield `${token} was used last by ${last?.index}, not ${use?.index}`;
      const line = this.#said.proved.find((other) => other.startsWith(`token ${token} of ${issuer}: a use`));
      if ((line === undefined) !== (last === undefined)) yield `${token}: ${line}`;
      if (last === undefined || line === undefined) continue;
      const { agent, tool, atUs } = last;
      if (!line.includes(` by ${agent}${tool === undefined ? '' : ` of ${tool}`}`)) yield `not by ${agent}: ${line}`;
      if (atUs > one.committedUs !== line.includes('RECORDED AFTER THE ORDER')) yield `at another time: ${line}`;
    }
    const unused = shown?.filter(({ use }) => use === undefined).length ?? 0;
    const unusedLine = this.#said.stated.find((line) => line.includes('no recorded use at all'));
    if (unused > 0 && unusedLine?.startsWith(`${unused} of these`) !== true)
      yield `${unused} are not used: ${unusedLine}`;
  }
}

const typesOf = (names: readonly string[]): KeyType[] => [
  ...new Set(names.map((name) => name.split('/')[0] as KeyType)),
];

/**
 * A certificate in words. They follow from what is proved and from nothing else, so a certificate can't say more.
 * They are part of the format: a verifier makes them anew, so other words are another format.
 */
import type { Certificate, Says } from '../../protocol/certificate.js';
import { STATUSES, type ProvedCase } from './closed.js';
import { objectOf, refOf, textOf } from './body.js';
import type { KeyType } from '../../protocol/keys.js';
import { nameOf, type ProvedEntry } from './entries.js';
import { LEASE_GONE_US, type ProvedInstance } from './instances.js';
import type { Gap, ProvedOrder } from './order.js';
import type { ProvedUse } from './uses.js';

export interface Proved {
  readonly order: ProvedOrder;
  readonly closed: ProvedCase;
  readonly instances: readonly ProvedInstance[];
  readonly uses: readonly ProvedUse[];
  /** Entries of the log of the order that its checkpoint covers. */
  readonly lifecycleSize: bigint;
}

/** What of a key's type a mapping has to find. */
const MAPPED: Readonly<Record<string, KeyType>> = { agent_held: 'agent', client_held: 'client' };

export const sayCertificate = (certificate: Omit<Certificate, 'says'>, proved: Proved): Says => ({
  proved: sayProved(proved),
  attested: proved.instances.flatMap((one) => sayAttested(one, proved.order)),
  fenced: proved.instances.filter(({ status }) => status === 'fenced').map((one) => sayFenced(one, proved)),
  stated: sayStated(certificate, proved),
});

function sayProved({ order, closed, uses }: Proved): string[] {
  const { cause, records, gaps } = order;
  return [
    `cause: ${cause.envelope.type} of ${cause.envelope.producer}; ${at(cause)}`,
    ...records.map((record) => {
      const what = record.envelope.type.slice('revocation.'.length);
      return `${what}${record.keys > 0 ? ` ${count(record.keys, 'key')}` : ''}; ${at(record)}`;
    }),
    ...gaps.map((gap) => `the order says that it is incomplete: ${sayGap(gap)}`),
    `case closed, ${textOf(closed.body, 'result')}; ${at(closed)}`,
    ...closed.reopened.map((record) => {
      const { log, index } = refOf(objectOf(record.body, 'decision')!)!;
      return `REOPENED: a decision that the order forbids, ${nameOf({ log, index })}; ${at(record)}`;
    }),
    ...uses.map((use) => sayUse(use, order)),
  ];
}

function sayAttested({ instance, point, status, attested }: ProvedInstance, { keyTypes }: ProvedOrder): string[] {
  if (attested === undefined) return [];
  const { ack } = attested;
  const lacks = [...keyTypes].filter(
    (type) => type !== 'key' && !ack.keyTypes.includes(MAPPED[type] ?? (type as KeyType)),
  );
  const but = [
    ...(lacks.length === 0 ? [] : [`can find no ${lacks.join(', ')} in tokens`]),
    ...(status === 'contradicting' ? ['its table is another than Keelson’s'] : []),
  ];
  const what = `enforces the table up to change ${ack.seq}${but.length === 0 ? '' : `, BUT ${but.join(', and ')}`}`;
  return [`${point} ${instance}: ${what}; ${time(ack.atUs)} by its clock, ${at(attested)}`];
}

function sayFenced({ instance, point }: ProvedInstance, { order, closed }: Proved): string {
  const waitedS = ((closed.appendedUs - order.lastPart.appendedUs) / 1e6).toFixed(1);
  return `${point} ${instance}: has not attested it, and has no lease from before: the case was closed ${waitedS} s after the last part`;
}

function sayUse({ issuer, token, used }: ProvedUse, { lastPart }: ProvedOrder): string {
  const [agent, tool] = [textOf(used.body, 'agent'), textOf(used.body, 'tool')];
  const late = used.appendedUs > lastPart.appendedUs ? ' RECORDED AFTER THE ORDER' : '';
  const by = `${agent === '' ? '' : ` by ${agent}`}${tool === '' ? '' : ` of ${tool}`}`;
  return `token ${token}${issuer === '' ? '' : ` of ${issuer}`}: a use${by}${late}; ${at(used)}`;
}

function sayStated(certificate: Omit<Certificate, 'says'>, { order, closed, lifecycleSize }: Proved): string[] {
  const { seq, instances } = certificate;
  const shown = (status: string): number => instances.filter((one) => one.status === status).length;
  const ownGaps = closed.gaps.filter((gap) => !order.gaps.some((one) => sayGap(one) === sayGap(gap)));
  const absent = instances.filter(({ status }) => status === 'absent');
  return [
    `who is at change ${seq} of the table, or later, enforces the whole order`,
    `no other instance was to be waited for (${order.lastPart.log} up to ${lifecycleSize})`,
    ...absent.map(({ instance, point }) => `${point} ${instance}: absent, it had no lease when the order was given`),
    ...STATUSES.flatMap((status) => sayLeft(status, closed.counts[status] - shown(status))),
    ...(closed.countsAll ? [] : ['instances of further points are neither named nor counted']),
    ...ownGaps.map((gap) => `not proven: ${sayGap(gap)}`),
    ...sayTokens(certificate),
    ...sayWatched(certificate),
    'times are the event log’s, where no other clock is named',
    ...(closed.counts.fenced === 0
      ? []
      : [
          `fences hold where clocks are at most 1 % off and no machine was stopped with all its clocks; a lease is ${LEASE_GONE_US / 1e6} s old at most`,
        ]),
  ];
}

function sayTokens({ tokens }: Pick<Certificate, 'tokens'>): string[] {
  if (tokens === undefined) return ['which tokens are concerned is not known'];
  const { count: all, shown, asOf } = tokens;
  if (all === 0) return ['no token that lived then is known'];
  const unused = shown.filter(({ use }) => use === undefined).length;
  const positions = asOf.map(({ log, size }) => `${log} up to ${size}`).join(', ');
  return [
    `tokens concerned that lived then, as far as they are known: ${all}, of which ${shown.length} named here`,
    ...(shown.length === 0 ? [] : [`no later use of these is recorded (${positions})`]),
    ...(unused === 0 ? [] : [`${unused} of these ${unused === 1 ? 'has' : 'have'} no recorded use at all`]),
  ];
}

function sayWatched({ watched, reopened }: Pick<Certificate, 'watched' | 'reopened'>): string[] {
  if (watched === undefined) return [];
  const positions = watched.map(({ log, from, size }) => `${log} from ${from} up to ${size}`).join(', ');
  // Whoever made one may have made more like it: they are not written down (docs/revocation.md).
  const found =
    reopened.length === 0
      ? 'no decision that the order forbids was found'
      : 'of each who was found to allow what the order forbids one decision is named, 100 at most';
  return [`${found} (${positions})`];
}

const sayLeft = (status: string, many: number): string[] =>
  many === 0 ? [] : [`${count(many, 'more instance')} ${many === 1 ? 'is' : 'are'} ${status}: counted only`];

function sayGap({ reason, issuer, count: many, point, instance, entry }: Gap): string {
  const about = [issuer, point, instance, entry === undefined ? '' : nameOf(entry)].filter((one) => one !== '');
  return `${[reason, ...about].join(' ')}${many === undefined ? '' : ` (${many})`}`;
}

const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`;

const at = (entry: ProvedEntry): string => `${nameOf(entry)}, ${time(entry.appendedUs)}`;

/** RFC 3339, to the microsecond where there are any. */
function time(us: number): string {
  const date = new Date(Math.floor(us / 1000));
  if (Number.isNaN(date.getTime())) return `${us} µs`;
  const micros = String(us % 1e6).padStart(6, '0');
  return `${date.toISOString().slice(0, 19)}.${micros.endsWith('000') ? micros.slice(0, 3) : micros}Z`;
}

/**
 * What a schema's records look like to `Skimmer`: a tree that says how to step over each value, and which few to keep. It is made from
 * the schema's text, so that a schema learned from a log is read, too.
 */
import { canonicalForm, type AvroSchema } from '../events/fingerprint.js';
import { VALUE } from './record-facts.js';

/** How a value is read (Avro 1.12, "Binary Encoding"). */
export const READ = {
  /** `size` bytes. */
  fixed: 0,
  /** An integer of variable length. */
  long: 1,
  /** A length, and as many bytes. */
  bytes: 2,
  enum: 3,
  record: 4,
  union: 5,
  array: 6,
  double: 7,
  time: 8,
} as const;

/** What becomes of a value beside being stepped over: a place in `RecordFacts.values`, or one of these. */
export const KEEP = { nothing: -1, hop: -2, bundle: -3, person: -4, risk: -5, occurredAt: -6 } as const;

export interface Shape {
  readonly read: number;
  readonly keep: number;
  /** Bytes of a value, where all values have as many; else −1. */
  size: number;
  /** Of a record its fields, of a union its branches, of an array its items. */
  readonly parts: Shape[];
  readonly symbols: readonly Buffer[];
}

/** What `searchFacts` reads, by where it stands. Items of an array are `*`; a union is not seen. */
const KEPT: ReadonlyMap<string, number> = new Map([
  ['/id', VALUE.event],
  ['/type', VALUE.type],
  ['/occurred_at', KEEP.occurredAt],
  ['/producer', VALUE.producer],
  ['/persons/*/subject', KEEP.person],
  ['/body/sender', VALUE.sender],
  ['/body/agent', VALUE.agent],
  ['/body/from_agent', VALUE.fromAgent],
  ['/body/to_agent', VALUE.toAgent],
  ['/body/delegation_chain/*/agent', KEEP.hop],
  ['/body/tool', VALUE.tool],
  ['/body/decision', VALUE.decision],
  ['/body/context/environment', VALUE.contextEnvironment],
  ['/body/environment', VALUE.environment],
  ['/body/policy_version', VALUE.policyVersion],
  ['/body/policy/revision', VALUE.policyRevision],
  ['/body/policy/bundles/*/revision', KEEP.bundle],
  ['/body/context/session_id', VALUE.contextSession],
  ['/body/session_id', VALUE.session],
  ['/body/user_context/sso_session', VALUE.ssoSession],
  ['/body/purpose/task_id', VALUE.purposeTask],
  ['/body/task_id', VALUE.task],
  ['/body/token/jti', VALUE.jti],
  ['/body/token/digest', VALUE.digest],
  ['/body/context/risk_score', KEEP.risk],
]);
/** Where something kept may still follow. */
const ON_THE_WAY = new Set(
  [...KEPT.keys()].flatMap((path) => [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index))),
);

type Canonical =
  | string
  | readonly Canonical[]
  | {
      readonly type: string;
      readonly name: string;
      readonly fields: readonly { readonly name: string; readonly type: Canonical }[];
      readonly symbols: readonly string[];
      readonly items: Canonical;
      readonly size: number;
    };

/** The shape of a schema's records, from the text of the schema. A text that is not Avro is a broken invariant: it was compiled. */
export function compileShape(text: string): Shape {
  const whole = JSON.parse(canonicalForm(JSON.parse(text) as AvroSchema)) as Canonical;
  const compiler = new Compiler();
  compiler.define(whole);
  return compiler.compile(whole, '');
}

class Compiler {
  readonly #definitions = new Map<string, Canonical>();
  /** Named types nothing of which is kept: once each, so that a type may hold itself. */
  readonly #plain = new Map<string, Shape>();

  define(avro: Canonical): void {
    if (typeof avro === 'string') return;
    if (isUnion(avro)) return avro.forEach((branch) => this.define(branch));
    if (avro.name !== undefined) this.#definitions.set(avro.name, avro);
    if (avro.type === 'array') this.define(avro.items);
    if (avro.type === 'record') for (const { type } of avro.fields) this.define(type);
  }

  compile(avro: Canonical, path: string): Shape {
    if (typeof avro === 'string') {
      const definition = this.#definitions.get(avro);
      return definition === undefined ? primitive(avro, path) : this.compile(definition, path);
    }
    if (isUnion(avro)) {
      const union = shape(READ.union);
      union.parts.push(...avro.map((branch) => this.compile(branch, path)));
      return union;
    }
    switch (avro.type) {
      case 'array': {
        const array = shape(READ.array);
        array.parts.push(this.compile(avro.items, `${path}/*`));
        return array;
      }
      case 'fixed':
        return shape(
          READ.fixed,
          KEPT.get(path) === KEEP.person && avro.size === 16 ? KEEP.person : KEEP.nothing,
          avro.size,
        );
      case 'enum':
        return shape(
          READ.enum,
          keptText(path),
          -1,
          avro.symbols.map((symbol) => Buffer.from(symbol)),
        );
      default:
        return this.#record(avro, path);
    }
  }

  #record(avro: Exclude<Canonical, string | readonly Canonical[]>, path: string): Shape {
    const plain = path !== '' && !ON_THE_WAY.has(path);
    const known = plain ? this.#plain.get(avro.name) : undefined;
    if (known !== undefined) return known;
    const record = shape(READ.record);
    if (plain) this.#plain.set(avro.name, record);
    let size = 0;
    for (const field of avro.fields) {
      const part = this.compile(field.type, plain ? '*' : `${path}/${field.name}`);
      const last = record.parts.at(-1);
      if (part.size >= 0 && size >= 0) size += part.size;
      else size = -1;
      // Neighbours of fixed size that nobody keeps are one step.
      if (last !== undefined && isStep(last) && isStep(part))
        record.parts.splice(-1, 1, shape(READ.fixed, KEEP.nothing, last.size + part.size));
      else record.parts.push(part);
    }
    record.size = record.parts.every(isStep) ? size : -1;
    return record;
  }
}

const isUnion = (avro: Canonical): avro is readonly Canonical[] => Array.isArray(avro);

const isStep = ({ keep, size }: Shape): boolean => keep === KEEP.nothing && size >= 0;

function shape(read: number, keep: number = KEEP.nothing, size = -1, symbols: readonly Buffer[] = []): Shape {
  return { read, keep, size, parts: [], symbols };
}

const SIZES: ReadonlyMap<string, number> = new Map([
  ['null', 0],
  ['boolean', 1],
  ['float', 4],
  ['double', 8],
]);

function primitive(type: string, path: string): Shape {
  const kept = KEPT.get(path);
  if (type === 'double' && kept === KEEP.risk) return shape(READ.double, KEEP.risk);
  if (type === 'long' && kept === KEEP.occurredAt) return shape(READ.time, KEEP.occurredAt);
  if (type === 'string') return shape(READ.bytes, keptText(path));
  if (type === 'bytes') return shape(READ.bytes);
  const size = SIZES.get(type);
  return size === undefined ? shape(READ.long) : shape(READ.fixed, KEEP.nothing, size);
}

/** Only texts are kept where a text is looked for. */
function keptText(path: string): number {
  const kept = KEPT.get(path) ?? KEEP.nothing;
  return kept >= 0 || kept === KEEP.hop || kept === KEEP.bundle ? kept : KEEP.nothing;
}

/**
 * One event of OPA's decision log as a decision. Values move: what a field was found at is taken out of the OPA event, and all
 * that is left of it is kept as the member `opa`, so nothing is stored twice and nothing is lost. `opa_mapping` names where a
 * field came from when that was not the first of its default pointers, so the OPA event can be put together again.
 */
import type { Producer, ProducerConfig } from '../access/producer.js';
import { KeelsonError } from '../core/error.js';
import { isObject, makeObject, type Json, type JsonObject } from '../events/json.js';
import { parsePointer } from '../events/pointer.js';
import { isOfKind, OPA_FIELDS, readDecision, type Field } from './opa-fields.js';

interface Candidate {
  readonly pointer: string;
  /** What the pointers of everything inside it start with. */
  readonly prefix: string;
  readonly tokens: readonly string[];
}

interface MappedField extends Omit<Field, 'pointers'> {
  readonly name: string;
  readonly candidates: readonly Candidate[];
}

interface Found {
  readonly field: MappedField;
  readonly candidate: Candidate;
  readonly value: Json;
}

const DEFAULTS = compileFields({});
const compiled = new WeakMap<ProducerConfig, readonly MappedField[]>();

function fieldsFor({ config }: Producer): readonly MappedField[] {
  const own = config.mappings?.opa;
  if (own === undefined) return DEFAULTS;
  let fields = compiled.get(config);
  if (fields === undefined) compiled.set(config, (fields = compileFields(own)));
  return fields;
}

function compileFields(own: Readonly<Record<string, readonly string[]>>): MappedField[] {
  return Object.entries(OPA_FIELDS).map(([name, { target, kind, pointers }]) => ({
    name,
    target,
    kind,
    candidates: (own[name] ?? pointers).map((pointer) => ({
      pointer,
      prefix: `${pointer}/`,
      tokens: parsePointer(pointer),
    })),
  }));
}

/**
 * The decision in an event of OPA's decision log, which is used up.
 * @throws KeelsonError `unmappable` where there is a result and no allow or deny can be read from it, or a mask hides it.
 */
export function toDecision(opa: JsonObject, producer: Producer): JsonObject {
  const event = makeObject();
  const found: Found[] = [];
  for (const field of fieldsFor(producer)) {
    const hit = findValue(opa, field);
    if (hit !== undefined) found.push(hit);
    if (field.kind === 'decision') requireUnmasked(opa, field, hit?.candidate);
  }
  if (opa.timestamp !== undefined) event.timestamp = opa.timestamp;
  event.type = 'decision.made';
  for (const { field, value } of found) {
    setAt(event, field.target, field.kind === 'decision' ? readDecision(value)! : value);
  }
  if (event.decision === undefined) denyUndefined(opa, event);
  remove(opa, found);
  takeContext(opa, event);
  const mapping = describeMapping(found);
  if (mapping !== undefined) event.opa_mapping = mapping;
  event.opa = opa;
  return event;
}

function findValue(opa: JsonObject, field: MappedField): Found | undefined {
  for (const candidate of field.candidates) {
    const value = valueAt(opa, candidate.tokens);
    if (value !== undefined && isOfKind(value, field.kind)) return { field, candidate, value };
  }
  return undefined;
}

function valueAt(from: Json, tokens: readonly string[]): Json | undefined {
  let value: Json | undefined = from;
  for (const token of tokens) {
    if (isObject(value)) value = value[token];
    else if (Array.isArray(value)) value = /^(0|[1-9]\d{0,6})$/.test(token) ? value[Number(token)] : undefined;
    else return undefined;
  }
  return value;
}

function setAt(event: JsonObject, target: readonly string[], value: Json): void {
  let object = event;
  for (const token of target.slice(0, -1)) {
    const inner = object[token];
    object = isObject(inner) ? inner : (object[token] = makeObject());
  }
  object[target.at(-1)!] = value;
}

/** A result that the mask of OPA took away or overwrote says nothing: neither allow nor "undefined, hence deny". */
function requireUnmasked(opa: JsonObject, field: MappedField, hit: Candidate | undefined): void {
  for (const list of ['erased', 'masked'] as const) {
    const masked = opa[list];
    if (!Array.isArray(masked)) continue;
    for (const { pointer } of hit === undefined ? field.candidates : [hit]) {
      if (masked.some((mask) => typeof mask === 'string' && isWithin(pointer, mask))) {
        throw new KeelsonError('unmappable', `the decision is hidden by OPA's mask`, { pointer: `/${list}` });
      }
    }
  }
}

const isWithin = (pointer: string, outer: string): boolean => pointer === outer || pointer.startsWith(`${outer}/`);

function denyUndefined(opa: JsonObject, event: JsonObject): void {
  if (opa.result !== undefined) {
    throw new KeelsonError('unmappable', 'the result says neither allow nor deny where the mapping looks for it', {
      pointer: '/result',
    });
  }
  event.decision = 'deny';
  event.reason_codes = opa.error === undefined ? ['undefined'] : ['undefined', 'error'];
}

/** Takes what was found out of the OPA event. Elements of arrays, and what lies inside something else that moved, stay. */
function remove(opa: JsonObject, found: readonly Found[]): void {
  const moved = found.filter(({ field }) => field.kind !== 'decision');
  for (const { candidate } of moved) {
    const inside = moved.some(
      ({ candidate: outer }) => outer !== candidate && candidate.pointer.startsWith(outer.prefix),
    );
    const parent = inside ? undefined : objectAt(opa, candidate.tokens.slice(0, -1));
    const name = candidate.tokens.at(-1);
    if (parent !== undefined && name !== undefined) delete parent[name];
  }
}

/** The object at a place that is reached through objects only. */
function objectAt(from: JsonObject, tokens: readonly string[]): JsonObject | undefined {
  let value: Json | undefined = from;
  for (const token of tokens) {
    if (!isObject(value)) return undefined;
    value = value[token];
  }
  return isObject(value) ? value : undefined;
}

/** What OPA itself says around the decision: time, policy, bundles, trace, latency. */
function takeContext(opa: JsonObject, event: JsonObject): void {
  delete opa.timestamp;
  const policy = isObject(event.policy) ? event.policy : makeObject();
  policy.engine = 'opa';
  moveText(opa, 'path', policy, 'path');
  moveText(opa, 'revision', policy, 'revision');
  const bundles = readBundles(opa.bundles);
  if (bundles !== undefined) {
    policy.bundles = bundles;
    delete opa.bundles;
  }
  event.policy = policy;
  const trace = makeObject();
  moveText(opa, 'trace_id', trace, 'trace_id');
  moveText(opa, 'span_id', trace, 'span_id');
  if (Object.keys(trace).length > 0) event.trace = trace;
  const handlerNs = valueAt(opa, ['metrics', 'timer_server_handler_ns']);
  if (typeof handlerNs === 'number' && handlerNs > 0) event.latency_ms = handlerNs / 1e6;
}

function moveText(from: JsonObject, name: string, to: JsonObject, as: string): void {
  const value = from[name];
  if (typeof value !== 'string') return;
  to[as] = value;
  delete from[name];
}

/** `{name: {revision}}` as a list, where there is nothing else in it that would be lost. */
function readBundles(bundles: Json | undefined): JsonObject[] | undefined {
  if (!isObject(bundles)) return undefined;
  const list: JsonObject[] = [];
  for (const [name, bundle] of Object.entries(bundles)) {
    if (!isObject(bundle) || Object.keys(bundle).length > 1) return undefined;
    const entry = makeObject();
    entry.name = name;
    if (bundle.revision !== undefined) {
      if (typeof bundle.revision !== 'string') return undefined;
      entry.revision = bundle.revision;
    } else if (Object.keys(bundle).length > 0) return undefined;
    list.push(entry);
  }
  return list.length === 0 ? undefined : list;
}

function describeMapping(found: readonly Found[]): JsonObject | undefined {
  let mapping: JsonObject | undefined;
  for (const { field, candidate } of found) {
    if (candidate.pointer === OPA_FIELDS[field.name]!.pointers[0]) continue;
    mapping ??= makeObject();
    mapping[field.name] = candidate.pointer;
  }
  return mapping;
}

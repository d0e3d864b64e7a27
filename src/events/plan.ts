import type { AvroObject, AvroSchema } from './fingerprint.js';
import { parsePointer } from './pointer.js';

/** What is done with one member of an event: the body's Avro type, or sealed away. Both directions follow it. */
export type Plan =
  | { readonly kind: 'string'; readonly maxLength: number }
  /** Base64 in JSON (RFC 4648, section 4, with padding). */
  | { readonly kind: 'bytes'; readonly maxLength: number }
  | { readonly kind: 'enum'; readonly symbols: ReadonlySet<string> }
  | { readonly kind: 'boolean' | 'long' | 'double' | 'timestamp' }
  | { readonly kind: 'either'; readonly plans: readonly Plan[] }
  | { readonly kind: 'array'; readonly items: Plan }
  | ObjectPlan
  /** Sealed under the person's own key. */
  | { readonly kind: 'person' }
  /** An array of persons. */
  | { readonly kind: 'persons' }
  /** Any JSON, sealed under the acting principal. */
  | { readonly kind: 'sealed' };

export interface ObjectPlan {
  readonly kind: 'object';
  readonly members: ReadonlyMap<string, Plan>;
}

interface MutablePlan extends ObjectPlan {
  readonly members: Map<string, Plan>;
}

/** UTF-16 code units of a plain string whose schema sets no `maxLength`. */
export const DEFAULT_MAX_LENGTH = 1024;

/** @param persons, sealed pointer patterns, as in the schema's attributes. */
export function compilePlan(body: AvroObject, persons: readonly string[], sealed: readonly string[]): ObjectPlan {
  const plan = compileType(body, DEFAULT_MAX_LENGTH);
  if (plan.kind !== 'object') throw new Error('the body of a schema is a record');
  for (const pattern of persons) {
    const tokens = parsePointer(pattern);
    if (tokens.at(-1) === '*') place(plan, tokens.slice(0, -1), { kind: 'persons' });
    else place(plan, tokens, { kind: 'person' });
  }
  for (const pattern of sealed) place(plan, parsePointer(pattern), { kind: 'sealed' });
  return plan;
}

/** Puts a member that is not in the body where its pattern says; the objects on the way are in the body. */
function place(root: ObjectPlan, tokens: readonly string[], leaf: Plan): void {
  let plan: Plan | undefined = root;
  for (const token of tokens.slice(0, -1)) {
    if (token === '*') plan = plan.kind === 'array' ? plan.items : undefined;
    else plan = plan.kind === 'object' ? plan.members.get(token) : undefined;
    if (!plan) throw new Error(`no object in the body at /${tokens.join('/')}`);
  }
  const name = tokens.at(-1);
  if (plan.kind !== 'object' || name === undefined) throw new Error(`no object in the body at /${tokens.join('/')}`);
  const { members } = plan as MutablePlan;
  if (members.has(name)) throw new Error(`/${tokens.join('/')} is named twice`);
  members.set(name, leaf);
}

function compileType(type: AvroSchema, maxLength: number): Plan {
  if (typeof type === 'string') return compilePrimitive(type, maxLength);
  if (Array.isArray(type)) {
    const plans = type.filter((branch) => branch !== 'null').map((branch) => compileType(branch, maxLength));
    return plans.length === 1 ? (plans[0] as Plan) : { kind: 'either', plans };
  }
  switch (type.type) {
    case 'record': {
      const members = new Map<string, Plan>();
      for (const field of type.fields ?? []) {
        members.set(field.name, compileType(field.type, (field.maxLength as number | undefined) ?? DEFAULT_MAX_LENGTH));
      }
      return { kind: 'object', members };
    }
    case 'array':
      return { kind: 'array', items: compileType(type.items as AvroSchema, maxLength) };
    case 'enum':
      return { kind: 'enum', symbols: new Set(type.symbols) };
    case 'long':
      return { kind: type.logicalType === 'timestamp-micros' ? 'timestamp' : 'long' };
    default:
      return compilePrimitive(type.type as string, maxLength);
  }
}

function compilePrimitive(type: string, maxLength: number): Plan {
  switch (type) {
    case 'string':
    case 'bytes':
      return { kind: type, maxLength };
    case 'boolean':
    case 'long':
    case 'double':
      return { kind: type };
    default:
      throw new Error(`an Avro type that bodies do not use: ${type}`);
  }
}

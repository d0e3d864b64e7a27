/** A JSON value. Numbers that no double denotes exactly are `ExactNumber`s; objects have no prototype members. */
export type Json = null | boolean | number | string | ExactNumber | Json[] | JsonObject;

/** A JSON object: own members only, so `constructor` or `__proto__` are data like any other name. */
export interface JsonObject {
  [member: string]: Json;
}

/** A JSON number kept as its text, because the double nearest to it denotes another value (or is −0 or infinite). */
export class ExactNumber {
  constructor(readonly text: string) {}

  /** `JSON.stringify` would have to round: it is refused, `stringifyJson` is the way. */
  toJSON(): never {
    throw new ExactNumberError();
  }
}

/** Raised when something other than `stringifyJson` tries to write an `ExactNumber`. */
export class ExactNumberError extends Error {
  override readonly name = 'ExactNumberError';
}

/** Bounds on what is parsed; each has its own error code. */
export interface JsonLimits {
  /** Nesting of arrays and objects; a scalar has depth 0. `too_deep` */
  readonly maxDepth: number;
  /** UTF-16 code units of one string, member name or number. `string_too_long` */
  readonly maxStringLength: number;
  /** Values of all kinds in one document. `too_many_items` */
  readonly maxValues: number;
}

export const DEFAULT_JSON_LIMITS: JsonLimits = { maxDepth: 64, maxStringLength: 1_048_576, maxValues: 100_000 };

/** The one constructor of parsed objects: fast to fill, and nothing is inherited. */
const BareObject = function () {} as unknown as new () => JsonObject;
BareObject.prototype = Object.freeze(Object.create(null) as JsonObject);

/** A new, empty object without inherited members. */
export const makeObject = (): JsonObject => new BareObject();

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);

/** A copy without one member: an object that a member was deleted from is slow to walk. */
export function omitMember(object: JsonObject, member: string): JsonObject {
  const rest = makeObject();
  for (const name in object) if (name !== member) rest[name] = object[name]!;
  return rest;
}

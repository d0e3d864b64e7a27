import { readFileSync } from 'node:fs';
import type { Static, TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';

/** What was read, and everything that is wrong with it: problems name the variable, never a secret's value. */
export interface EnvironmentReading<Settings extends TObject> {
  readonly values: Static<Settings>;
  readonly problems: readonly string[];
}

interface SettingSchema {
  readonly type?: string;
  readonly default?: unknown;
  readonly secret?: boolean;
}

const PREFIX = 'KEELSON_';

/**
 * Reads the settings an object schema names from environment variables. A `secret` one may be given as `<NAME>_FILE`, the path of a file
 * that holds it. Variables that begin with KEELSON_ and are neither in the schema nor in `others` are problems too: mostly they
 * are misspelt.
 */
export function readEnvironment<Settings extends TObject>(
  schema: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  others: readonly string[] = [],
): EnvironmentReading<Settings> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  const accepted = new Set<string>(others);
  for (const [name, property] of Object.entries(schema.properties)) {
    const setting = property as TSchema & SettingSchema;
    accepted.add(name);
    if (setting.secret) accepted.add(`${name}_FILE`);
    const text = readText(name, setting, environment, problems);
    if (text === undefined) {
      if (setting.default !== undefined) values[name] = setting.default;
      else if (schema.required?.includes(name)) problems.push(`${name} is required`);
      continue;
    }
    const value = convert(text, setting);
    if (value !== undefined && Value.Check(property, value)) values[name] = value;
    else
      problems.push(`${name}${setting.secret ? '' : ` is ${JSON.stringify(text)}, but`} must be ${describe(property)}`);
  }
  const known = [...accepted];
  for (const name of Object.keys(environment)) {
    if (name.startsWith(PREFIX) && !accepted.has(name))
      problems.push(`${name} is not a setting${suggest(name, known)}`);
  }
  return { values: values as Static<Settings>, problems };
}

/** An empty variable counts as absent, as in a compose file that passes variables through. */
function readText(
  name: string,
  setting: SettingSchema,
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): string | undefined {
  const direct = environment[name] || undefined;
  const file = setting.secret ? environment[`${name}_FILE`] || undefined : undefined;
  if (file === undefined) return direct;
  if (direct !== undefined) {
    problems.push(`${name} and ${name}_FILE are both set`);
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`${name}_FILE: ${(error as Error).message}`);
    return undefined;
  }
}

function convert(text: string, setting: SettingSchema): unknown {
  switch (setting.type) {
    case 'integer':
      return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
    case 'number':
      return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined;
    case 'boolean':
      return { true: true, '1': true, false: false, '0': false }[text];
    default:
      return text;
  }
}

/** What a setting accepts, in words. */
export function describe(schema: TSchema): string {
  const { type, anyOf, minimum, maximum, pattern } = schema as {
    type?: string;
    anyOf?: { const?: unknown }[];
    minimum?: number;
    maximum?: number;
    pattern?: string;
  };
  if (anyOf) return `one of ${anyOf.map((one) => String(one.const)).join(', ')}`;
  if (type === 'boolean') return 'true or false';
  if (type === 'integer' || type === 'number') {
    const kind = type === 'integer' ? 'a whole number' : 'a number';
    if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
    if (minimum !== undefined) return `${kind} from ${minimum}`;
    return kind;
  }
  return pattern === undefined ? 'text' : `text that matches ${pattern}`;
}

function suggest(name: string, known: readonly string[]): string {
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (!best || distance < best.distance) best = { candidate, distance };
  }
  return best && best.distance <= 4 ? `; did you mean ${best.candidate}?` : '';
}

/** Levenshtein's, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/**
 * Filters (RFC 7644, section 3.4.2.2). Read character by character, without a pattern that could backtrack, and bounded in
 * length, depth and number of terms; what comes out is data, never text for a database.
 */
import { KeelsonError } from '../../core/error.js';
import { ExactNumber, isObject, parseJsonText, type Json, type JsonObject } from '../../events/index.js';
import { parseAttributePath, readValues, type AttributePath } from './attribute-path.js';
import type { Attribute, ResourceType } from './schema.js';

export const COMPARISONS = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const;
export type Comparison = (typeof COMPARISONS)[number];
export type Literal = string | number | boolean | null;

export type Filter =
  | { readonly op: 'and' | 'or'; readonly filters: readonly Filter[] }
  | { readonly op: 'not'; readonly filter: Filter }
  | { readonly op: 'pr'; readonly path: AttributePath }
  | { readonly op: Comparison; readonly path: AttributePath; readonly value: Literal }
  /** Some element of the list at `path` matches. */
  | { readonly op: 'has'; readonly path: AttributePath; readonly filter: Filter };

const MAX_LENGTH = 8_192;
const MAX_DEPTH = 16;
const MAX_TERMS = 100;

/**
 * @param within the attribute whose elements the filter is about: `emails[…]`
 * @throws KeelsonError `invalid_filter`
 */
export function parseFilter(text: string, type: ResourceType, within?: Attribute): Filter {
  if (text.length > MAX_LENGTH) throw invalid(`a filter is longer than ${MAX_LENGTH} characters`);
  const parser = new FilterParser(text, type, within);
  const filter = parser.parseOr(0);
  parser.requireEnd();
  return filter;
}

class FilterParser {
  #at = 0;
  #terms = 0;

  constructor(
    private readonly text: string,
    private readonly type: ResourceType,
    private within: Attribute | undefined,
  ) {}

  parseOr(depth: number): Filter {
    const filters = [this.parseAnd(depth)];
    while (this.#takeWord('or')) filters.push(this.parseAnd(depth));
    return filters.length === 1 ? filters[0]! : { op: 'or', filters };
  }

  parseAnd(depth: number): Filter {
    const filters = [this.#parseTerm(depth)];
    while (this.#takeWord('and')) filters.push(this.#parseTerm(depth));
    return filters.length === 1 ? filters[0]! : { op: 'and', filters };
  }

  requireEnd(): void {
    this.#skipSpace();
    if (this.#at < this.text.length) throw this.#unexpected();
  }

  #parseTerm(depth: number): Filter {
    if (depth >= MAX_DEPTH) throw invalid(`a filter is nested deeper than ${MAX_DEPTH}`);
    if (++this.#terms > MAX_TERMS) throw invalid(`a filter has more than ${MAX_TERMS} terms`);
    this.#skipSpace();
    if (this.#take('(')) return this.#parseGroup(depth);
    const start = this.#at;
    const word = this.#readWord();
    if (word.toLowerCase() === 'not') {
      this.#skipSpace();
      if (this.#take('(')) return { op: 'not', filter: this.#parseGroup(depth) };
    }
    if (word === '') throw this.#unexpected();
    const path = this.#resolve(word, start);
    if (this.#take('[')) return this.#parseValuePath(path, depth);
    const op = this.#readOperator();
    return op === 'pr' ? { op, path } : { op, path, value: this.#readLiteral() };
  }

  #parseGroup(depth: number): Filter {
    const filter = this.parseOr(depth + 1);
    this.#skipSpace();
    if (!this.#take(')')) throw this.#unexpected();
    return filter;
  }

  #parseValuePath(path: AttributePath, depth: number): Filter {
    if (this.within !== undefined) throw invalid('a filter in brackets holds brackets');
    this.within = path.attribute ?? OPEN;
    const filter = this.parseOr(depth + 1);
    this.within = undefined;
    this.#skipSpace();
    if (!this.#take(']')) throw this.#unexpected();
    return { op: 'has', path, filter };
  }

  #resolve(word: string, at: number): AttributePath {
    try {
      if (this.within === undefined) return parseAttributePath(word, this.type);
      const sub = this.within.subAttributes?.find(({ name }) => name.toLowerCase() === word.toLowerCase());
      if (!/^[\w$-]{1,128}$/.test(word)) throw invalid('not a name');
      return { name: sub?.name ?? word, ...(sub === undefined ? {} : { attribute: sub }) };
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      throw invalid(`not an attribute, at character ${at + 1}`);
    }
  }

  #readOperator(): Comparison | 'pr' {
    this.#skipSpace();
    const word = this.#readWord().toLowerCase();
    if (word === 'pr') return word;
    const op = COMPARISONS.find((one) => one === word);
    if (op === undefined) throw this.#unexpected();
    return op;
  }

  #readLiteral(): Literal {
    this.#skipSpace();
    if (this.text[this.#at] === '"') return this.#readString();
    const word = this.#readWord();
    const lower = word.toLowerCase();
    if (lower === 'true' || lower === 'false') return lower === 'true';
    if (lower === 'null') return null;
    if (word.length <= 30 && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(word)) return Number(word);
    throw this.#unexpected();
  }

  #readString(): string {
    const start = this.#at;
    for (let i = start + 1; i < this.text.length; i++) {
      const character = this.text[i];
      if (character === '\\') i++;
      else if (character === '"') {
        this.#at = i + 1;
        return parseString(this.text.slice(start, this.#at));
      }
    }
    throw invalid('a text in the filter is not closed');
  }

  #readWord(): string {
    const start = this.#at;
    while (this.#at < this.text.length && !' \t()[]"'.includes(this.text[this.#at]!)) this.#at++;
    return this.text.slice(start, this.#at);
  }

  /** Takes a word where it stands next and ends there. */
  #takeWord(word: string): boolean {
    this.#skipSpace();
    const end = this.#at + word.length;
    const next = this.text[end];
    const ends = next === undefined || next === ' ' || next === '(';
    if (!ends || this.text.slice(this.#at, end).toLowerCase() !== word) return false;
    this.#at = end;
    return true;
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (this.text[this.#at] === ' ' || this.text[this.#at] === '\t') this.#at++;
  }

  #unexpected(): KeelsonError {
    return invalid(
      this.#at >= this.text.length
        ? 'the filter ends where something is missing'
        : `not expected at character ${this.#at + 1}`,
    );
  }
}

/** An attribute of which nothing is known. */
const OPEN: Attribute = {
  name: '',
  type: 'complex',
  multiValued: true,
  description: '',
  required: false,
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
};

function parseString(text: string): string {
  try {
    const value = parseJsonText(text);
    if (typeof value === 'string') return value;
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
  }
  throw invalid('a text in the filter is not a JSON text');
}

const invalid = (message: string): KeelsonError => new KeelsonError('invalid_filter', message, { pointer: '/filter' });

/** Whether a resource, or an element of a list, matches. */
export function matches(filter: Filter, resource: JsonObject): boolean {
  switch (filter.op) {
    case 'and':
      return filter.filters.every((one) => matches(one, resource));
    case 'or':
      return filter.filters.some((one) => matches(one, resource));
    case 'not':
      return !matches(filter.filter, resource);
    case 'pr':
      return isPresent(resource, filter.path);
    case 'has':
      return elementsAt(resource, filter.path).some((element) => matches(filter.filter, element));
    default:
      return compareAt(filter.op, resource, filter.path, filter.value);
  }
}

function isPresent(resource: JsonObject, path: AttributePath): boolean {
  if (readValues(resource, path).some((value) => value !== null && value !== '')) return true;
  return path.sub === undefined && elementsAt(resource, path).some((element) => Object.keys(element).length > 0);
}

/** What has parts at a path. */
function elementsAt(resource: JsonObject, { schema, name }: AttributePath): JsonObject[] {
  const container = schema === undefined ? resource : resource[schema];
  const found = isObject(container) ? container[name] : undefined;
  return (Array.isArray(found) ? found : found === undefined ? [] : [found]).filter(isObject);
}

function compareAt(op: Comparison, resource: JsonObject, path: AttributePath, value: Literal): boolean {
  const values = readValues(resource, path);
  if (op === 'ne') return !values.some((one) => compare('eq', one, value, path));
  if (value === null) return op === 'eq' && values.every((one) => one === null);
  return values.some((one) => compare(op, one, value, path));
}

function compare(op: Comparison, found: Json, value: Literal, path: AttributePath): boolean {
  const attribute = path.subAttribute ?? (path.sub === undefined ? path.attribute : undefined);
  if (typeof found === 'boolean') return op === 'eq' && String(found) === String(value).toLowerCase();
  if (typeof value === 'boolean') return false;
  if (typeof found === 'number' || found instanceof ExactNumber) {
    const number = typeof found === 'number' ? found : Number(found.text);
    return typeof value === 'number' && ordered(op, number < value ? -1 : number > value ? 1 : 0);
  }
  if (typeof found !== 'string' || typeof value !== 'string') return false;
  if (attribute?.type === 'dateTime') {
    const [a, b] = [Date.parse(found), Date.parse(value)];
    return !Number.isNaN(a) && !Number.isNaN(b) && ordered(op, a - b);
  }
  const exact = attribute?.caseExact === true;
  return compareTexts(op, exact ? found : foldCase(found), exact ? value : foldCase(value));
}

function compareTexts(op: Comparison, found: string, value: string): boolean {
  if (op === 'co') return found.includes(value);
  if (op === 'sw') return found.startsWith(value);
  if (op === 'ew') return found.endsWith(value);
  return ordered(op, found < value ? -1 : found > value ? 1 : 0);
}

function ordered(op: Comparison, sign: number): boolean {
  if (op === 'eq') return sign === 0;
  if (op === 'gt') return sign > 0;
  if (op === 'ge') return sign >= 0;
  if (op === 'lt') return sign < 0;
  return op === 'le' && sign <= 0;
}

/** How texts are compared that are the same in whatever case. */
export const foldCase = (text: string): string => text.normalize('NFC').toLowerCase();

/** The terms that must all hold. */
export const conjuncts = (filter: Filter): readonly Filter[] =>
  filter.op === 'and' ? filter.filters.flatMap(conjuncts) : [filter];

/** How many comparisons a filter makes of one resource, or of one element; none where there is no filter. */
export function sizeOf(filter: Filter | undefined): number {
  if (filter === undefined) return 0;
  if ('filters' in filter) return filter.filters.reduce((sum, one) => sum + sizeOf(one), 0);
  return filter.op === 'not' || filter.op === 'has' ? sizeOf(filter.filter) : 1;
}

/** Which methods a path has: what tells 405 (RFC 9110, 15.5.6, with Allow) from 404. */

interface Pattern {
  readonly segments: readonly string[];
  readonly methods: Set<string>;
}

export class MethodTable {
  readonly #patterns = new Map<string, Pattern>();

  /** `url` is a route's pattern: `:name` stands for one segment, a last `*` for the rest. */
  add(url: string, methods: readonly string[]): void {
    const pattern = this.#patterns.get(url) ?? { segments: url.split('/'), methods: new Set() };
    for (const method of methods) pattern.methods.add(method);
    this.#patterns.set(url, pattern);
  }

  /** Every method some route has for this path (no query string), sorted; empty where there is no such path. */
  allowed(path: string): string[] {
    const segments = path.split('/');
    const methods = new Set<string>();
    for (const pattern of this.#patterns.values()) {
      if (matches(pattern.segments, segments)) pattern.methods.forEach((method) => methods.add(method));
    }
    return [...methods].sort();
  }
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [i, part] of pattern.entries()) {
    if (part === '*') return path.length > i;
    if (path[i] === undefined || (part.startsWith(':') ? path[i] === '' : part !== path[i])) return false;
  }
  return pattern.length === path.length;
}

import { KeelsonError } from '../core/error.js';
import { isObject, type Json, type JsonObject } from './json.js';
import { canonicalJson } from './canonical.js';
import { escapeToken, parsePointer } from './pointer.js';
import type { MaskedAt } from './record.js';
import { JWT_RULES, KEY_RULES, PRIVATE_JWK_MEMBERS, SHORTEST_SECRET_TEXT, type SecretRule } from './secret-rules.js';

/** HMAC-SHA-256 of a secret (UTF-8) under the installation's secrets key: 32 bytes. */
export type SecretDigest = (secret: string) => Buffer;

/** JSON pointers whose values are masked whatever they hold; `*` stands for any array index or member. */
export type MaskPatterns = readonly (readonly string[])[];

/** Patterns out of the configuration's pointers. @throws Error for what is no pointer, or the empty one. */
export const compileMasks = (pointers: readonly string[]): MaskPatterns =>
  pointers.map((pointer) => {
    const tokens = parsePointer(pointer);
    if (tokens.length === 0) throw new Error('the whole event cannot be masked');
    return tokens;
  });

/** Each alternative is a rule, in their order. */
const compileRules = (rules: readonly SecretRule[]): { rules: readonly SecretRule[]; any: RegExp } => ({
  rules,
  any: new RegExp(rules.map(({ pattern }) => `(${pattern.source})`).join('|'), 'g'),
});
const PASSES = [compileRules(JWT_RULES), compileRules(KEY_RULES)];

/** Texts that the rules look at closely: the starts of all of them, as cheap as it gets. */
const SUSPICIOUS =
  /e(?:yJ|yAi|wog|woi|w0K)|-----BEGIN|[Bb](?:earer|EARER|asic|ASIC)\s|:\/\/[^\s/]{0,400}@|A(?:KIA|SIA)|[Ss]ecret_?[Aa]ccess_?[Kk]ey|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[abeoprs]-|xapp-|hooks\.slack|[sr]k_[lt]|whsec_|AIza|ya29\.|GOCSPX-|sk-|npm_|pypi-|hf_|hv[sb]\.|SG\.|AccountKey=|do[opr]_v1_|AGE-SEC|ATATT3|dapi[a-f0-9]|dckr_|gl(?:sa|c)_|lin_api_|shp[acps][ats]_|kl[se]_/;

/** `[masked:<rule>:<first 16 hex digits of the digest>]` */
export const formatMask = (rule: string, digest: Buffer): string => `[masked:${rule}:${digest.toString('hex', 0, 8)}]`;

/**
 * Replaces every secret in an event, in place: in strings and in member names at any depth, the secret members of private JSON
 * Web Keys, and whatever the configured pointers name. What the secret was can be told afterwards only by who holds it and the
 * secrets key. Linear in the size of the event.
 *
 * @returns where something was replaced, by which rule, with its digest; pointers are into the event as it is afterwards.
 * @throws KeelsonError `duplicate_member`: two names of one object that differ in nothing but a secret and its mask.
 */
export function scrubSecrets(event: JsonObject, digest: SecretDigest, masks: MaskPatterns = []): MaskedAt[] {
  const configured: MaskedAt[] = [];
  for (const tokens of masks) maskAt(event, tokens, 0, '', digest, configured);
  const scrubbing: Scrubbing = { digest, configured, masked: [] };
  scrubObject(event, '', scrubbing);
  return [...configured, ...scrubbing.masked];
}

interface Scrubbing {
  readonly digest: SecretDigest;
  /** What configured pointers named; it was masked before the rest is looked at. */
  readonly configured: MaskedAt[];
  /** What was found, in the order of the event: what lies inside one member stands together. */
  readonly masked: MaskedAt[];
}

/** `scrubSecrets` for one text that stands alone, such as an event's id. */
export function scrubText(text: string, pointer: string, digest: SecretDigest, masked: MaskedAt[]): string {
  return text.length < SHORTEST_SECRET_TEXT || !SUSPICIOUS.test(text) ? text : replace(text, pointer, digest, masked);
}

function scrubObject(object: JsonObject, pointer: string, scrubbing: Scrubbing): void {
  const { digest, masked } = scrubbing;
  if ('kty' in object) maskKey(object, pointer, digest, masked);
  for (const name of Object.keys(object)) {
    const value = object[name] as Json;
    const first = masked.length;
    if (typeof value === 'string') {
      // Pointers are only made for what needs one.
      if (value.length >= SHORTEST_SECRET_TEXT && SUSPICIOUS.test(value)) {
        object[name] = replace(value, `${pointer}/${escapeToken(name)}`, digest, masked);
      }
    } else if (typeof value === 'object' && value !== null) {
      scrubContainer(value, `${pointer}/${escapeToken(name)}`, scrubbing);
    }
    if (name.length >= SHORTEST_SECRET_TEXT && SUSPICIOUS.test(name)) rename(object, name, pointer, scrubbing, first);
  }
}

function scrubContainer(value: Json, pointer: string, scrubbing: Scrubbing): void {
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      if (typeof item === 'string') {
        value[i] = scrubText(item, `${pointer}/${i}`, scrubbing.digest, scrubbing.masked);
      } else scrubContainer(item, `${pointer}/${i}`, scrubbing);
    });
  } else if (isObject(value)) scrubObject(value, pointer, scrubbing);
}

/**
 * A secret in a member's name; what was masked below it is found below the new name.
 *
 * @param first where in `masked` begins what lies in this member
 * @throws KeelsonError `duplicate_member` where a member of the new name is there already: one of the two would be lost.
 */
function rename(object: JsonObject, name: string, pointer: string, scrubbing: Scrubbing, first: number): void {
  const { digest, masked, configured } = scrubbing;
  const found: MaskedAt[] = [];
  const clean = replace(name, '', digest, found);
  if (clean === name) return;
  const from = `${pointer}/${escapeToken(name)}`;
  if (clean in object) {
    throw new KeelsonError('duplicate_member', 'with its secret masked, this name is there twice', { pointer: from });
  }
  const to = `${pointer}/${escapeToken(clean)}`;
  move(configured, 0, from, to);
  move(masked, first, from, to);
  masked.push(...found.map((place) => ({ ...place, pointer: to })));
  object[clean] = object[name] as Json;
  delete object[name];
}

function move(places: MaskedAt[], first: number, from: string, to: string): void {
  for (let i = first; i < places.length; i++) {
    const place = places[i] as MaskedAt;
    if (place.pointer === from || place.pointer.startsWith(`${from}/`)) {
      places[i] = { ...place, pointer: to + place.pointer.slice(from.length) };
    }
  }
}

function maskKey(object: JsonObject, pointer: string, digest: SecretDigest, masked: MaskedAt[]): void {
  for (const name of PRIVATE_JWK_MEMBERS) {
    const value = object[name];
    if (value !== undefined && value !== null) object[name] = mask(value, 'jwk', `${pointer}/${name}`, digest, masked);
  }
}

function mask(value: Json, rule: string, pointer: string, digest: SecretDigest, masked: MaskedAt[]): string {
  const of = digest(typeof value === 'string' ? value : canonicalJson(value));
  masked.push({ pointer, rule, digest: of });
  return formatMask(rule, of);
}

/** Masks what a configured pointer names; the members of its way that are not there are no error. */
function maskAt(
  container: Json,
  tokens: readonly string[],
  depth: number,
  pointer: string,
  digest: SecretDigest,
  masked: MaskedAt[],
): void {
  if (!Array.isArray(container) && !isObject(container)) return;
  const members = container as JsonObject;
  const token = tokens[depth] as string;
  const names = token === '*' ? Object.keys(members) : Object.hasOwn(members, token) ? [token] : [];
  for (const name of names) {
    // `length` is an array's own, too.
    if (Array.isArray(container) && !/^\d+$/.test(name)) continue;
    const at = `${pointer}/${escapeToken(name)}`;
    const value = members[name] as Json;
    if (depth < tokens.length - 1) maskAt(value, tokens, depth + 1, at, digest, masked);
    else if (value !== null) members[name] = mask(value, 'configured', at, digest, masked);
  }
}

function replace(text: string, pointer: string, digest: SecretDigest, masked: MaskedAt[]): string {
  for (const { rules, any } of PASSES) {
    let clean = '';
    let kept = 0;
    any.lastIndex = 0;
    for (let match = any.exec(text); match; match = any.exec(text)) {
      const whole = match[0];
      const rule = rules[match.findIndex((group, i) => i > 0 && group !== undefined) - 1] as SecretRule;
      const secret = rule.secret ? rule.secret(whole) : whole;
      if (secret === undefined) continue;
      const start = match.index + whole.lastIndexOf(secret);
      clean += text.slice(kept, start) + mask(secret, rule.name, pointer, digest, masked);
      kept = start + secret.length;
    }
    if (kept > 0) text = clean + text.slice(kept);
  }
  return text;
}

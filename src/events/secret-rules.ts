/**
 * What is taken for a secret wherever it stands in a text: forms that are hardly ever anything else. docs/events.md lists them.
 *
 * Every rule is linear: it starts with a literal, and what follows is a run of one class of characters, bounded wherever the
 * match may still fail behind it.
 */
export interface SecretRule {
  readonly name: string;
  /** Without flags and capturing groups. */
  readonly pattern: RegExp;
  /** The part of a match that is secret; undefined: it only looked like one. Absent: the whole match. */
  readonly secret?: (match: string) => string | undefined;
}

/** A pass of its own over a text: what this one consumes and refuses may hold secrets of another form. */
export const JWT_RULES: readonly SecretRule[] = [
  // The start of base64url of `{"`, `{ "`, and of `{`, a line end and white space or a quote.
  { name: 'jwt', pattern: /e(?:yJ|yAi|wog|woi|w0K)[\w-]*(?:\.[\w-]*){0,4}/, secret: readJwt },
];

export const KEY_RULES: readonly SecretRule[] = [
  // To the end of the text where the end line is missing.
  {
    name: 'pem',
    pattern: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END[A-Z0-9 ]{0,60}-----|$)/,
  },
  { name: 'bearer', pattern: /[Bb](?:earer|EARER)\s{1,8}[\w.~+/-]{8,}={0,4}/, secret: readBearer },
  { name: 'basic', pattern: /[Bb](?:asic|ASIC)\s{1,8}[\w+/-]{4,}={0,2}/, secret: readBasic },
  { name: 'url', pattern: /:\/\/[^\s/:@"'<>]{0,128}:[^\s/@"'<>]{1,256}@/, secret: readPassword },
  { name: 'aws', pattern: /A(?:KIA|SIA)[A-Z2-7]{16}/ },
  {
    name: 'aws',
    pattern: /[Ss]ecret_?[Aa]ccess_?[Kk]ey["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9/+]{40}/,
    secret: (match) => match.slice(-40),
  },
  { name: 'github', pattern: /gh[pousr]_[A-Za-z0-9]{36,}/ },
  { name: 'github', pattern: /github_pat_\w{22,}/ },
  { name: 'gitlab', pattern: /gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-[\w-]{20,}/ },
  { name: 'slack', pattern: /xox[abeoprs]-[A-Za-z0-9-]{10,}/ },
  { name: 'slack', pattern: /xapp-\d-[A-Za-z0-9-]{10,}/ },
  { name: 'slack', pattern: /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9/]{20,}/ },
  { name: 'stripe', pattern: /[sr]k_(?:live|test)_[A-Za-z0-9]{16,}/ },
  { name: 'webhook', pattern: /whsec_[A-Za-z0-9+/=]{24,}/ },
  { name: 'google', pattern: /AIza[\w-]{35}/ },
  { name: 'google', pattern: /ya29\.[\w-]{20,}/ },
  { name: 'google', pattern: /GOCSPX-[\w-]{20,}/ },
  { name: 'sk', pattern: /(?<![A-Za-z0-9])sk-[\w-]{20,}/, secret: readApiKey },
  { name: 'npm', pattern: /npm_[A-Za-z0-9]{36}/ },
  { name: 'pypi', pattern: /pypi-[\w-]{50,}/ },
  { name: 'huggingface', pattern: /(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}/ },
  { name: 'vault', pattern: /hv[sb]\.[\w-]{24,}/ },
  { name: 'sendgrid', pattern: /SG\.[\w-]{22}\.[\w-]{43}/ },
  { name: 'azure', pattern: /AccountKey=[A-Za-z0-9+/]{86}==/, secret: (match) => match.slice('AccountKey='.length) },
  { name: 'digitalocean', pattern: /do[opr]_v1_[a-f0-9]{64}/ },
  { name: 'age', pattern: /AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}/ },
  { name: 'atlassian', pattern: /ATATT3[\w-]{40,}={0,2}[A-Za-z0-9]{0,8}/ },
  { name: 'databricks', pattern: /(?<![A-Za-z0-9])dapi[a-f0-9]{32}/ },
  { name: 'docker', pattern: /dckr_[po]at_[\w-]{20,}/ },
  { name: 'grafana', pattern: /gl(?:sa|c)_[A-Za-z0-9_+/=]{32,}/ },
  { name: 'linear', pattern: /lin_api_[A-Za-z0-9]{32,}/ },
  { name: 'shopify', pattern: /shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}/ },
  { name: 'keelson', pattern: /kl[se]_[0-9A-Za-z]{49}/ },
];

/** Shorter texts hold none of these: `Basic Og==` has ten characters. */
export const SHORTEST_SECRET_TEXT = 10;

/** The members of a private JSON Web Key (RFC 7518 §6) that are secret. */
export const PRIVATE_JWK_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * Three parts (JWS) or five (JWE), the first one long enough for a header. A JWS with its payload taken out (RFC 7515, appendix F) is a
 * signature, and gives access to nothing.
 */
function readJwt(match: string): string | undefined {
  const parts = match.split('.');
  if (parts.length === 3 && parts[1] === '') return undefined;
  return (parts.length === 3 || parts.length === 5) && (parts[0] as string).length >= 10 ? match : undefined;
}

/** What follows the white space behind a scheme's name. */
const credentials = (match: string): string => match.slice(match.search(/\s/)).trimStart();

/** RFC 7617: base64 of `user:password`. */
function readBasic(match: string): string | undefined {
  const encoded = credentials(match);
  return Buffer.from(encoded, 'base64').includes(':') ? encoded : undefined;
}

/** RFC 6750: words that follow "bearer" in prose have no digit and are short. */
function readBearer(match: string): string | undefined {
  const token = credentials(match);
  return /\d/.test(token) || token.length >= 20 ? token : undefined;
}

/** A URL's password; a mask that stands in its place is none. */
function readPassword(match: string): string | undefined {
  const password = match.slice(match.indexOf(':', 3) + 1, -1);
  return password.startsWith('[masked:') ? undefined : password;
}

/** Random text, not a name in words and dashes. */
function readApiKey(match: string): string | undefined {
  const random = (/[a-z]/.test(match) && /[A-Z]/.test(match) && /\d/.test(match)) || /^sk-[a-z0-9]{32,}$/.test(match);
  return random ? match : undefined;
}

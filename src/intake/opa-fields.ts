/**
 * Where the members of a decision stand in OPA's decision log, when a producer's configuration says nothing else. `input`
 * follows Keelson's own names, with the shapes that are common elsewhere behind them; the first pointer that finds a value of
 * the right kind counts (docs/intake.md).
 */
import { isObject, type Json } from '../events/json.js';

type Kind = 'text' | 'texts' | 'object' | 'list' | 'person' | 'json' | 'decision';

export interface Field {
  /** Where the value goes in the decision. */
  readonly target: readonly string[];
  readonly kind: Kind;
  readonly pointers: readonly string[];
}

const input = (name: string, kind: Kind, ...others: string[]): Field => ({
  target: [name],
  kind,
  pointers: [`/input/${name}`, ...others],
});

export const OPA_FIELDS: Readonly<Record<string, Field>> = {
  decision: {
    target: ['decision'],
    kind: 'decision',
    pointers: ['/result', '/result/allow', '/result/allowed', '/result/decision'],
  },
  agent: input('agent', 'text', '/input/agent/id', '/input/agent_id'),
  agent_identity: input('agent_identity', 'object'),
  user: input('user', 'person', '/input/subject', '/input/principal'),
  user_context: input('user_context', 'object'),
  client: input('client', 'text', '/input/client_id'),
  tool: input('tool', 'text', '/input/tool/name', '/input/action', '/input/action/name'),
  tool_identity: input('tool_identity', 'object'),
  parameters: input('parameters', 'json', '/input/arguments', '/input/params'),
  resource: input('resource', 'json'),
  purpose: input('purpose', 'object'),
  context: input('context', 'object'),
  token: input('token', 'object'),
  delegation_chain: input('delegation_chain', 'list'),
  approval_chain: input('approval_chain', 'list'),
  grant: input('grant', 'text'),
  delegation: input('delegation', 'text'),
  enforcement: input('enforcement', 'object'),
  point: input('point', 'text'),
  justification: input('justification', 'text'),
  policy_version: input('policy_version', 'text', '/labels/policy_version'),
  reason_codes: { target: ['reason_codes'], kind: 'texts', pointers: ['/result/reason_codes', '/result/reasons'] },
  obligations: { target: ['obligations'], kind: 'json', pointers: ['/result/obligations'] },
  rule: { target: ['policy', 'rule'], kind: 'text', pointers: ['/result/rule'] },
};

const ALLOW = new Set(['allow', 'allowed', 'permit']);
const DENY = new Set(['deny', 'denied']);

/** `allow` and `deny` as policies say them; undefined for anything else. */
export function readDecision(value: Json): 'allow' | 'deny' | undefined {
  if (typeof value === 'boolean') return value ? 'allow' : 'deny';
  if (typeof value !== 'string') return undefined;
  if (ALLOW.has(value)) return 'allow';
  return DENY.has(value) ? 'deny' : undefined;
}

/** Whether a value is of the kind a field wants. */
export function isOfKind(value: Json, kind: Kind): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'texts':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    case 'object':
      return isObject(value);
    case 'list':
      return Array.isArray(value) && value.every(isObject);
    case 'person':
      return typeof value === 'string' || (isObject(value) && typeof value.id === 'string');
    case 'json':
      return value !== null;
    case 'decision':
      return readDecision(value) !== undefined;
  }
}

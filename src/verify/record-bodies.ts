/** Bodies of records by the fingerprint of their schema. Made from schemas/ by test/events/render-bodies.ts; a test holds them together. */
import type { Shape } from './avro.js';

export const BODIES: Readonly<Record<string, Shape>> = {
  // ack.v1.avsc
  b416a4cbbd46b0a3: {
    fields: [
      ['process', { optional: 'string' }],
      ['generation', { optional: 'long' }],
      ['count', { optional: 'long' }],
      ['from_seq', { optional: 'long' }],
      ['to_seq', { optional: 'long' }],
      ['acks', { optional: 'bytes' }],
    ],
  },
  // case.v1.avsc
  b379eea9246f9c6e: {
    fields: [
      ['order', { optional: 'string' }],
      ['seq', { optional: 'long' }],
      ['result', { optional: 'string' }],
      ['ordered_at', { optional: 'long' }],
      ['closed_at', { optional: 'long' }],
      [
        'points',
        {
          optional: {
            items: {
              fields: [
                ['point', { optional: 'string' }],
                ['acked', { optional: 'long' }],
                ['fenced', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      [
        'instances',
        {
          optional: {
            items: {
              fields: [
                ['instance', { optional: 'string' }],
                ['point', { optional: 'string' }],
                ['status', { optional: 'string' }],
                ['log', { optional: 'string' }],
                ['index', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      [
        'incomplete',
        {
          optional: {
            items: {
              fields: [
                ['reason', { optional: 'string' }],
                ['issuer', { optional: 'string' }],
                ['count', { optional: 'long' }],
              ],
            },
          },
        },
      ],
    ],
  },
  // case.v2.avsc
  '41dcb76e3799f1d8': {
    fields: [
      ['order', { optional: 'string' }],
      ['seq', { optional: 'long' }],
      ['result', { optional: 'string' }],
      ['ordered_at', { optional: 'long' }],
      ['closed_at', { optional: 'long' }],
      [
        'points',
        {
          optional: {
            items: {
              fields: [
                ['point', { optional: 'string' }],
                ['acked', { optional: 'long' }],
                ['fenced', { optional: 'long' }],
                ['partial', { optional: 'long' }],
                ['contradicting', { optional: 'long' }],
                ['absent', { optional: 'long' }],
                ['first_acked_at', { optional: 'long' }],
                ['last_acked_at', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      [
        'instances',
        {
          optional: {
            items: {
              fields: [
                ['instance', { optional: 'string' }],
                ['point', { optional: 'string' }],
                ['status', { optional: 'string' }],
                ['log', { optional: 'string' }],
                ['index', { optional: 'long' }],
                ['acked_at', { optional: 'long' }],
                ['unmapped', { optional: { items: 'string' } }],
              ],
            },
          },
        },
      ],
      [
        'incomplete',
        {
          optional: {
            items: {
              fields: [
                ['reason', { optional: 'string' }],
                ['issuer', { optional: 'string' }],
                ['count', { optional: 'long' }],
                ['point', { optional: 'string' }],
                ['instance', { optional: 'string' }],
                ['key_types', { optional: { items: 'string' } }],
                ['log', { optional: 'string' }],
                ['index', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      ['reason_code', { optional: 'string' }],
      [
        'decision',
        {
          optional: {
            fields: [
              ['log', { optional: 'string' }],
              ['index', { optional: 'long' }],
              ['producer', { optional: 'string' }],
              ['point', { optional: 'string' }],
              ['instance', { optional: 'string' }],
              ['decided_at', { optional: 'long' }],
              ['recorded_at', { optional: 'long' }],
              ['seq', { optional: 'long' }],
              ['key_type', { optional: 'string' }],
            ],
          },
        },
      ],
    ],
  },
  // case.v3.avsc
  a3bd3443771a9c3c: {
    fields: [
      ['order', { optional: 'string' }],
      ['seq', { optional: 'long' }],
      ['result', { optional: 'string' }],
      ['ordered_at', { optional: 'long' }],
      ['closed_at', { optional: 'long' }],
      [
        'points',
        {
          optional: {
            items: {
              fields: [
                ['point', { optional: 'string' }],
                ['acked', { optional: 'long' }],
                ['fenced', { optional: 'long' }],
                ['partial', { optional: 'long' }],
                ['contradicting', { optional: 'long' }],
                ['absent', { optional: 'long' }],
                ['first_acked_at', { optional: 'long' }],
                ['last_acked_at', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      [
        'instances',
        {
          optional: {
            items: {
              fields: [
                ['instance', { optional: 'string' }],
                ['point', { optional: 'string' }],
                ['status', { optional: 'string' }],
                ['log', { optional: 'string' }],
                ['index', { optional: 'long' }],
                ['acked_at', { optional: 'long' }],
                ['unmapped', { optional: { items: 'string' } }],
              ],
            },
          },
        },
      ],
      [
        'incomplete',
        {
          optional: {
            items: {
              fields: [
                ['reason', { optional: 'string' }],
                ['issuer', { optional: 'string' }],
                ['count', { optional: 'long' }],
                ['point', { optional: 'string' }],
                ['instance', { optional: 'string' }],
                ['key_types', { optional: { items: 'string' } }],
                ['log', { optional: 'string' }],
                ['index', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      ['reason_code', { optional: 'string' }],
      [
        'decision',
        {
          optional: {
            fields: [
              ['log', { optional: 'string' }],
              ['index', { optional: 'long' }],
              ['producer', { optional: 'string' }],
              ['point', { optional: 'string' }],
              ['instance', { optional: 'string' }],
              ['decided_at', { optional: 'long' }],
              ['recorded_at', { optional: 'long' }],
              ['seq', { optional: 'long' }],
              ['key_type', { optional: 'string' }],
            ],
          },
        },
      ],
      ['waited_ms', { optional: 'long' }],
      ['count', { optional: 'long' }],
    ],
  },
  // decision.made.v1.avsc
  '59b83221b1d159ce': {
    fields: [
      ['agent', { optional: 'string' }],
      [
        'agent_identity',
        {
          optional: {
            fields: [
              ['spiffe_id', { optional: 'string' }],
              ['certificate_fingerprint', { optional: 'string' }],
              ['client_id', { optional: 'string' }],
              ['public_key', { optional: 'string' }],
              ['attestation_method', { optional: 'string' }],
            ],
          },
        },
      ],
      ['client', { optional: 'string' }],
      ['tool', { optional: 'string' }],
      [
        'tool_identity',
        {
          optional: {
            fields: [
              ['server', { optional: 'string' }],
              ['version', { optional: 'string' }],
              ['manifest_digest', { optional: 'string' }],
            ],
          },
        },
      ],
      ['decision', { optional: { symbols: ['allow', 'deny'] } }],
      ['policy_version', { optional: 'string' }],
      [
        'policy',
        {
          optional: {
            fields: [
              ['engine', { optional: 'string' }],
              ['path', { optional: 'string' }],
              ['rule', { optional: 'string' }],
              ['revision', { optional: 'string' }],
              [
                'bundles',
                {
                  optional: {
                    items: {
                      fields: [
                        ['name', { optional: 'string' }],
                        ['revision', { optional: 'string' }],
                      ],
                    },
                  },
                },
              ],
            ],
          },
        },
      ],
      ['reason_codes', { optional: { items: 'string' } }],
      ['user_context', { optional: { fields: [['sso_session', { optional: 'string' }]] } }],
      ['purpose', { optional: { fields: [['task_id', { optional: 'string' }]] } }],
      [
        'context',
        {
          optional: {
            fields: [
              ['data_classification', { optional: 'string' }],
              ['compliance_frameworks', { optional: { items: 'string' } }],
              ['session_id', { optional: 'string' }],
              ['environment', { optional: 'string' }],
              ['risk_score', { optional: 'double' }],
              [
                'approval_chain',
                {
                  optional: {
                    items: {
                      fields: [
                        ['timestamp', { optional: 'long' }],
                        ['decision', { optional: 'string' }],
                        ['reference', { optional: 'string' }],
                      ],
                    },
                  },
                },
              ],
            ],
          },
        },
      ],
      [
        'approval_chain',
        {
          optional: {
            items: {
              fields: [
                ['timestamp', { optional: 'long' }],
                ['decision', { optional: 'string' }],
                ['reference', { optional: 'string' }],
              ],
            },
          },
        },
      ],
      [
        'token',
        {
          optional: {
            fields: [
              ['jti', { optional: 'string' }],
              ['digest', { optional: 'string' }],
              ['issuer', { optional: 'string' }],
              ['type', { optional: 'string' }],
              ['client_id', { optional: 'string' }],
              ['issued_at', { optional: 'long' }],
              ['expires_at', { optional: 'long' }],
              ['audience', { branches: ['null', 'string', { items: 'string' }] }],
              ['scope', { branches: ['null', 'string', { items: 'string' }] }],
            ],
          },
        },
      ],
      [
        'delegation_chain',
        {
          optional: {
            items: {
              fields: [
                ['agent', { optional: 'string' }],
                ['client', { optional: 'string' }],
                ['delegation', { optional: 'string' }],
                ['grant', { optional: 'string' }],
              ],
            },
          },
        },
      ],
      ['grant', { optional: 'string' }],
      ['delegation', { optional: 'string' }],
      [
        'trace',
        {
          optional: {
            fields: [
              ['traceparent', { optional: 'string' }],
              ['tracestate', { optional: 'string' }],
              ['trace_id', { optional: 'string' }],
              ['span_id', { optional: 'string' }],
              ['request_id', { optional: 'string' }],
            ],
          },
        },
      ],
      ['latency_ms', { optional: 'double' }],
      ['point', { optional: 'string' }],
      [
        'enforcement',
        {
          optional: {
            fields: [
              ['instance', { optional: 'string' }],
              ['generation', { branches: ['null', 'long', 'string'] }],
              ['seq', { optional: 'long' }],
              ['leaseAgeMs', { optional: 'double' }],
              ['verdict', { optional: 'string' }],
            ],
          },
        },
      ],
    ],
  },
  // point.v1.avsc
  '096b8836d4bac5cc': {
    fields: [
      ['point', { optional: 'string' }],
      ['instance', { optional: 'string' }],
      ['kind', { optional: 'string' }],
      ['public_key', { optional: 'string' }],
      ['generation', { branches: ['null', 'long', 'string'] }],
      ['key_types', { optional: { items: 'string' } }],
      ['tools', { optional: { items: 'string' } }],
      ['max_staleness_ms', { optional: 'long' }],
      ['team', { optional: 'string' }],
      ['environment', { optional: 'string' }],
      ['effective_at', { optional: 'long' }],
      ['reason_code', { optional: 'string' }],
      ['reference', { optional: 'string' }],
      ['source_system', { optional: 'string' }],
      [
        'approval_chain',
        {
          optional: {
            items: {
              fields: [
                ['timestamp', { optional: 'long' }],
                ['decision', { optional: 'string' }],
                ['reference', { optional: 'string' }],
              ],
            },
          },
        },
      ],
    ],
  },
  // point.v2.avsc
  '0ed7012452e26208': {
    fields: [
      ['point', { optional: 'string' }],
      ['instance', { optional: 'string' }],
      ['kind', { optional: 'string' }],
      ['public_key', { optional: 'string' }],
      ['generation', { branches: ['null', 'long', 'string'] }],
      ['key_types', { optional: { items: 'string' } }],
      ['tools', { optional: { items: 'string' } }],
      ['max_staleness_ms', { optional: 'long' }],
      ['team', { optional: 'string' }],
      ['environment', { optional: 'string' }],
      ['effective_at', { optional: 'long' }],
      ['reason_code', { optional: 'string' }],
      ['reference', { optional: 'string' }],
      ['source_system', { optional: 'string' }],
      [
        'approval_chain',
        {
          optional: {
            items: {
              fields: [
                ['timestamp', { optional: 'long' }],
                ['decision', { optional: 'string' }],
                ['reference', { optional: 'string' }],
              ],
            },
          },
        },
      ],
      ['order', { optional: 'string' }],
      ['by_token', { optional: 'string' }],
    ],
  },
  // point.v3.avsc
  '63b6a0b3b4c05f07': {
    fields: [
      ['point', { optional: 'string' }],
      ['instance', { optional: 'string' }],
      ['kind', { optional: 'string' }],
      ['public_key', { optional: 'string' }],
      ['generation', { branches: ['null', 'long', 'string'] }],
      ['key_types', { optional: { items: 'string' } }],
      ['tools', { optional: { items: 'string' } }],
      ['max_staleness_ms', { optional: 'long' }],
      ['joined_by', { optional: 'string' }],
      ['fail_open', { optional: { items: 'string' } }],
      ['team', { optional: 'string' }],
      ['environment', { optional: 'string' }],
      ['effective_at', { optional: 'long' }],
      ['reason_code', { optional: 'string' }],
      ['reference', { optional: 'string' }],
      ['source_system', { optional: 'string' }],
      [
        'approval_chain',
        {
          optional: {
            items: {
              fields: [
                ['timestamp', { optional: 'long' }],
                ['decision', { optional: 'string' }],
                ['reference', { optional: 'string' }],
              ],
            },
          },
        },
      ],
      ['order', { optional: 'string' }],
      ['by_token', { optional: 'string' }],
    ],
  },
  // revocation.v1.avsc
  f0d8ce2dcca1c4b5: {
    fields: [
      ['term', { optional: 'long' }],
      ['holder', { optional: 'string' }],
      ['order', { optional: 'string' }],
      ['part', { optional: 'string' }],
      ['number', { optional: 'long' }],
      ['last', { optional: 'boolean' }],
      [
        'cause',
        {
          optional: {
            fields: [
              ['id', { optional: 'string' }],
              ['type', { optional: 'string' }],
              ['producer', { optional: 'string' }],
              ['index', { optional: 'long' }],
            ],
          },
        },
      ],
      ['kind', { optional: 'string' }],
      ['mode', { optional: 'string' }],
      ['security', { optional: 'boolean' }],
      ['subjects', { optional: { items: 'string' } }],
      [
        'target',
        {
          optional: {
            fields: [
              ['type', { optional: 'string' }],
              ['issuer', { optional: 'string' }],
              ['value', { optional: 'string' }],
            ],
          },
        },
      ],
      [
        'changes',
        {
          optional: {
            items: {
              fields: [
                ['change', { optional: { symbols: ['block', 'lift', 'cutoff', 'expire'] } }],
                ['order', { optional: 'string' }],
                ['at', { optional: 'long' }],
                ['keys', { optional: 'bytes' }],
              ],
            },
          },
        },
      ],
      [
        'counts',
        {
          optional: {
            items: {
              fields: [
                ['type', { optional: 'string' }],
                ['count', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      [
        'incomplete',
        {
          optional: {
            items: {
              fields: [
                ['reason', { optional: 'string' }],
                ['issuer', { optional: 'string' }],
                ['count', { optional: 'long' }],
              ],
            },
          },
        },
      ],
      ['code', { optional: 'string' }],
      ['due_at', { optional: 'long' }],
      ['late', { optional: 'boolean' }],
      ['held_until', { optional: 'long' }],
      ['reason_code', { optional: 'string' }],
      ['source_system', { optional: 'string' }],
    ],
  },
};

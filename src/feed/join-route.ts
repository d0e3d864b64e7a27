/** `/v1/feed/join`: a process becomes an instance. */
import { Type } from 'typebox';
import { formatBase64, formatHex, parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { MAX_FAIL_OPEN_TOOLS, MAX_TOOL_BYTES } from '../protocol/fail-open.js';
import { signedJoin } from '../protocol/join.js';
import type { Realm } from '../protocol/signed.js';
import type { Admissions } from './admission.js';
import type { Instances } from './instances.js';
import type { FeedKeys } from './keys.js';
import type { Limits } from './limits.js';
import { checkSignedBy } from './signatures.js';

export interface JoinRouteOptions {
  readonly admissions: Admissions;
  readonly instances: Instances;
  readonly realm: Realm;
  readonly keys: FeedKeys;
  readonly guardKey: Uint8Array;
  readonly generation: number;
  readonly limits: Limits;
}

/** Who joins does not know the ledger yet. */
const NO_LEDGER = { ledger: '' };
/** What counts against an address: limits.ts. */
const NOT_LET_IN: ReadonlySet<string> = new Set(['forbidden', 'bad_signature']);

const Body = Type.Object(
  {
    token: Type.String({
      maxLength: 16_384,
      description: 'Of an enrolment, a JWT-SVID, or the token of a Kubernetes service account',
    }),
    publicKey: Type.String({ maxLength: 44, description: 'Ed25519, 32 bytes, base64' }),
    signature: Type.String({ maxLength: 88, description: 'Shows that the key is held: docs/feed.md' }),
    failOpen: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: MAX_TOOL_BYTES }), {
        maxItems: MAX_FAIL_OPEN_TOOLS,
        uniqueItems: true,
        description: 'Tools that may be called although nobody can tell whether they are revoked; `*` is every tool',
      }),
    ),
  },
  { additionalProperties: false },
);

const Joined = Type.Object({
  instance: Type.String(),
  point: Type.String(),
  ledger: Type.String(),
  generation: Type.Integer(),
  guardKey: Type.String({ description: 'Secret' }),
  rootKey: Type.String(),
  keySet: Type.String(),
});

export function registerJoin(http: Http, options: JoinRouteOptions): void {
  const { admissions, instances, realm, keys, guardKey, generation, limits } = options;
  http.post(
    '/v1/feed/join',
    {
      config: { access: 'own' },
      onRequest: async ({ ip }) => limits.requireAddress(ip),
      onError: async ({ ip }, _reply, error: unknown) => {
        if (error instanceof KeelsonError && NOT_LET_IN.has(error.code)) limits.failed(ip);
      },
      schema: {
        tags: ['feed'],
        summary: 'Join as an instance of a point, with a key of its own',
        body: Body,
        response: { 200: Joined, '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ body }, reply) => {
      const publicKey = parseBase64(body.publicKey);
      const signature = parseBase64(body.signature);
      if (publicKey?.length !== 32)
        throw new KeelsonError('malformed_key', 'an Ed25519 key has 32 bytes', { pointer: '/publicKey' });
      // Before anybody is asked: whoever floods this pays, too.
      const signed = signedJoin(body.token, publicKey, signature ?? new Uint8Array(0), body.failOpen);
      await checkSignedBy({ publicKey }, NO_LEDGER, 'join', signed);
      const admission = await admissions.of(body.token);
      const instance = await instances.join(admission, { publicKey, failOpen: body.failOpen ?? [] });
      void reply.header('cache-control', 'no-store');
      return {
        instance: formatHex(instance.id),
        point: instance.point,
        ledger: realm.ledger,
        generation,
        guardKey: formatBase64(guardKey),
        rootKey: formatBase64(keys.rootKey),
        keySet: formatBase64(keys.keySet),
      };
    },
  );
}

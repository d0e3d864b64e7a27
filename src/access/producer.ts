/** A producer: the name that events are recorded under, and how what it sends is to be read. */
import { Type, type Static } from 'typebox';
import { HrConfig, issuersOf } from './hr-config.js';

/** Also the id of a topic `keelson.in.<producer>`: lower case, digits, dot, dash, underscore. */
export const PRODUCER_ID = '^[a-z0-9][a-z0-9._-]{0,62}$';

/** JSON pointer (RFC 6901). */
const Pointer = Type.String({ pattern: '^(/([^/~]|~[01])*)*$', maxLength: 500 });

const Issuer = Type.String({ minLength: 1, maxLength: 500 });

/** How an identity source that provisions over SCIM is to be read (docs/connect-okta.md, docs/connect-entra.md). */
export const ScimConfig = Type.Object(
  {
    activeFalse: Type.Enum(['leaver', 'scope_loss'], {
      description:
        'What `active: false` means: `leaver`, they left and everything they authorized ends; `scope_loss`, they lost what this source gives',
    }),
    issuer: Type.Optional(
      Type.String({
        ...Issuer,
        description: 'Issuer of the tokens that name these persons and groups. Absent: the issuer of the producer',
      }),
    ),
    aliases: Type.Array(
      Type.Object(
        {
          attribute: Type.String({
            minLength: 1,
            maxLength: 500,
            description: 'A SCIM path: `externalId`, `userName`, `emails[type eq "work"].value`',
          }),
          issuer: Type.Optional(
            Type.String({ ...Issuer, description: 'At whom this is an id. Absent: the issuer above' }),
          ),
        },
        { additionalProperties: false },
      ),
      {
        minItems: 1,
        maxItems: 20,
        description: 'Which attributes are accounts, and at whom: what tokens name as `sub`',
      },
    ),
    groupClaim: Type.Enum(['displayName', 'externalId', 'id'], {
      description: 'Which attribute of a group tokens name it by. `id`: the id that Keelson gave it',
    }),
    vendor: Type.Optional(
      Type.Enum(['entra', 'okta'], {
        description: '`entra`: objectId must be mapped to externalId, which is checked',
      }),
    ),
  },
  { additionalProperties: false },
);
export type ScimConfig = Static<typeof ScimConfig>;

/** Signatures of JWTs that may be allowed: asymmetric ones only. */
const SIGNATURES = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** An OpenID provider that says when sessions are over and signs people out (docs/oauth.md). */
export const OpenIdConfig = Type.Object(
  {
    issuer: Type.String({
      ...Issuer,
      description: 'Claim `iss` of what it signs; the source speaks for its persons and tokens',
    }),
    audiences: Type.Array(Type.String({ minLength: 1, maxLength: 2048 }), {
      minItems: 1,
      maxItems: 20,
      description: 'What it may name as `aud`: our client id there, the address of the endpoint',
    }),
    jwks: Type.Optional(
      Type.Object(
        { keys: Type.Array(Type.Record(Type.String(), Type.Unknown()), { minItems: 1, maxItems: 100 }) },
        { description: 'Its public keys (RFC 7517); this or jwksUri' },
      ),
    ),
    jwksUri: Type.Optional(
      Type.String({ maxLength: 2048, description: 'Where its public keys are: https, or http on this machine' }),
    ),
    algorithms: Type.Optional(
      Type.Array(Type.Enum(SIGNATURES), { minItems: 1, description: 'Absent: RS256, PS256, ES256, EdDSA' }),
    ),
    emailIssuer: Type.Optional(
      Type.String({ ...Issuer, description: 'At whom an e-mail address is an id. Absent: the issuer above' }),
    ),
    opaqueIssuer: Type.Optional(
      Type.String({
        ...Issuer,
        description: 'At whom an opaque id is one. Absent: the ids of SCIM where it provisions, else the issuer above',
      }),
    ),
  },
  { additionalProperties: false },
);
export type OpenIdConfig = Static<typeof OpenIdConfig>;

export const ProducerConfig = Type.Object(
  {
    issuer: Type.Optional(
      Type.String({ minLength: 1, maxLength: 500, description: 'Issuer of persons that are named without one' }),
    ),
    mask: Type.Optional(
      Type.Array(Type.String({ pattern: '^(/([^/~]|~[01])*)+$', maxLength: 500 }), {
        maxItems: 100,
        description:
          'Pointers of places in an event that hold secrets (`*`: any element or member): replaced by a keyed digest before anything is stored',
      }),
    ),
    mappings: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[a-z]{1,20}$' }),
        Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,40}$' }), Type.Array(Pointer, { maxItems: 10 })),
        {
          description:
            'By protocol (`opa`) and field: the pointers where that field stands in what the producer sends; the first that ' +
            'finds something counts. A field that is not named here keeps its default.',
        },
      ),
    ),
    owns: Type.Optional(
      Type.Array(Type.String({ ...Issuer }), {
        maxItems: 100,
        description:
          'Issuers, beside its `issuer` and those of its `scim`, `openid` and `hr`, whose persons it may link, offboard, name as owners or have revoked. ' +
          'Callers with the scope `admin` may for all',
      }),
    ),
    expects: Type.Optional(
      Type.Array(Type.String({ ...Issuer }), {
        maxItems: 100,
        description:
          'Issuers at which each of its persons has an account, or is said to have none: where neither is known, what is revoked is `incomplete`',
      }),
    ),
    groupless: Type.Optional(
      Type.Array(Type.String({ ...Issuer }), {
        maxItems: 100,
        description:
          'Issuers whose tokens list no groups: whoever leaves a group there has to get new tokens, as what was issued before is refused',
      }),
    ),
    scim: Type.Optional(ScimConfig),
    openid: Type.Optional(OpenIdConfig),
    hr: Type.Optional(HrConfig),
  },
  { additionalProperties: false },
);
export type ProducerConfig = Static<typeof ProducerConfig>;

export interface Producer {
  readonly id: string;
  readonly config: ProducerConfig;
}

/** The issuer under which a source's users are known by their SCIM id, whatever becomes of their names. */
export const scimIssuer = (producer: string): string => `urn:keelson:scim:${producer}`;

/** Issuers for whose persons a producer speaks; '' for persons whom no issuer names. */
export function ownedIssuers({ id, config }: Producer): Set<string> {
  const owned = new Set([config.issuer ?? '', ...(config.owns ?? [])]);
  const { openid } = config;
  for (const issuer of [openid?.issuer, openid?.emailIssuer, openid?.opaqueIssuer]) {
    if (issuer !== undefined) owned.add(issuer);
  }
  for (const issuer of config.hr === undefined ? [] : issuersOf(config.hr)) owned.add(issuer);
  if (config.scim === undefined) return owned;
  owned.add(scimIssuer(id));
  const issuer = config.scim.issuer ?? config.issuer ?? '';
  for (const alias of config.scim.aliases) owned.add(alias.issuer ?? issuer);
  return owned;
}

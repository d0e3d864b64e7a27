/** A producer: the name that events are recorded under, and how what it sends is to be read. */
import { Type, type Static } from 'typebox';

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
          'Issuers, beside its `issuer` and those of its `scim`, whose persons it may link, offboard, name as owners or have revoked. ' +
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
    scim: Type.Optional(ScimConfig),
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
  if (config.scim === undefined) return owned;
  owned.add(scimIssuer(id));
  const issuer = config.scim.issuer ?? config.issuer ?? '';
  for (const alias of config.scim.aliases) owned.add(alias.issuer ?? issuer);
  return owned;
}

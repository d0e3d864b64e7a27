/** How the webhooks of an HR system are signed and read (docs/connect-hr.md). */
import { Type, type Static } from 'typebox';

/** RFC 6901, into the item of one person; with `#` in front, into the whole body. */
const Pointer = Type.String({ pattern: '^#?(/([^/~]|~[01])*)*$', maxLength: 500 });
const Pointers = Type.Union([Pointer, Type.Array(Pointer, { minItems: 1, maxItems: 10 })]);
const Issuer = Type.String({ minLength: 1, maxLength: 500 });
const HeaderName = Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' });
const ToleranceS = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 7 * 86_400,
    description: 'Seconds that the time may be from Keelson’s, either way. Default: 300',
  }),
);

const Signature = Type.Union([
  Type.Object({ scheme: Type.Literal('standard') }, { additionalProperties: false }),
  Type.Object(
    {
      scheme: Type.Literal('hmac', { description: 'A header of the vendor’s own, by HMAC' }),
      algorithm: Type.Enum(['sha256', 'sha512']),
      header: HeaderName,
      encoding: Type.Enum(['hex', 'base64']),
      prefix: Type.Optional(Type.String({ maxLength: 20, description: 'What stands before the digits, `sha256=`' })),
      signs: Type.Enum(['body', 'body+timestamp', 'timestamp+body', 'timestamp.body'], {
        description: 'What the HMAC is over: `+` puts one behind the other, `.` with a dot between',
      }),
      time: Type.Union(
        [
          Type.Object(
            { header: HeaderName, unit: Type.Enum(['s', 'ms']), toleranceS: ToleranceS },
            { additionalProperties: false },
          ),
          Type.Object({ at: Pointer, toleranceS: ToleranceS }, { additionalProperties: false }),
        ],
        {
          description:
            'When it was sent: a signed header, or a place in the body. Without either, nobody could tell an old one',
        },
      ),
    },
    { additionalProperties: false },
  ),
]);
export type HrSignature = Static<typeof Signature>;

export const HR_EVENTS = ['left', 'leave_scheduled', 'leave_cancelled', 'moved', 'hired', 'back', 'ignored'] as const;
export type HrEvent = (typeof HR_EVENTS)[number];

const Condition = Type.Object(
  {
    at: Pointers,
    in: Type.Optional(
      Type.Array(Type.Union([Type.String({ maxLength: 500 }), Type.Number(), Type.Boolean()]), {
        minItems: 1,
        maxItems: 100,
      }),
    ),
    present: Type.Optional(Type.Boolean({ description: 'Whether there is anything; null and "" are nothing' })),
  },
  { additionalProperties: false },
);

const Fields = Type.Object(
  Object.fromEntries(
    [
      'effective_at',
      'reason_code',
      'reason',
      'reference',
      'employment',
      'urgent',
      'successor',
      'manager',
      'groups',
      'groups_added',
      'groups_removed',
      'absent_issuers',
      'name',
      'email',
      'title',
      'department',
      'location',
    ].map((field) => [field, Type.Optional(Pointers)]),
  ),
  { additionalProperties: false, description: 'Where members of the event stand' },
);

const Mapping = Type.Object(
  {
    people: Type.Optional(
      Type.String({ ...Pointer, description: 'The item of one person, or the list of them. Absent: the whole body' }),
    ),
    events: Type.Array(
      Type.Object(
        { event: Type.Enum([...HR_EVENTS]), when: Type.Array(Condition, { maxItems: 10 }) },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 50, description: 'What happened: the first whose conditions all hold' },
    ),
    person: Type.Object({ at: Pointers, issuer: Type.Optional(Issuer) }, { additionalProperties: false }),
    aliases: Type.Optional(
      Type.Array(Type.Object({ at: Pointers, issuer: Type.Optional(Issuer) }, { additionalProperties: false }), {
        maxItems: 20,
      }),
    ),
    occurred_at: Type.Optional(Pointers),
    fields: Type.Optional(Fields),
  },
  { additionalProperties: false },
);
export type HrMapping = Static<typeof Mapping>;

export const HrConfig = Type.Object(
  {
    signature: Type.Optional(Signature),
    zone: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          'IANA time zone of dates and times without an offset: a date alone means the end of that day. Default: UTC',
      }),
    ),
    mapping: Type.Optional(Mapping),
  },
  {
    additionalProperties: false,
    description: 'What it sends to /v1/hr. Empty: Standard Webhooks, in Keelson’s own form',
  },
);
export type HrConfig = Static<typeof HrConfig>;

/** The issuers that a mapping names. */
export const issuersOf = ({ mapping }: HrConfig): string[] =>
  [mapping?.person, ...(mapping?.aliases ?? [])].flatMap((one) => (one?.issuer === undefined ? [] : [one.issuer]));

/** The schemas of provisioned resources (RFC 7643, sections 4, 7, 8.7) as far as they are understood here. */

export type AttributeType = 'string' | 'boolean' | 'dateTime' | 'integer' | 'binary' | 'reference' | 'complex';

export interface Attribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly multiValued: boolean;
  readonly description: string;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: 'readOnly' | 'readWrite' | 'immutable' | 'writeOnly';
  readonly returned: 'always' | 'default' | 'request' | 'never';
  readonly uniqueness: 'none' | 'server' | 'global';
  readonly referenceTypes?: readonly string[];
  readonly subAttributes?: readonly Attribute[];
}

export interface Schema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly Attribute[];
}

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const ENTERPRISE_SCHEMA = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

type More = Partial<Omit<Attribute, 'name' | 'type' | 'description'>>;

const attribute = (name: string, type: AttributeType, description: string, more: More = {}): Attribute => ({
  name,
  type,
  multiValued: false,
  description,
  required: false,
  caseExact: type === 'reference' || type === 'binary',
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  ...more,
});
const text = (name: string, description: string, more: More = {}): Attribute =>
  attribute(name, 'string', description, more);
const complex = (name: string, description: string, subAttributes: readonly Attribute[], more: More = {}): Attribute =>
  attribute(name, 'complex', description, { subAttributes, ...more });

/** The usual members of a list of values (RFC 7643, section 2.4). */
const list = (name: string, description: string, value: Attribute): Attribute =>
  complex(
    name,
    description,
    [
      value,
      text('display', 'What to show for it.'),
      text('type', 'What it is for, e.g. work.'),
      attribute('primary', 'boolean', 'Whether it is the preferred one.'),
    ],
    { multiValued: true },
  );
const anything = (description: string): Attribute => text('value', description);

const COMMON: readonly Attribute[] = [
  text('id', 'The id that Keelson gave it.', {
    caseExact: true,
    mutability: 'readOnly',
    returned: 'always',
    uniqueness: 'server',
  }),
  text('externalId', 'The id the client knows it by.', { caseExact: true }),
  complex(
    'meta',
    'What the server says of the resource.',
    [
      text('resourceType', 'Its kind.', { caseExact: true, mutability: 'readOnly' }),
      attribute('created', 'dateTime', 'When it was made.', { mutability: 'readOnly' }),
      attribute('lastModified', 'dateTime', 'When it was changed.', { mutability: 'readOnly' }),
      attribute('location', 'reference', 'Where it is.', { mutability: 'readOnly', referenceTypes: ['uri'] }),
      text('version', 'Its version.', { caseExact: true, mutability: 'readOnly' }),
    ],
    { mutability: 'readOnly' },
  ),
];

const user: Schema = {
  id: USER_SCHEMA,
  name: 'User',
  description: 'A person at the identity source.',
  attributes: [
    text('userName', 'The name they log in with.', { required: true, uniqueness: 'server' }),
    complex('name', 'The parts of their name.', [
      text('formatted', 'The whole name.'),
      text('familyName', 'The family name.'),
      text('givenName', 'The given name.'),
      text('middleName', 'The middle name.'),
      text('honorificPrefix', 'The title before it.'),
      text('honorificSuffix', 'What follows it.'),
    ]),
    text('displayName', 'The name to show.'),
    text('nickName', 'What they are called.'),
    attribute('profileUrl', 'reference', 'Their page.', { referenceTypes: ['external'] }),
    text('title', 'Their title.'),
    text('userType', 'Kind of employment.'),
    text('preferredLanguage', 'Their language.'),
    text('locale', 'Their locale.'),
    text('timezone', 'Their time zone.'),
    attribute('active', 'boolean', 'Whether the source says that they may have access.'),
    text('password', 'Taken and thrown away: nobody logs in here.', { mutability: 'writeOnly', returned: 'never' }),
    list('emails', 'E-mail addresses.', anything('The address.')),
    list('phoneNumbers', 'Telephone numbers.', anything('The number.')),
    list('ims', 'Instant messaging addresses.', anything('The address.')),
    list(
      'photos',
      'Pictures.',
      attribute('value', 'reference', 'Where the picture is.', { referenceTypes: ['external'] }),
    ),
    complex(
      'addresses',
      'Where they live and work.',
      [
        text('formatted', 'The whole address.'),
        text('streetAddress', 'Street and number.'),
        text('locality', 'The city.'),
        text('region', 'The region.'),
        text('postalCode', 'The postal code.'),
        text('country', 'The country.'),
        text('type', 'What it is for, e.g. work.'),
        attribute('primary', 'boolean', 'Whether it is the preferred one.'),
      ],
      { multiValued: true },
    ),
    complex(
      'groups',
      'The groups they are in; changed at the groups.',
      [
        text('value', 'The id of the group.', { mutability: 'readOnly' }),
        attribute('$ref', 'reference', 'Where the group is.', { referenceTypes: ['Group'], mutability: 'readOnly' }),
        text('display', 'The name of the group.', { mutability: 'readOnly' }),
      ],
      { multiValued: true, mutability: 'readOnly' },
    ),
    list('entitlements', 'What they are entitled to.', anything('The entitlement.')),
    list('roles', 'Their roles.', anything('The role.')),
    list('x509Certificates', 'Their certificates.', attribute('value', 'binary', 'DER in base64.')),
  ],
};

const enterprise: Schema = {
  id: ENTERPRISE_SCHEMA,
  name: 'EnterpriseUser',
  description: 'What an employer knows of a person.',
  attributes: [
    text('employeeNumber', 'Their number.'),
    text('costCenter', 'Their cost center.'),
    text('organization', 'Their organization.'),
    text('division', 'Their division.'),
    text('department', 'Their department.'),
    complex('manager', 'Their manager.', [
      text('value', 'The id of the manager.'),
      attribute('$ref', 'reference', 'Where the manager is.', { referenceTypes: ['User'] }),
      text('displayName', 'The name of the manager.', { mutability: 'readOnly' }),
    ]),
  ],
};

const group: Schema = {
  id: GROUP_SCHEMA,
  name: 'Group',
  description: 'A group at the identity source.',
  attributes: [
    text('displayName', 'Its name.', { required: true }),
    complex(
      'members',
      'The users in it.',
      [
        text('value', 'The id of the user.', { mutability: 'immutable' }),
        attribute('$ref', 'reference', 'Where the user is.', { referenceTypes: ['User'], mutability: 'immutable' }),
      ],
      { multiValued: true },
    ),
  ],
};

export type Kind = 'User' | 'Group';

export interface ResourceType {
  readonly kind: Kind;
  /** `/Users` */
  readonly endpoint: string;
  readonly description: string;
  readonly schema: Schema;
  readonly extensions: readonly Schema[];
}

export const RESOURCE_TYPES: Readonly<Record<Kind, ResourceType>> = {
  User: { kind: 'User', endpoint: '/Users', description: 'Persons', schema: user, extensions: [enterprise] },
  Group: { kind: 'Group', endpoint: '/Groups', description: 'Groups', schema: group, extensions: [] },
};

/** Known attributes of a resource itself, beside its extensions; `id` and `externalId` included. */
export const coreAttributes = (type: ResourceType): readonly Attribute[] => [...COMMON, ...type.schema.attributes];

/** Names are compared without case (RFC 7643, section 2.1). */
export function findAttribute(attributes: readonly Attribute[] | undefined, name: string): Attribute | undefined {
  const lower = name.toLowerCase();
  return attributes?.find((one) => one.name.toLowerCase() === lower);
}

/** The known extension of this URN, in whatever case it is written. */
export function findExtension(type: ResourceType, urn: string): Schema | undefined {
  const lower = urn.toLowerCase();
  return type.extensions.find(({ id }) => id.toLowerCase() === lower);
}

export { user as userSchema, enterprise as enterpriseSchema, group as groupSchema };
export { attribute as makeAttribute };

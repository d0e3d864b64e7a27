/** What this server can do, in its own words (RFC 7643, sections 5 to 7). */
import type { JsonObject } from '../../events/index.js';
import { PAGE_MAX } from './search.js';
import {
  enterpriseSchema,
  groupSchema,
  makeAttribute,
  RESOURCE_TYPES,
  userSchema,
  type Attribute,
  type ResourceType,
  type Schema,
} from './schema.js';

const CORE = 'urn:ietf:params:scim:schemas:core:2.0:';
const supported = (is: boolean): JsonObject => ({ supported: is });

export const describeService = (base: string): JsonObject => ({
  schemas: [`${CORE}ServiceProviderConfig`],
  patch: supported(true),
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults: PAGE_MAX },
  changePassword: supported(false),
  sort: supported(false),
  etag: supported(true),
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'Bearer token',
      description: 'A token with the scope provision, made with `keelson tokens create`',
      specUri: 'https://www.rfc-editor.org/rfc/rfc6750',
      primary: true,
    },
  ],
  meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
});

export const describeResourceType = (
  { kind, endpoint, description, schema, extensions }: ResourceType,
  base: string,
): JsonObject => ({
  schemas: [`${CORE}ResourceType`],
  id: kind,
  name: kind,
  endpoint,
  description,
  schema: schema.id,
  ...(extensions.length === 0
    ? {}
    : { schemaExtensions: extensions.map(({ id }) => ({ schema: id, required: false })) }),
  meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${kind}` },
});

/** Every schema; common attributes are those of every resource and not listed with each, but for the external id (RFC 7643, section 3.1). */
export const describeSchemas = (base: string): JsonObject[] =>
  [userSchema, groupSchema, enterpriseSchema, ...META].map((schema) => describeSchema(schema, base));

const describeSchema = ({ id, name, description, attributes }: Schema, base: string): JsonObject => ({
  schemas: [`${CORE}Schema`],
  id,
  name,
  description,
  attributes: attributes.map(describeAttribute),
  meta: { resourceType: 'Schema', location: `${base}/Schemas/${id}` },
});

function describeAttribute(one: Attribute): JsonObject {
  const { name, type, multiValued, description, required, caseExact, mutability, returned, uniqueness } = one;
  return {
    name,
    type,
    multiValued,
    description,
    required,
    ...(type === 'string' || type === 'reference' || type === 'binary' ? { caseExact, uniqueness } : {}),
    mutability,
    returned,
    ...(one.referenceTypes === undefined ? {} : { referenceTypes: [...one.referenceTypes] }),
    ...(one.subAttributes === undefined ? {} : { subAttributes: one.subAttributes.map(describeAttribute) }),
  };
}

const READ = { mutability: 'readOnly' } as const;
const text = (name: string, description: string, more: Partial<Attribute> = {}): Attribute =>
  makeAttribute(name, 'string', description, { ...READ, ...more });
const flag = (name: string, description: string): Attribute =>
  makeAttribute(name, 'boolean', description, { ...READ, required: true });
const part = (
  name: string,
  description: string,
  subAttributes: readonly Attribute[],
  more: Partial<Attribute> = {},
): Attribute => makeAttribute(name, 'complex', description, { ...READ, subAttributes, ...more });
const support = (name: string, description: string, more: readonly Attribute[] = []): Attribute =>
  part(name, description, [flag('supported', 'Whether it is.'), ...more], { required: true });
const count = (name: string, description: string): Attribute =>
  makeAttribute(name, 'integer', description, { ...READ, required: true });

/** The parts of an attribute's description; a sub-attribute has no parts of its own. */
const attributeParts = (more: readonly Attribute[]): readonly Attribute[] => [
  text('name', 'Its name.', { caseExact: true }),
  text('type', 'What it holds.'),
  makeAttribute('multiValued', 'boolean', 'Whether it is a list.', READ),
  text('description', 'What it is.'),
  makeAttribute('required', 'boolean', 'Whether every resource has it.', READ),
  text('canonicalValues', 'Usual values.', { multiValued: true }),
  makeAttribute('caseExact', 'boolean', 'Whether case matters.', READ),
  text('mutability', 'Who may change it.'),
  text('returned', 'When it is returned.'),
  text('uniqueness', 'Whether it is unique.'),
  text('referenceTypes', 'What it refers to.', { multiValued: true }),
  ...more,
];

const META: readonly Schema[] = [
  {
    id: `${CORE}ServiceProviderConfig`,
    name: 'ServiceProviderConfig',
    description: 'What the server can do.',
    attributes: [
      makeAttribute('documentationUri', 'reference', 'Its documentation.', { ...READ, referenceTypes: ['external'] }),
      support('patch', 'PATCH.'),
      support('bulk', 'Many operations in one request.', [
        count('maxOperations', 'Operations at most.'),
        count('maxPayloadSize', 'Bytes at most.'),
      ]),
      support('filter', 'Filters.', [count('maxResults', 'Resources in one answer at most.')]),
      support('changePassword', 'Changing passwords.'),
      support('sort', 'Sorting.'),
      support('etag', 'Versions.'),
      part(
        'authenticationSchemes',
        'How clients authenticate.',
        [
          text('type', 'The kind.', { required: true }),
          text('name', 'Its name.', { required: true }),
          text('description', 'What it is.', { required: true }),
          makeAttribute('specUri', 'reference', 'Its specification.', { ...READ, referenceTypes: ['external'] }),
          makeAttribute('primary', 'boolean', 'Whether it is the preferred one.', READ),
        ],
        { multiValued: true, required: true },
      ),
    ],
  },
  {
    id: `${CORE}ResourceType`,
    name: 'ResourceType',
    description: 'A kind of resource.',
    attributes: [
      text('id', 'Its id.'),
      text('name', 'Its name.', { required: true }),
      text('description', 'What it is.'),
      makeAttribute('endpoint', 'reference', 'Where its resources are.', {
        ...READ,
        required: true,
        referenceTypes: ['uri'],
      }),
      makeAttribute('schema', 'reference', 'Its schema.', { ...READ, required: true, referenceTypes: ['uri'] }),
      part(
        'schemaExtensions',
        'Its extensions.',
        [
          makeAttribute('schema', 'reference', 'The schema.', { ...READ, required: true, referenceTypes: ['uri'] }),
          flag('required', 'Whether every resource has it.'),
        ],
        { multiValued: true },
      ),
    ],
  },
  {
    id: `${CORE}Schema`,
    name: 'Schema',
    description: 'A schema.',
    attributes: [
      text('id', 'Its URN.', { required: true }),
      text('name', 'Its name.'),
      text('description', 'What it is.'),
      part(
        'attributes',
        'Its attributes.',
        attributeParts([part('subAttributes', 'Their parts.', attributeParts([]), { multiValued: true })]),
        { multiValued: true, required: true },
      ),
    ],
  },
];

export const describeResourceTypes = (base: string): JsonObject[] =>
  Object.values(RESOURCE_TYPES).map((type) => describeResourceType(type, base));

import { Type, type Static } from 'typebox';

/** What provisioning reads from the environment. */
export const provisioningSettings = Type.Object({
  KEELSON_SCIM_WAIT_MS: Type.Integer({
    default: 8_000,
    minimum: 100,
    maximum: 60_000,
    description: 'How long a SCIM write waits until the ledger has it; then 503, and the client sends it again',
  }),
  KEELSON_SCIM_BODY_BYTES: Type.Integer({
    default: 8 * 1024 * 1024,
    minimum: 1024,
    maximum: 64 * 1024 * 1024,
    description: 'Largest body of a SCIM request',
  }),
  KEELSON_SCIM_SCAN: Type.Integer({
    default: 10_000,
    minimum: 100,
    maximum: 1_000_000,
    description: 'Resources of a source that a filter without an equality on a name may look through; else `tooMany`',
  }),
  KEELSON_OAUTH_WAIT_MS: Type.Integer({
    default: 5_000,
    minimum: 100,
    maximum: 60_000,
    description: 'How long a token revocation or a logout waits until the ledger has it; then 503, to be sent again',
  }),
  KEELSON_HR_WAIT_MS: Type.Integer({
    default: 2_000,
    minimum: 0,
    maximum: 60_000,
    description:
      'How long an HR webhook waits until the ledger has it, unless it says so; then 202: durable, and on its way',
  }),
  KEELSON_HR_BODY_BYTES: Type.Integer({
    default: 16 * 1024 * 1024,
    minimum: 1024,
    maximum: 64 * 1024 * 1024,
    description: 'Largest body of an HR webhook',
  }),
  KEELSON_HR_PEOPLE: Type.Integer({
    default: 10_000,
    minimum: 1,
    maximum: 100_000,
    description: 'Persons that one HR webhook may be about; `too_many_items`',
  }),
});
export type ProvisioningSettings = Static<typeof provisioningSettings>;

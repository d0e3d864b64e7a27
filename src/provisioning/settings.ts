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
});
export type ProvisioningSettings = Static<typeof provisioningSettings>;

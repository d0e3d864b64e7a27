import { Type, type Static } from 'typebox';

/** What revocation reads from the environment. */
export const revocationSettings = Type.Object({
  KEELSON_REVOCATION_HOLD_COUNT: Type.Integer({
    default: 50,
    minimum: 0,
    description:
      'More leavers than this from one source within an hour, and more than the share, wait for a second person',
  }),
  KEELSON_REVOCATION_HOLD_SHARE: Type.Number({
    default: 0.05,
    minimum: 0,
    maximum: 1,
    description: 'Share of all persons a source ever named, for the same',
  }),
  KEELSON_REVOCATION_HOLD_S: Type.Integer({
    default: 900,
    minimum: 1,
    maximum: 86_400,
    description: 'How long they wait at most: then they happen unless denied',
  }),
  KEELSON_REVOCATION_OVERDUE_S: Type.Integer({
    default: 30,
    minimum: 1,
    description:
      'A cause that is neither ordered, held nor scheduled so long after its commit makes the service not ready',
  }),
  KEELSON_REVOCATION_TOKEN_DAYS: Type.Integer({
    default: 366,
    minimum: 1,
    maximum: 36_600,
    description: 'No token lives longer than this: older cutoffs and blocks of single tokens are forgotten',
  }),
  KEELSON_REVOCATION_SKEW_MS: Type.Integer({
    default: 5_000,
    minimum: 0,
    maximum: 300_000,
    description: 'How far the clock of an issuer of tokens may differ from Keelson’s',
  }),
  KEELSON_CASE_WARN_S: Type.Integer({
    default: 5,
    minimum: 0,
    maximum: 60,
    description: 'A case that goes on for so long after its last part is warned of; 0: never',
  }),
  KEELSON_CASE_RETRY_S: Type.Integer({
    default: 10,
    minimum: 0,
    maximum: 60,
    description: 'After so long, instances that have not attested it are made to connect again; 0: never',
  }),
  KEELSON_CASE_CALL_S: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 60,
    description: 'After so long, a webhook `case.late` is sent; 0: never',
  }),
  KEELSON_CASE_QUARANTINE_S: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 60,
    description:
      'After so long, points of instances that have not attested it get no leases until an administrator lets them go on; 0: never',
  }),
});
export type RevocationSettings = Static<typeof revocationSettings>;

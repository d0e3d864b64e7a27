import { Type, type Static } from 'typebox';

/** What checking registrations reads from the environment. */
export const registrationSettings = Type.Object({
  KEELSON_REGISTRATION_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Whose evidence is believed: trust domains, signers, approved clients ([registration.md](registration.md)). Read again when it changes. Absent: nothing is checked',
    }),
  ),
  KEELSON_REGISTRATION_RETRY_S: Type.Integer({
    default: 3_600,
    minimum: 0,
    maximum: 604_800,
    description:
      'How long a client’s metadata document that can’t be had is asked for again, before the client has failed',
  }),
});
export type RegistrationSettings = Static<typeof registrationSettings>;

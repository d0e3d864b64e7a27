import { Type, type Static } from 'typebox';

/** Every limit of intake. What is beyond one is answered with the code named here. */
export const intakeSettings = Type.Object({
  KEELSON_INTAKE_BODY_BYTES: Type.Integer({
    default: 8 * 1024 * 1024,
    minimum: 1024,
    description: 'Largest upload as it comes over the wire; `too_large`',
  }),
  KEELSON_INTAKE_DECODED_BYTES: Type.Integer({
    default: 32 * 1024 * 1024,
    minimum: 1024,
    description: 'Largest upload when decompressed; `too_large`',
  }),
  KEELSON_INTAKE_MAX_ITEMS: Type.Integer({
    default: 20_000,
    minimum: 1,
    description: 'Events in one upload; `too_many_items`',
  }),
  KEELSON_INTAKE_EVENT_BYTES: Type.Integer({
    default: 4 * 1024 * 1024,
    minimum: 1024,
    description: 'Largest single event; `too_large`',
  }),
  KEELSON_INTAKE_MAX_DEPTH: Type.Integer({
    default: 64,
    minimum: 4,
    maximum: 1000,
    description: 'Nesting of arrays and objects in an event; `too_deep`',
  }),
  KEELSON_INTAKE_MAX_STRING: Type.Integer({
    default: 1024 * 1024,
    minimum: 256,
    description: 'Characters of one string, member name or number in an event; `string_too_long`',
  }),
  KEELSON_INTAKE_MAX_VALUES: Type.Integer({
    default: 100_000,
    minimum: 100,
    description: 'Values in one event; `too_many_items`',
  }),
  KEELSON_INTAKE_PACK_BYTES: Type.Integer({
    default: 512 * 1024,
    minimum: 70_000,
    maximum: 1_000_000,
    description: 'What one message of the event log may weigh under load',
  }),
  KEELSON_INTAKE_APPEND_TIMEOUT_MS: Type.Integer({
    default: 15_000,
    minimum: 100,
    description: 'How long an append that may have failed is tried again before its requests are answered 503',
  }),
  KEELSON_INTAKE_MAX_WAIT_S: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 300,
    description: 'Longest `Prefer: wait` that is honoured, in seconds',
  }),
  KEELSON_INTAKE_SAMPLE_BYTES: Type.Integer({
    default: 64 * 1024,
    minimum: 0,
    description: 'How much is kept of an OPA upload that is too large to be kept whole',
  }),
});
export type IntakeSettings = Static<typeof intakeSettings>;

/**
 * What an event takes beside its bytes: memory for its record and its result until all of its upload is durable, and as much work
 * as so many bytes of it.
 */
export const EVENT_COST_BYTES = 512;

/** The most that one upload within these limits holds in memory. */
export const uploadMemoryBytes = (settings: IntakeSettings): number =>
  settings.KEELSON_INTAKE_BODY_BYTES +
  settings.KEELSON_INTAKE_DECODED_BYTES +
  settings.KEELSON_INTAKE_MAX_ITEMS * EVENT_COST_BYTES;

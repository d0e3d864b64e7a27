import { Type, type Static } from 'typebox';

/** What the feed reads from the environment. */
export const feedSettings = Type.Object({
  KEELSON_FEED_JOIN_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Which workloads join which point by a JWT-SVID or the token of a Kubernetes service account ([feed.md](feed.md)). Read again when it changes. Absent: enrolment tokens alone',
    }),
  ),
  KEELSON_FEED_KEPT_CHANGES: Type.Integer({
    default: 65_536,
    minimum: 1_024,
    maximum: 4_194_304,
    description: 'Changes that a feed process keeps for those who missed them; who missed more fetches a snapshot',
  }),
  KEELSON_FEED_CONNECTIONS: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Instances connected to one feed process, at most',
  }),
  KEELSON_FEED_BUFFER_BYTES: Type.Integer({
    default: 4 * 1024 * 1024,
    minimum: 64 * 1024,
    maximum: 256 * 1024 * 1024,
    description: 'What may wait for a slow reader before it is cut off',
  }),
});
export type FeedSettings = Static<typeof feedSettings>;

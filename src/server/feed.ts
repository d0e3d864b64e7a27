import type { Registry } from 'prom-client';
import { Acks } from '../feed/acks.js';
import { Admissions } from '../feed/admission.js';
import { Enrolments } from '../feed/enrolments.js';
import { Feed } from '../feed/feed.js';
import { Instances } from '../feed/instances.js';
import { FeedMetrics } from '../feed/metrics.js';
import { registerJoin } from '../feed/join-route.js';
import { FeedKeys } from '../feed/keys.js';
import { readLeasesEnd, readSilence } from '../feed/leases.js';
import { Limits } from '../feed/limits.js';
import { Points } from '../feed/points.js';
import { registerPoints } from '../feed/point-routes.js';
import { registerFeed } from '../feed/routes.js';
import { registerSocket } from '../feed/socket.js';
import { NO_WORKLOADS, readWorkloads } from '../feed/workload/configuration.js';
import { Workloads } from '../feed/workload/workloads.js';
import type { Bundle } from '../identity/registration/bundle.js';
import { WatchedConfiguration } from '../identity/registration/configuration-file.js';
import { FeedStore } from '../feed/store.js';
import { createCursors } from '../http/cursor.js';
import type { Http } from '../http/http.js';
import type { Readiness } from '../http/readiness.js';
import { KeelsonError } from '../core/error.js';
import type { Intake } from '../intake/intake.js';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import type { PointsPort } from '../revocation/cases/points-port.js';
import { FENCED_AFTER_US } from '../revocation/cases/standing.js';
import type { Foundation } from './foundation.js';
import { revocationMaterial, type RunningRevocation } from './revocation.js';

const FEED_POOL_SIZE = 2;
/** Connections that hold the locks of statements: so many at once. */
const LOCK_POOL_SIZE = 8;

export interface RunningFeed {
  register(http: Http): Promise<void>;
  /** What cases ask of it. */
  readonly points: PointsPort;
  readonly close: () => Promise<void>;
}

/** Starts what tells enforcement points of the table, and its routes. */
export async function openFeed(
  foundation: Foundation,
  intake: Intake,
  readiness: Readiness,
  metrics: Registry,
  believed: { readonly bundles: () => ReadonlyMap<string, Bundle> },
  revocation: Pick<RunningRevocation, 'onFacts'>,
): Promise<RunningFeed> {
  const { config, logger, clock, database, storage, installation, keyring } = foundation;
  const { ledgerName: ledger } = installation;
  const generation = Number(installation.generation.slice(1));
  const realm = { ledger, verifier: nodeVerifier };
  const keys = await FeedKeys.open({ database, clock, dataFolder: storage.dataFolder, realm, logger });
  keys.start();
  const feedMetrics = new FeedMetrics(metrics);
  feedMetrics.gauge('keelson_feed_key_set_version', 'Version of the set of feed keys in force', () => keys.version);
  feedMetrics.gauge(
    'keelson_feed_key_set_expires_seconds',
    'When that set expires, seconds since 1970',
    () => keys.expiresUs / 1e6,
  );
  const locks = storage.openPool(LOCK_POOL_SIZE);
  const instances = new Instances({ database, locks, clock, intake, ledger, generation });
  const points = new Points({ database, clock, intake, instances });
  const enrolments = new Enrolments({ database, clock });
  const joinFile = new WatchedConfiguration(
    { name: 'feed_join', setting: 'KEELSON_FEED_JOIN_FILE', nothing: NO_WORKLOADS, read: readWorkloads },
    { path: config.KEELSON_FEED_JOIN_FILE, logger, metrics },
  );
  joinFile.start();
  const workloads = new Workloads({ configuration: joinFile, bundles: believed.bundles, ledgerName: ledger, clock });
  const admissions = new Admissions({ enrolments, workloads });
  const feed = new Feed({
    // Of its own: who asks for other things must not keep anybody from a lease.
    store: new FeedStore(storage.openPool(FEED_POOL_SIZE), nodeHasher),
    databaseUrl: storage.databaseUrl,
    keys,
    ledger,
    generation,
    keptFacts: config.KEELSON_FEED_KEPT_CHANGES,
    clock,
    logger,
    metrics: feedMetrics,
    onPoints: (what) => points.changed(what),
  });
  const acks = new Acks({ intake, logger, realm, generation, metrics: feedMetrics });
  readiness.add('feed-keys', () => keys.check());
  readiness.add('feed', () => {
    if (feed.failure instanceof KeelsonError) throw feed.failure;
    if (feed.failure !== undefined) throw new KeelsonError('not_ready', 'the feed does not go on');
  });
  feedMetrics.gauge(
    'keelson_feed_lag_entries',
    'Entries of lifecycle that are committed and not folded yet',
    () => feed.lagEntries,
  );
  feed.start();
  const stopHearing = revocation.onFacts((folded) => feed.hear(folded));
  const { guardKey } = revocationMaterial(foundation);
  const cursors = createCursors(keyring.macKey('cursor').export());
  const limits = new Limits(clock);
  const options = {
    feed,
    acks,
    keys,
    points,
    instances,
    realm,
    clock,
    limits,
    settings: config,
    metrics: feedMetrics,
    logger,
  };
  return {
    async register(http) {
      feedMetrics.watch(http);
      registerPoints(http, { points, enrolments, instances, cursors });
      registerJoin(http, { admissions, instances, realm, keys, guardKey, generation, limits });
      registerFeed(http, options);
      await registerSocket(http, options);
    },
    points: {
      silentUs: (instances) => readSilence(database, instances),
      leasesEndUs: (instances) => readLeasesEnd(database, instances, FENCED_AFTER_US),
      retireSilent: (instance, silentUs) => points.retireSilent(instance, silentUs),
      quarantine: (point, order) => points.quarantine(point, { reason_code: 'not_attested', order }),
      reconnect: (instances) => points.reconnect(instances),
    },
    close: async () => {
      stopHearing();
      await joinFile.close();
      await keys.close();
      await acks.close();
      await feed.close();
    },
  };
}

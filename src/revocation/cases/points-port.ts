/** What cases ask of the feed, which knows who has which lease. Instances are named by 32 hex digits. */
export interface PointsPort {
  /**
   * How long each of these has not asked for a lease, at least, by the database's clock, microseconds; of one that never did: since it
   * joined. Those that have not joined are left out.
   */
  silentUs(instances: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * By when every lease of these is over that was granted before this is called: microseconds since 1970, by the database's clock and by
   * what the event log's may differ from it; -Infinity: there is none. Who is left out may have any.
   */
  leasesEndUs(instances: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Takes an instance out for good if it has not asked for a lease for so long; and writes that, where it is out. */
  retireSilent(instance: string, silentUs: number): Promise<void>;
  /** Gives a point no leases until an administrator lets it go on. */
  quarantine(point: string, order: string): Promise<void>;
  /** Ends connections of this process, so that who is there connects again and hears what it missed. */
  reconnect(instances: readonly string[]): void;
}

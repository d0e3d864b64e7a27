-- How stale a guard's table may be where a tool is called: a fact of a key that has nothing else.
alter table keelson.revocation_fact add column staleness_us bigint
  check (staleness_us is null or (not blocked and cutoff_us is null));

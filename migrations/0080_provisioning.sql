-- What identity sources provisioned over SCIM (src/provisioning): a projection of lifecycle entries, rebuilt from the ledger alone.

create table keelson.scim_resource (
  -- The producer.
  source text not null,
  kind text not null check (kind in ('User', 'Group')),
  id text not null,
  version bigint not null check (version > 0),
  -- Users only.
  active boolean,
  -- A deleted one stays: its id is never given again, and whoever comes back is known.
  deleted boolean not null,
  -- The pseudonym of the person, in the events about them.
  subject bytea check ((subject is null) = (kind = 'Group')),
  -- What a token calls the group.
  claim text check ((claim is null) = (kind = 'User')),
  -- The record whose sealed attributes are the resource.
  record bytea not null,
  created_at_us bigint not null,
  modified_at_us bigint not null,
  -- The lifecycle entry that made it: the order of lists.
  made_at_index bigint not null,
  primary key (source, kind, id)
);
create index scim_resource_in_order on keelson.scim_resource (source, kind, made_at_index) where not deleted;
create index scim_resource_of_subject on keelson.scim_resource (source, subject) where subject is not null;

-- Names by which clients look a resource up: HMAC-SHA-256, so that a copy can't be searched by guessing. Erasing a subject takes
-- its names with it.
create table keelson.scim_name (
  source text not null,
  kind text not null,
  id text not null,
  attribute text not null,
  digest bytea not null check (octet_length(digest) = 32),
  subject bytea not null references keelson.subject on delete cascade,
  primary key (source, kind, id, attribute)
);
create index scim_name_by_digest on keelson.scim_name (source, kind, attribute, digest);
create index scim_name_by_subject on keelson.scim_name (subject);

-- Pseudonyms of the accounts that a source says are one user's.
create table keelson.scim_alias (
  source text not null,
  id text not null,
  subject bytea not null,
  primary key (source, subject, id)
);
create index scim_alias_of_user on keelson.scim_alias (source, id);

create table keelson.scim_member (
  source text not null,
  group_id text not null,
  user_id text not null,
  primary key (source, group_id, user_id)
);
create index scim_member_by_user on keelson.scim_member (source, user_id);

grant select, insert, update, delete, truncate on
  keelson.scim_resource, keelson.scim_name, keelson.scim_alias, keelson.scim_member to keelson_writer;

-- One scope more.
alter table keelson.api_token drop constraint api_token_scopes_check;
alter table keelson.api_token add constraint api_token_scopes_check check (cardinality(scopes) between 1 and 10);

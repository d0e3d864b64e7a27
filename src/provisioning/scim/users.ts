/** What becomes of a user: joiners, leavers, those who come back. Each change is told as an event of its own kind. */
import { isDeepStrictEqual } from 'node:util';
import { KeelsonError } from '../../core/error.js';
import { makeObject, type JsonObject } from '../../events/index.js';
import type { Person } from '../../vault/index.js';
import type { Outgoing } from '../publication.js';
import { planAliases, type AliasPlan } from './aliases.js';
import { copyDraft, type Draft } from './patch.js';
import { normalizeResource, requireComplete } from './resource.js';
import {
  chooseId,
  findRivals,
  nameLocks,
  openRows,
  personJson,
  requireResource,
  requireUnique,
  type Expected,
  type ScimParts,
} from './resources.js';
import { RESOURCE_TYPES } from './schema.js';
import { scimIssuer } from '../../access/producer.js';
import type { Source } from './source.js';
import type { ResourceRow } from './store.js';

const USER = RESOURCE_TYPES.User;
const UNIQUE = ['userName', 'externalId'];

/** What an event is about beside its type. */
interface About {
  readonly source: Source;
  readonly id: string;
  readonly version: bigint;
  readonly principal: Person;
}

/** @returns the id it got. @throws KeelsonError `invalid_value`, `not_unique`; as `ScimWriter.write` */
export async function createUser(parts: ScimParts, source: Source, body: JsonObject): Promise<string> {
  const user = normalizeResource(body, USER);
  requireComplete(user, USER);
  user.active ??= true;
  return parts.writer.write(source, nameLocks(parts, source, 'User', user), async () => {
    const rivals = await findRivals(parts, source, 'User', user, UNIQUE);
    requireUnique(rivals);
    const rehired = rivals.find(({ attribute }) => attribute === 'externalId')?.row;
    const id = await chooseId(parts, source, 'User', user);
    const principal = (rehired === undefined ? undefined : await identify(parts, rehired)) ?? {
      issuer: scimIssuer(source.id),
      id,
    };
    const about = { source, id, version: 1n, principal };
    const plan = await planLinks(parts, source, user, id, true, rehired);
    const events = await tellLinks(parts, about, plan);
    const active = user.active === true;
    const types = ['principal.joined'];
    // Whoever is made inactive has nothing here until they are activated.
    if (!active) types.push('principal.offboarded');
    else if (rehired !== undefined) types.push('principal.reinstated');
    for (const type of types.slice(0, -1)) events.push(tell(about, type, type));
    events.push(carry(about, types.at(-1)!, user, { active, deleted: false }));
    return { events, result: id };
  });
}

/**
 * Changes a user by a PATCH or PUT.
 * @param change makes of the draft what it is to become, in place
 * @throws KeelsonError what `change` does; `not_found`, `version_mismatch`, `invalid_value`, `not_unique`; as `ScimWriter.write`
 */
export async function updateUser(
  parts: ScimParts,
  source: Source,
  id: string,
  expected: Expected,
  change: (draft: Draft) => void,
): Promise<void> {
  await parts.writer.write(source, [`User/${id}`], async (lock) => {
    const { row, resource } = await requireResource(parts, source, 'User', id, expected);
    const draft = copyDraft(resource, []);
    change(draft);
    const user = normalizeResource(draft.resource, USER);
    const active =
      typeof user.active === 'boolean' ? user.active : draft.resource.active !== null && row.active === true;
    requireComplete(user, USER);
    if (isDeepStrictEqual(user, resource)) return { events: [], result: undefined };
    const locks = nameLocks(parts, source, 'User', user);
    if (!isDeepStrictEqual(locks, nameLocks(parts, source, 'User', resource))) {
      await lock(locks);
      requireUnique(await findRivals(parts, source, 'User', user, UNIQUE, id));
    }
    const about = { source, id, version: row.version + 1n, principal: await requirePrincipal(parts, row) };
    const events = await tellLinks(parts, about, await planLinks(parts, source, user, id, active, row));
    events.push(carry(about, typeOfChange(row.active === true, active), user, { active, deleted: false }));
    return { events, result: undefined };
  });
}

function typeOfChange(before: boolean, after: boolean): string {
  if (before === after) return 'principal.updated';
  return after ? 'principal.reinstated' : 'principal.offboarded';
}

/** A PUT: all of it is new, but what it does not say of being active. */
export const replaceUser =
  (body: JsonObject) =>
  ({ resource }: Draft): void => {
    const { active } = resource;
    for (const key of Object.keys(resource)) delete resource[key];
    Object.assign(resource, normalizeResource(body, USER));
    if (resource.active === undefined && active !== undefined) resource.active = active;
  };

/** DELETE: whatever `active: false` means to the source, who is deleted has left. @throws as `updateUser` */
export async function deleteUser(parts: ScimParts, source: Source, id: string, expected: Expected): Promise<void> {
  await parts.writer.write(source, [`User/${id}`], async () => {
    const { row, resource } = await requireResource(parts, source, 'User', id, expected);
    const about = { source, id, version: row.version + 1n, principal: await requirePrincipal(parts, row) };
    const user = Object.assign(resource, { active: false });
    return {
      events: [carry(about, 'principal.offboarded', user, { active: false, deleted: true })],
      result: undefined,
    };
  });
}

/**
 * Links of a user as it will be. A mapping that can't be followed, or an account that is another's, refuses a change, but never that
 * somebody is deactivated.
 */
async function planLinks(
  parts: ScimParts,
  source: Source,
  user: JsonObject,
  id: string,
  strict: boolean,
  known: ResourceRow | undefined,
): Promise<AliasPlan> {
  const planner = { ...parts, open: async (row: ResourceRow) => (await openRows(parts, [row]))[0] };
  try {
    return await planAliases(planner, source, Object.assign(makeObject(), user, { id }), id, known);
  } catch (error) {
    if (strict || !(error instanceof KeelsonError)) throw error;
    if (error.code === 'invalid_value' || error.code === 'not_unique') return { link: [], unlink: [] };
    throw error;
  }
}

async function tellLinks(parts: ScimParts, about: About, { link, unlink }: AliasPlan): Promise<Outgoing[]> {
  const events: Outgoing[] = [];
  for (const { holder, aliases } of unlink) {
    const principal = await requirePrincipal(parts, holder);
    const given = { ...about, id: holder.id, principal };
    const event = tell(given, 'principal.unlinked', `unlinked-for/${about.id}/${about.version}`, holder.version);
    event.event.aliases = aliases.map(personJson);
    events.push(event);
  }
  if (link.length > 0) {
    const event = tell(about, 'principal.linked', 'linked');
    event.event.aliases = link.map(personJson);
    events.push(event);
  }
  return events;
}

/** An event beside the one that carries the resource. */
function tell(about: About, type: string, what: string, version = about.version): Outgoing {
  const { source, id, principal } = about;
  return {
    id: `scim/User/${id}/${version}/${what}`,
    event: {
      type,
      principal: personJson(principal),
      source_system: 'scim',
      provisioned: { source: source.id, resource: id },
    },
  };
}

/** The event that carries the resource: one for each version. */
function carry(
  about: About,
  type: string,
  user: JsonObject,
  { active, deleted }: { active: boolean; deleted: boolean },
): Outgoing {
  const { source, id, version, principal } = about;
  const event: JsonObject = {
    type,
    principal: personJson(principal),
    source_system: 'scim',
    provisioned: { source: source.id, resource: id, version: Number(version), active, deleted },
    attributes: user,
  };
  if (type === 'principal.offboarded') {
    event.scope = deleted || source.config.activeFalse === 'leaver' ? 'everything' : 'source';
    event.reason_code = deleted ? 'scim.deleted' : 'scim.active_false';
    event.reason = deleted ? `${source.id} deleted the user` : `${source.id} set the user inactive`;
  }
  if (type === 'principal.reinstated') {
    event.reason_code = version === 1n ? 'scim.rehired' : 'scim.active_true';
    event.reason = version === 1n ? `${source.id} made the user again` : `${source.id} set the user active`;
  }
  return { id: `scim/User/${id}/${version}`, event };
}

async function identify({ vault }: ScimParts, { subject }: ResourceRow): Promise<Person | undefined> {
  return subject === null ? undefined : (await vault.identify([subject])).get(subject.toString('hex'));
}

async function requirePrincipal(parts: ScimParts, row: ResourceRow): Promise<Person> {
  const person = await identify(parts, row);
  if (person === undefined) throw new KeelsonError('not_found', 'this user was erased');
  return person;
}

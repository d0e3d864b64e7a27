/** What becomes of a group, and of those in it: every member who comes or goes is a mover. */
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../../events/index.js';
import { KeelsonError } from '../../core/error.js';
import type { Outgoing } from '../publication.js';
import { keyIn } from './attribute-path.js';
import { copyDraft, type Draft } from './patch.js';
import { invalidValue, normalizeResource, readMembers, requireComplete } from './resource.js';
import {
  chooseId,
  findRivals,
  nameLocks,
  personJson,
  requireResource,
  requireUnique,
  type Expected,
  type ScimParts,
} from './resources.js';
import { RESOURCE_TYPES } from './schema.js';
import { readClaim, type Source } from './source.js';

const GROUP = RESOURCE_TYPES.Group;

/** What moves a user. */
interface Move {
  readonly user: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** @returns the id it got. @throws KeelsonError `invalid_value`, `not_unique`, `too_large`; as `ScimWriter.write` */
export async function createGroup(parts: ScimParts, source: Source, body: JsonObject): Promise<string> {
  const group = normalizeResource(body, GROUP);
  requireComplete(group, GROUP);
  const members = [...new Set(readMembers(body[keyIn(body, 'members')]))];
  return parts.writer.write(source, nameLocks(parts, source, 'Group', group), async () => {
    requireUnique(await findRivals(parts, source, 'Group', group, uniqueNames(source)));
    const id = await chooseId(parts, source, 'Group', group);
    const claim = readClaim(source, id, group);
    await requireUniqueClaim(parts, source, claim, id);
    const moves = members.map((user) => ({ user, added: [claim], removed: [] }));
    const events = await tellMoves(parts, source, id, 1n, moves);
    events.push(carry(source, id, 1n, 'group.provisioned', claim, group));
    return { events, result: id };
  });
}

/**
 * Changes a group by a PATCH or PUT.
 * @param change makes of the draft what it is to become, in place
 * @throws KeelsonError what `change` does; `not_found`, `version_mismatch`, `invalid_value`, `not_unique`; as `ScimWriter.write`
 */
export async function updateGroup(
  parts: ScimParts,
  source: Source,
  id: string,
  expected: Expected,
  change: (draft: Draft) => void,
): Promise<void> {
  await parts.writer.write(source, [`Group/${id}`], async (lock) => {
    const { row, resource } = await requireResource(parts, source, 'Group', id, expected);
    const before = new Set(await parts.store.membersOf(source.id, id));
    const draft = copyDraft(resource, before);
    change(draft);
    const group = normalizeResource(draft.resource, GROUP);
    requireComplete(group, GROUP);
    const claim = readClaim(source, id, group);
    const oldClaim = row.claim!;
    if (!isDeepStrictEqual(group, resource)) {
      await lock(nameLocks(parts, source, 'Group', group));
      requireUnique(await findRivals(parts, source, 'Group', group, uniqueNames(source), id));
      if (claim !== oldClaim) await requireUniqueClaim(parts, source, claim, id);
    }
    const moves = compareMembers(before, draft.members, oldClaim, claim);
    if (moves.length === 0 && isDeepStrictEqual(group, resource)) return { events: [], result: undefined };
    const version = row.version + 1n;
    const events = await tellMoves(parts, source, id, version, moves);
    events.push(carry(source, id, version, 'group.provisioned', claim, group));
    return { events, result: undefined };
  });
}

/** A PUT. Without `members` it leaves them; an empty list takes all out. */
export const replaceGroup =
  (body: JsonObject) =>
  ({ resource, members }: Draft): void => {
    for (const key of Object.keys(resource)) delete resource[key];
    Object.assign(resource, normalizeResource(body, GROUP));
    const listed = body[keyIn(body, 'members')];
    if (listed === undefined) return;
    members.clear();
    for (const id of readMembers(listed)) members.add(id);
  };

/** Everybody in it loses it. @throws as `updateGroup` */
export async function deleteGroup(parts: ScimParts, source: Source, id: string, expected: Expected): Promise<void> {
  await parts.writer.write(source, [`Group/${id}`], async () => {
    const { row, resource } = await requireResource(parts, source, 'Group', id, expected);
    const members = await parts.store.membersOf(source.id, id);
    const moves = members.map((user) => ({ user, added: [], removed: [row.claim!] }));
    const version = row.version + 1n;
    const events = await tellMoves(parts, source, id, version, moves);
    events.push(carry(source, id, version, 'group.removed', row.claim!, resource));
    return { events, result: undefined };
  });
}

/** What tokens name a group by must name one group only: who leaves one would lose the other. */
const uniqueNames = ({ config }: Source): string[] =>
  config.groupClaim === 'displayName' ? ['displayName', 'externalId'] : ['externalId'];

async function requireUniqueClaim({ store }: ScimParts, source: Source, claim: string, id: string): Promise<void> {
  const rivals = (await store.findClaim(source.id, claim)).filter((row) => row.id !== id);
  if (rivals.length > 0) throw new KeelsonError('not_unique', `another group has the same ${source.config.groupClaim}`);
}

/** Who came, who went; and, where tokens call the group otherwise now, everyone who stays. */
function compareMembers(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
  oldClaim: string,
  claim: string,
): Move[] {
  const moves: Move[] = [];
  for (const user of before) {
    if (!after.has(user)) moves.push({ user, added: [], removed: [oldClaim] });
    else if (claim !== oldClaim) moves.push({ user, added: [claim], removed: [oldClaim] });
  }
  for (const user of after) if (!before.has(user)) moves.push({ user, added: [claim], removed: [] });
  return moves;
}

/** @throws KeelsonError `invalid_value` where somebody who is to be added is no user of this source. */
async function tellMoves(
  { store, vault }: ScimParts,
  source: Source,
  group: string,
  version: bigint,
  moves: readonly Move[],
): Promise<Outgoing[]> {
  if (moves.length === 0) return [];
  const rows = await store.findAll(
    source.id,
    'User',
    moves.map(({ user }) => user),
  );
  const users = new Map(rows.map((row) => [row.id, row]));
  const missing = moves.find(({ user, added }) => added.length > 0 && users.get(user)?.deleted !== false);
  if (missing !== undefined) throw invalidValue(`there is no user ${missing.user.slice(0, 80)} to be a member`);
  const persons = await vault.identify(rows.flatMap(({ subject }) => subject ?? []));
  return moves.flatMap(({ user, added, removed }) => {
    const person = persons.get(users.get(user)?.subject?.toString('hex') ?? '');
    // Erased: nothing can be said of them any more.
    if (person === undefined) return [];
    const event: JsonObject = {
      type: 'principal.moved',
      principal: personJson(person),
      source_system: 'scim',
      reason_code: 'scim.members',
      provisioned: { source: source.id, resource: user, group },
      ...(added.length === 0 ? {} : { groups_added: [...added] }),
      ...(removed.length === 0 ? {} : { groups_removed: [...removed] }),
    };
    return [{ id: `scim/Group/${group}/${version}/${user}`, event }];
  });
}

/** The event that carries the resource: one for each version, after those of its members. */
function carry(
  source: Source,
  id: string,
  version: bigint,
  type: 'group.provisioned' | 'group.removed',
  claim: string,
  group: JsonObject,
): Outgoing {
  const event: JsonObject = {
    type,
    group: claim,
    issuer: source.issuer,
    source_system: 'scim',
    provisioned: { source: source.id, resource: id, version: Number(version), deleted: type === 'group.removed' },
    attributes: group,
  };
  return { id: `scim/Group/${id}/${version}`, event };
}

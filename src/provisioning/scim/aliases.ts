/** Which links between a user and their accounts a change makes and ends. */
import { KeelsonError } from '../../core/error.js';
import type { JsonObject } from '../../events/index.js';
import type { Person } from '../../vault/index.js';
import { readAliases, type Source } from './source.js';
import type { ResourceRow, ScimStore } from './store.js';

export interface AliasVault {
  lookup(issuer: string, id: string): Promise<Buffer | undefined>;
  identify(pseudonyms: readonly Uint8Array[]): Promise<Map<string, Person>>;
}

export interface AliasPlan {
  /** Accounts to link to the user. */
  readonly link: readonly Person[];
  /** Accounts that were another’s, who has them no longer. */
  readonly unlink: readonly { readonly holder: ResourceRow; readonly aliases: readonly Person[] }[];
}

export interface AliasPlanner {
  readonly store: ScimStore;
  readonly vault: AliasVault;
  open(row: ResourceRow): Promise<JsonObject | undefined>;
}

/**
 * An account that a user had before a rename stays theirs: tokens that name it were theirs, and a leaver who is renamed stays blocked
 * under the old name, too. It is unlinked when the source gives it to another user, and not before.
 * @param user the resource as it will be, with its id
 * @param known a row of the same person: the one that is changed, or of whoever came back
 * @throws KeelsonError `not_unique` where another user has one of the accounts now; as `readAliases`
 */
export async function planAliases(
  planner: AliasPlanner,
  source: Source,
  user: JsonObject,
  id: string,
  known?: ResourceRow,
): Promise<AliasPlan> {
  const { store, vault } = planner;
  const wanted = await Promise.all(
    readAliases(source, user).map(async (person) => ({
      person,
      subject: await vault.lookup(person.issuer, person.id),
    })),
  );
  const linked = new Set((await store.aliasesOf(source.id, id)).map((subject) => subject.toString('hex')));
  const link = wanted.filter(({ subject }) => subject === undefined || !linked.has(subject.toString('hex')));
  const held = await store.aliasHolders(
    source.id,
    link.flatMap(({ subject }) => subject ?? []),
  );
  const unlink: { holder: ResourceRow; aliases: Person[] }[] = [];
  for (const holder of await store.findAll(source.id, 'User', [...new Set(held.map((one) => one.id))])) {
    if (holder.id === id || isSamePerson(holder, known)) continue;
    const aliases = link
      .filter(({ subject }) =>
        held.some((one) => one.id === holder.id && subject !== undefined && one.subject.equals(subject)),
      )
      .map(({ person }) => person);
    if (!holder.deleted) await requireGivenUp(planner, source, holder, aliases);
    unlink.push({ holder, aliases });
  }
  return { link: link.map(({ person }) => person), unlink };
}

const isSamePerson = (holder: ResourceRow, known: ResourceRow | undefined): boolean =>
  known?.subject != null && holder.subject?.equals(known.subject) === true;

async function requireGivenUp(
  planner: AliasPlanner,
  source: Source,
  holder: ResourceRow,
  aliases: readonly Person[],
): Promise<void> {
  const resource = await planner.open(holder);
  if (resource === undefined) return;
  let has: Person[] = [];
  try {
    has = readAliases(source, Object.assign(resource, { id: holder.id }));
  } catch (error) {
    // They have none any more.
    if (!(error instanceof KeelsonError)) throw error;
  }
  const still = aliases.find(({ issuer, id }) => has.some((one) => one.issuer === issuer && one.id === id));
  if (still === undefined) return;
  throw new KeelsonError('not_unique', `another user of this source has the same account at ${still.issuer}`);
}

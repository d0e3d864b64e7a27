/** The filters that `search` and `tail` share, made of the API's own description, and how a hit is shown. */
import { Option, type Command } from 'commander';
import type { TSchema } from 'typebox';
import { SearchQuery } from '../search/query.js';
import { asObject, textOf, type Answer } from './answer.js';
import type { Query } from './client.js';
import { formatJson, type TargetOptions } from './command.js';
import { formatTable } from './text.js';

/** Parameters that are no filters: the commands have options of their own for what they need of them. */
const CONTROLS = new Set(['limit', 'cursor', 'order', 'proof', 'waitMs']);
/** `--token` is the one to sign in with. */
const RENAMED: Readonly<Record<string, string>> = { token: 'jti' };

const FILTERS = Object.entries<TSchema & { description?: string }>(SearchQuery.properties)
  .filter(([name]) => !CONTROLS.has(name))
  .map(([name, schema]) => ({ name, option: RENAMED[name] ?? name, description: schema.description ?? '' }));

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Adds an option for each filter of the API. */
export const withFilters = (command: Command): Command =>
  FILTERS.reduce(
    (all, { option, description }) =>
      all.addOption(
        new Option(`--${kebab(option)} <value>`, description.charAt(0).toLowerCase() + description.slice(1)),
      ),
    command,
  );

/** The query parameters that the options ask for. */
export function readFilters(options: TargetOptions): Query {
  const given = options as Readonly<Record<string, string | undefined>>;
  return Object.fromEntries(FILTERS.map(({ name, option }) => [name, given[option]]));
}

/** One hit: with `--json` as the server tells it, else time, place and what happened. */
export function formatHits(hits: readonly Answer[], { json }: TargetOptions): string[] {
  if (json) return hits.map(formatJson);
  return formatTable(
    hits.map((hit) => {
      const event = hit.event === undefined ? {} : asObject(hit.event);
      const what = ['agent', 'principal', 'tool'].map((member) => textOf(event, member)).filter((text) => text !== '-');
      return [
        textOf(hit, 'appendedAt'),
        `${textOf(hit, 'log')} ${textOf(hit, 'index')}`,
        event.decision === undefined
          ? textOf(hit, hit.type === undefined ? 'kind' : 'type')
          : textOf(event, 'decision'),
        what.join('  '),
        textOf(hit, 'id'),
      ];
    }),
  );
}

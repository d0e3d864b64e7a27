/** Query parameters that lists share. They arrive as text and stay text in the schemas: nothing is coerced. */
import { Type } from 'typebox';
import { KeelsonError } from '../core/error.js';

export const DEFAULT_PAGE = 100;
export const MAX_PAGE = 1000;

/** Spread into a list's querystring schema. */
export const PageQuery = {
  limit: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,4}$',
      description: `Items a page, 1 to ${MAX_PAGE}; ${DEFAULT_PAGE} where absent`,
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: '`next` of the page before' })),
};

/**
 * A whole number in decimal, no sign, no leading zeros.
 * @throws KeelsonError `invalid_query` with the parameter's pointer.
 */
export function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new KeelsonError('invalid_query', `${name} must be a whole number from ${min} to ${max}`, {
      pointer: `/${name}`,
    });
  }
  return value;
}

/** The page size asked for. @throws KeelsonError `invalid_query`. */
export const pageLimit = (query: { limit?: string }): number =>
  query.limit === undefined ? DEFAULT_PAGE : parseInteger('limit', query.limit, 1, MAX_PAGE);

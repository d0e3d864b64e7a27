/** `GET /v1/cases`, `/v1/cases/:order`: how far each order is enforced. */
import type { FastifyContextConfig } from 'fastify';
import { Type } from 'typebox';
import { KeelsonError } from '../../core/error.js';
import type { Cursors } from '../../http/cursor.js';
import type { Http } from '../../http/http.js';
import { pageLimit, PageQuery } from '../../http/paging.js';
import { Problem } from '../../http/problem.js';
import type { CaseRow, Cases } from './cases.js';
import type { PointsPort } from './points-port.js';
import { withLeases, type CaseInstance } from './standing.js';
import type { TokensPort } from './tokens-port.js';
import { CaseDetail, CaseView } from './schemas.js';
import { viewCase, viewDetail, viewTokens } from './views.js';

export interface CaseRoutesOptions {
  readonly cases: Cases;
  readonly points: Pick<PointsPort, 'silentUs' | 'leasesEndUs'>;
  readonly tokens: TokensPort;
  readonly cursors: Cursors;
}

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['read', 'admin'] };
const LIST = '/v1/cases';

export function registerCases(http: Http, options: CaseRoutesOptions): void {
  const { cases, cursors } = options;
  http.get(
    LIST,
    {
      config,
      schema: {
        tags,
        summary: 'Orders and how far they are enforced, newest first',
        querystring: Type.Object(PageQuery, { additionalProperties: false }),
        response: {
          200: Type.Object({ items: Type.Array(CaseView), next: Type.Optional(Type.String()) }),
          '4xx': Problem,
        },
      },
    },
    async ({ query }) => {
      const limit = pageLimit(query);
      const before = query.cursor === undefined ? undefined : BigInt(cursors.parse(LIST, query.cursor)[0] as string);
      const rows = await cases.list(before, limit);
      const { instances } = await readInstances(options);
      const last = rows.at(-1);
      const items: CaseView[] = [];
      for (const row of rows) {
        items.push(viewCase(row, instances));
        await breathe();
      }
      return {
        items,
        ...(rows.length === limit && last !== undefined
          ? { next: cursors.format(LIST, [String(last.causeIndex)]) }
          : {}),
      };
    },
  );
  http.get(
    `${LIST}/:order`,
    {
      config,
      schema: {
        tags,
        summary: 'One case, with every instance',
        params: Type.Object({ order: Type.String({ maxLength: 64 }) }),
        response: { 200: CaseDetail, '4xx': Problem },
      },
    },
    async ({ params: { order } }) => {
      const row = await cases.find(order);
      if (row === undefined) throw new KeelsonError('not_found', 'there is no such order (yet)');
      const { instances, silentUs } = await readInstances(options);
      const tokens = await readTokens(options.tokens, row);
      return { ...viewDetail(row, instances, silentUs), ...(tokens === undefined ? {} : { tokens }) };
    },
  );
}

/** A case is told without them where the graph can't be asked. */
async function readTokens(port: TokensPort, row: CaseRow): Promise<CaseDetail['tokens']> {
  try {
    return viewTokens(await port.tokensOf(row));
  } catch (error) {
    if (error instanceof KeelsonError) return undefined;
    throw error;
  }
}

/** Between two cases others have their turn: with 10,000 instances and 1,000 cases the whole takes seconds. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** All instances, and how long each has not asked for a lease. */
export async function readInstances({ cases, points }: Pick<CaseRoutesOptions, 'cases' | 'points'>): Promise<{
  readonly instances: readonly CaseInstance[];
  readonly silentUs: ReadonlyMap<string, number>;
}> {
  const all = await cases.instances();
  const names = all.map(({ instance }) => instance);
  const [silentUs, leasesEndUs] = await Promise.all([points.silentUs(names), points.leasesEndUs(names)]);
  return { instances: withLeases(all, leasesEndUs), silentUs };
}

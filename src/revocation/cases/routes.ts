/** `GET /v1/cases`, `/v1/cases/:order`: how far each order is enforced. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import { KeelsonError } from '../../core/error.js';
import { formatTimestamp } from '../../events/time.js';
import type { Cursors } from '../../http/cursor.js';
import type { Http } from '../../http/http.js';
import { pageLimit, PageQuery } from '../../http/paging.js';
import { Problem } from '../../http/problem.js';
import type { CaseRow, Cases } from './cases.js';
import type { CaseInstance } from './step.js';

export interface CaseRoutesOptions {
  readonly cases: Cases;
  readonly cursors: Cursors;
}

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['read', 'admin'] };
const LIST = '/v1/cases';

const CaseView = Type.Object({
  order: Type.String(),
  seq: Type.Integer({ description: 'Who enforces the table up to this change, enforces the order' }),
  state: Type.String({ description: 'open, enforced, fenced or incomplete' }),
  orderedAt: Type.String({ description: 'When its last part was in the ledger' }),
  acked: Type.Integer({ description: 'Instances that attested it' }),
  silent: Type.Integer({ description: 'Instances that did not (yet)' }),
  entry: Type.Optional(
    Type.Object({ log: Type.String(), index: Type.Integer() }, { description: 'The entry that closed it' }),
  ),
});
const InstanceView = Type.Object({
  instance: Type.String(),
  point: Type.String(),
  status: Type.String({ description: 'acked, silent or retired' }),
  ack: Type.Optional(Type.Object({ seq: Type.Integer(), log: Type.String(), index: Type.Integer() })),
});

export function registerCases(http: Http, { cases, cursors }: CaseRoutesOptions): void {
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
      const [rows, instances] = await Promise.all([cases.list(before, limit), cases.instances()]);
      const last = rows.at(-1);
      return {
        items: rows.map((row) => viewCase(row, instances)),
        ...(rows.length === limit && last !== undefined ? { next: cursors.format(LIST, [String(last.index)]) } : {}),
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
        response: {
          200: Type.Object({ ...CaseView.properties, instances: Type.Array(InstanceView) }),
          '4xx': Problem,
        },
      },
    },
    async ({ params: { order } }) => {
      const [row, instances] = await Promise.all([cases.find(order), cases.instances()]);
      if (row === undefined) throw new KeelsonError('not_found', 'there is no such order (yet)');
      return { ...viewCase(row, instances), instances: instances.map((one) => viewInstance(row, one)) };
    },
  );
}

function viewCase(row: CaseRow, instances: readonly CaseInstance[]): Static<typeof CaseView> {
  const { order, seq, orderedUs, closed } = row;
  const statuses = instances.map((one) => statusOf(row, one));
  return {
    order,
    seq,
    state: closed?.result ?? 'open',
    orderedAt: formatTimestamp(BigInt(orderedUs)),
    acked: statuses.filter((status) => status === 'acked').length,
    silent: statuses.filter((status) => status === 'silent').length,
    ...(closed === undefined ? {} : { entry: { log: closed.log, index: Number(closed.index) } }),
  };
}

const statusOf = ({ seq }: CaseRow, { retired, ack }: CaseInstance): string =>
  ack !== undefined && ack.seq >= seq ? 'acked' : retired ? 'retired' : 'silent';

function viewInstance(row: CaseRow, one: CaseInstance): Static<typeof InstanceView> {
  const { instance, point, ack } = one;
  return {
    instance,
    point,
    status: statusOf(row, one),
    ...(ack === undefined ? {} : { ack: { seq: ack.seq, log: ack.log, index: Number(ack.index) } }),
  };
}

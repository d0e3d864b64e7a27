/** What administrators ask for: `POST /v1/revocations`, its dry run, and what can be said of one that is there. */
import type { FastifyContextConfig } from 'fastify';
import { Type, type Static } from 'typebox';
import type { Access } from '../access/access.js';
import { formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { JsonObject } from '../events/index.js';
import { formatTimestamp, parseTimestamp } from '../events/time.js';
import type { Caller } from '../http/caller.js';
import type { Http } from '../http/http.js';
import { Problem } from '../http/problem.js';
import type { Reach } from '../identity/reach.js';
import { registerBulk } from './bulk-routes.js';
import type { Desk, DeskOptions, Verb } from './desk.js';
import type { Asked, Blast } from './dry-run.js';
import { TARGETS } from './fold-requests.js';
import { Revocation, viewCause } from './views.js';

export interface RequestRoutesOptions {
  readonly desk: Desk;
  readonly access: Pick<Access, 'producer'>;
  readonly lookup: DeskOptions['lookup'];
  readonly dryRun: (producer: string, asked: Asked) => Promise<Blast>;
}

const tags = ['revocation'];
const config: FastifyContextConfig = { access: ['admin'] };
const Text = Type.String({ minLength: 1, maxLength: 2048 });
const Person = Type.Object(
  { issuer: Type.Optional(Type.String({ maxLength: 2048, description: 'Absent: the configured one' })), id: Text },
  { additionalProperties: false },
);
const Reason = Type.String({ minLength: 1, maxLength: 4096, description: 'Why, in words; sealed' });
const more = {
  reason_code: Type.Optional(Type.String({ maxLength: 100 })),
  reference: Type.Optional(Type.String({ maxLength: 200, description: 'Ticket, change or case' })),
};

const what = {
  principal: Type.Optional(Person),
  group: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'Only what the person holds by it' })),
  target: Type.Optional(
    Type.Object(
      { type: Type.Enum([...TARGETS]), issuer: Type.Optional(Type.String({ maxLength: 2048 })), value: Text },
      { additionalProperties: false, description: 'Something that is no person' },
    ),
  ),
  effect: Type.Optional(Type.Enum(['block', 'cutoff'], { description: 'cutoff: only what was issued up to now' })),
  mode: Type.Optional(
    Type.Enum(['revoke', 'hold', 'transfer'], {
      description: 'What becomes of what the person owns, whatever it says',
    }),
  ),
  successor: Type.Optional(Person),
};
const DryRun = Type.Object(what, { additionalProperties: false });
const Request = Type.Object(
  {
    ...what,
    ...more,
    reason: Reason,
    security: Type.Optional(
      Type.Boolean({ description: 'A compromise: never waits, and no automatic source lifts it' }),
    ),
    effective_at: Type.Optional(Type.String({ description: 'RFC 3339: not before then' })),
    world: Type.Optional(Type.String({ maxLength: 100, description: 'ETag of the dry run that led to this' })),
  },
  { additionalProperties: false },
);

const Counted = Type.Array(Type.Object({ type: Type.String(), change: Type.String(), count: Type.Integer() }));
const BlastView = Type.Object({
  world: Type.String({ description: 'Also the ETag' }),
  subjects: Type.Array(Type.String({ description: 'Pseudonym' })),
  reach: Type.Enum(['known', 'unknown'], {
    description:
      'unknown, of a key and of a group: what hangs on it can not be told, and nothing of it is in the answer',
  }),
  agents: Type.Optional(Type.Array(Type.String())),
  tools: Type.Optional(Type.Array(Type.String())),
  environments: Type.Optional(Type.Array(Type.String())),
  points: Type.Optional(
    Type.Array(Type.String(), { description: 'Enforcement points that have seen one of the tokens' }),
  ),
  tokenCount: Type.Optional(Type.Integer()),
  sessionCount: Type.Optional(Type.Integer()),
  delegationCount: Type.Optional(Type.Integer()),
  lastUsedAt: Type.Optional(Type.String()),
  lastUsedOf: Type.Optional(
    Type.Enum(['all', 'part'], { description: 'part: there may be a later use that was not found' }),
  ),
  keys: Counted,
  incomplete: Revocation.properties.incomplete,
});

export function registerRequests(http: Http, options: RequestRoutesOptions): void {
  registerRequest(http, options);
  registerBulk(http, options.desk);
  registerAnswers(http, options);
}

function registerRequest(http: Http, options: RequestRoutesOptions): void {
  const { desk, access, lookup, dryRun } = options;
  http.post(
    '/v1/revocations',
    {
      config,
      schema: {
        tags,
        summary: 'Revoke: a person, or an agent, client, token, grant, session, delegation, tool, environment or key',
        body: Request,
        response: { 200: Revocation, '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ body, caller }) => {
      requireOne(body);
      if (body.effective_at !== undefined) parseTimestamp(body.effective_at, '/effective_at');
      const { cause, keys } = await desk.request(caller, body);
      return viewCause(cause, keys);
    },
  );

  http.post(
    '/v1/revocations/dry-run',
    {
      config,
      schema: {
        tags,
        summary: 'What a request would end; its ETag goes into the request as `world`',
        body: DryRun,
        response: { 200: BlastView, '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ body, caller }, reply) => {
      requireOne(body);
      const issuer = (await access.producer(caller.producer)).config.issuer ?? '';
      const blast = await dryRun(caller.producer, await readAsked(body, issuer, lookup));
      void reply.header('etag', `"${blast.world}"`).header('cache-control', 'no-store');
      return viewBlast(blast);
    },
  );
}

function requireOne({ principal, target, group }: Static<typeof DryRun>): void {
  if ((principal === undefined) === (target === undefined)) {
    throw new KeelsonError('invalid_request', 'name a principal or a target, one of the two', { pointer: '/target' });
  }
  if (group !== undefined && principal === undefined) {
    throw new KeelsonError('invalid_request', 'a group goes with a principal', { pointer: '/group' });
  }
}

async function readAsked(
  { principal, group, target, effect, mode, successor }: Static<typeof DryRun>,
  issuer: string,
  lookup: DeskOptions['lookup'],
): Promise<Asked> {
  const find = async (person: Static<typeof Person>, pointer: string): Promise<string> => {
    const pseudonym = await lookup(person.issuer ?? issuer, person.id);
    if (pseudonym === undefined) throw new KeelsonError('not_found', 'nobody is known by this name', { pointer });
    return formatHex(pseudonym);
  };
  return {
    groups: group === undefined ? [] : [group],
    effect: effect ?? 'block',
    ...(principal === undefined ? {} : { principal: await find(principal, '/principal') }),
    ...(successor === undefined ? {} : { successor: await find(successor, '/successor') }),
    ...(target === undefined ? {} : { target: { issuer: '', ...target } }),
    ...(mode === undefined ? {} : { mode }),
  };
}

function viewBlast({ world, reach, subjects, keys, incomplete }: Blast): Static<typeof BlastView> {
  return {
    world,
    subjects: [...subjects],
    ...(reach === undefined ? { reach: 'unknown' } : viewReach(reach)),
    keys: keys.map((one) => ({ ...one })),
    incomplete: incomplete.map((one) => ({ ...one })),
  };
}

function viewReach({ lastUsedAtUs, isLastUseWhole, ...reach }: Reach) {
  const { agents, tools, environments, points, tokenCount, sessionCount, delegationCount } = reach;
  return {
    reach: 'known' as const,
    agents: [...agents],
    tools: [...tools],
    environments: [...environments],
    points: [...points],
    tokenCount,
    sessionCount,
    delegationCount,
    ...(lastUsedAtUs === null ? {} : { lastUsedAt: formatTimestamp(lastUsedAtUs) }),
    lastUsedOf: isLastUseWhole ? ('all' as const) : ('part' as const),
  };
}

const Why = Type.Object({ ...more, reason: Reason }, { additionalProperties: false });
const WhyAndWhen = Type.Object(
  { ...more, reason: Reason, effective_at: Type.String({ description: 'RFC 3339' }) },
  { additionalProperties: false },
);
const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 1024 }) });

function registerAnswers(http: Http, { desk }: RequestRoutesOptions): void {
  const verbs: readonly [path: string, verb: Verb | 'lift', summary: string][] = [
    ['approve', 'approved', 'Let go what is held; nobody their own'],
    ['deny', 'denied', 'End what is held: it never happens'],
    ['cancel', 'cancelled', 'Take back what is held or scheduled'],
    ['lift', 'lift', 'Take back an order in force; a cutoff stays'],
  ];
  for (const [path, verb, summary] of verbs) {
    http.post(
      `/v1/revocations/:id/${path}`,
      {
        config,
        schema: { tags, summary, params, body: Why, response: { 200: Revocation, '4xx': Problem, '5xx': Problem } },
      },
      async ({ params: { id }, body, caller }) => answer(desk, caller, id, verb, body),
    );
  }
  http.post(
    '/v1/revocations/:id/reschedule',
    {
      config,
      schema: {
        tags,
        summary: 'Another time for what is scheduled',
        params,
        body: WhyAndWhen,
        response: { 200: Revocation, '4xx': Problem, '5xx': Problem },
      },
    },
    async ({ params: { id }, body, caller }) => {
      parseTimestamp(body.effective_at, '/effective_at');
      return answer(desk, caller, id, 'rescheduled', body);
    },
  );
}

async function answer(
  desk: Desk,
  caller: Caller,
  id: string,
  verb: Verb | 'lift',
  body: JsonObject,
): Promise<Static<typeof Revocation>> {
  const { cause, keys } =
    verb === 'lift' ? await desk.lift(caller, id, body) : await desk.answer(caller, id, verb, body);
  return viewCause(cause, keys);
}

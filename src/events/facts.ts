import type { EventRecord } from './record.js';
import type { Body, BodyValue } from './separate.js';

/** What is plain in a record and worth finding it by. Members carry the same name in every schema, so this reads them all. */
export interface SearchFacts {
  readonly eventId: string;
  readonly type: string;
  readonly occurredAtUs: bigint;
  /** The authenticated producer; of a `record.quarantined`, the one whose event was refused. */
  readonly producer: string;
  readonly decision?: string;
  /** The agent that acted, or that a lifecycle event is about: an agent's history is all entries with its id here. */
  readonly agent?: string;
  /** Every agent: that one, those of the delegation chain, and both ends of a delegation. */
  readonly agents: readonly string[];
  readonly client?: string;
  readonly tool?: string;
  /** 16-byte pseudonyms of every person in the record, each once. */
  readonly principals: readonly Buffer[];
  /** Policy version, policy revision, and the revision of each bundle, each once. */
  readonly policies: readonly string[];
  /** The token's jti, else its digest. */
  readonly token?: string;
  /** Both of them, where both are known. */
  readonly tokens: readonly string[];
  readonly session?: string;
  /** The session, and the SSO session it hangs on, where both are known. */
  readonly sessions: readonly string[];
  readonly task?: string;
  readonly environment?: string;
  readonly risk?: number;
  /** Of `principal.linked`: the pseudonyms it says are one person. */
  readonly linked?: readonly Buffer[];
}

/** What facts are read from: of the body, members that are not there may be left out. */
export type FactsSource = Pick<EventRecord, 'id' | 'type' | 'occurredAtUs' | 'producer' | 'persons' | 'body'>;

/** The facts of a record, from its plain fields only. Every entry passes here on its way into search: it is written to be cheap. */
export function searchFacts(record: FactsSource): SearchFacts {
  const { body } = record;
  const context = objectAt(body, 'context');
  const token = objectAt(body, 'token');
  const policy = objectAt(body, 'policy');
  const tokens = texts(token?.jti, token?.digest);
  const sessions = texts(context?.session_id, body.session_id, objectAt(body, 'user_context')?.sso_session);
  const facts: { -readonly [K in keyof SearchFacts]: SearchFacts[K] } = {
    eventId: record.id,
    type: record.type,
    occurredAtUs: record.occurredAtUs,
    producer: textOf(body.sender) ?? record.producer,
    agents: texts(
      body.agent,
      body.from_agent,
      body.to_agent,
      ...listAt(body, 'delegation_chain').map((hop) => hop.agent),
    ),
    principals: distinct(record.persons.map(({ subject }) => subject)),
    policies: texts(
      body.policy_version,
      policy?.revision,
      ...(policy === undefined ? [] : listAt(policy, 'bundles').map(({ revision }) => revision)),
    ),
    tokens,
    sessions,
  };
  const decision = textOf(body.decision);
  if (decision !== undefined) facts.decision = decision;
  const agent = textOf(body.agent);
  if (agent !== undefined) facts.agent = agent;
  const client = textOf(body.client);
  if (client !== undefined) facts.client = client;
  const tool = textOf(body.tool);
  if (tool !== undefined) facts.tool = tool;
  if (tokens[0] !== undefined) facts.token = tokens[0];
  if (sessions[0] !== undefined) facts.session = sessions[0];
  const task = textOf(objectAt(body, 'purpose')?.task_id) ?? textOf(body.task_id);
  if (task !== undefined) facts.task = task;
  const environment = textOf(context?.environment) ?? textOf(body.environment);
  if (environment !== undefined) facts.environment = environment;
  if (typeof context?.risk_score === 'number') facts.risk = context.risk_score;
  if (record.type === 'principal.linked') facts.linked = linkedSubjects(record);
  return facts;
}

function linkedSubjects({ persons }: FactsSource): Buffer[] {
  return distinct(
    persons
      .filter(({ pointer }) => pointer === '/principal' || pointer.startsWith('/aliases/'))
      .map(({ subject }) => subject),
  );
}

function distinct(subjects: Buffer[]): Buffer[] {
  if (subjects.length < 2) return subjects;
  return [...new Map(subjects.map((subject) => [subject.toString('latin1'), subject])).values()];
}

const textOf = (value: BodyValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** Those that are text, each once. */
function texts(...values: readonly (BodyValue | undefined)[]): string[] {
  const found: string[] = [];
  for (const value of values) if (typeof value === 'string' && !found.includes(value)) found.push(value);
  return found;
}

function objectAt(body: Body, name: string): Body | undefined {
  const value = body[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
    ? value
    : undefined;
}

function listAt(body: Body, name: string): Body[] {
  const value = body[name];
  return Array.isArray(value) ? (value as Body[]) : [];
}

/** The events as producers write them. Made from schemas/ by test/events/render-types.ts; a test holds them together. */

import type { Json } from './json.js';

/** Somebody, as the configured issuer of the producer knows them, or as the one named here does. */

export type Person = string | { issuer?: string; id: string };

/** RFC 3339, or seconds since 1970 as in tokens. */

export type Timestamp = string | number;

/** Instances attest what they enforce; collected by a feed process. Members that are not named here are kept, sealed. */
export interface Ack {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'ack.collected';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The feed process that collected them. */
  process?: string;
  /** Of the guard key. */
  generation?: number;
  /** How many acks there are. */
  count?: number;
  /** The least seq that one of them attests. */
  from_seq?: number;
  /** The greatest. */
  to_seq?: number;
  /** The acks as they were signed, 174 bytes each, one behind the other; base64. docs/feed.md has their layout. */
  acks: string;
}

/** An agent's life: who registered it, when, why, approved by whom. Members that are not named here are kept, sealed. */
export interface Agent {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'agent.registered' | 'agent.approved' | 'agent.attested' | 'agent.retired';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The agent. */
  agent: string;
  /** How the agent proved who it is. */
  agent_identity?: {
    /** SPIFFE id. */
    spiffe_id?: string;
    /** Fingerprint of its certificate, as the producer writes it. */
    certificate_fingerprint?: string;
    /** OAuth client id; with client id metadata documents an HTTPS URL. */
    client_id?: string;
    /** Its public key, as the producer writes it (PEM or JWK thumbprint). */
    public_key?: string;
    /** How it was attested, e.g. x509pop, k8s_psat, aws_iid, tpm. */
    attestation_method?: string;
    /** Its JWT-SVID: checked by intake, and masked before anything is kept. */
    jwt_svid?: string;
    /** Its X.509-SVID: the certificate, then the intermediate ones, each base64 of DER. */
    x509_svid?: string[];
    /** The attestation itself, any JSON. */
    attestation?: Json;
  };
  /** The OAuth client it uses. */
  client?: string;
  /** The team that owns it. */
  team?: string;
  /** What happens when the owner leaves: block it, hold it until a new owner is approved, or transfer it to the named successor. */
  on_owner_leave?: 'block' | 'hold' | 'transfer';
  /** Its version. */
  version?: string;
  /** The model it runs on. */
  model?: string;
  /** Tools it is meant to use. */
  tools?: string[];
  /** Environment, e.g. production. */
  environment?: string;
  /** Its risk level. */
  risk_level?: string;
  /** Version of the policy it was approved under. */
  policy_version?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** When the registration or approval ends. */
  expires_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** What intake found in evidence that is masked before anything is kept; Keelson alone says it. */
  intake_check?: {
    /** How it was checked. */
    method?: string;
    /** Why it failed, as a code; absent: it did not. */
    code?: string;
    /** What was found, without secrets. */
    detail?: string;
    /** SPIFFE trust domain. */
    trust_domain?: string;
    /** The key it was checked with. */
    key_id?: string;
    /** Until when the evidence holds. */
    expires_at?: Timestamp;
  };
  /** Who owns it. */
  owner?: Person;
  /** Who owns it after the owner, for on_owner_leave transfer. */
  successor?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What it is for, in words. */
  purpose?: Json;
  /** What it is, in words. */
  description?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** An order was followed to its end, at every enforcement point; or that takes long, or something contradicts how it ended. Members that are not named here are kept, sealed. */
export interface Case {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'case.closed' | 'case.late' | 'case.reopened';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The order. */
  order: string;
  /** The change of the table that completed it: who enforces it, enforces the order. */
  seq?: number;
  /** `enforced`: every instance that could have a lease attested it; `fenced`: the others have none any more that was granted before; `incomplete`: `incomplete` says what is not proven. */
  result?: string;
  /** When its last part was in the ledger. */
  ordered_at?: Timestamp;
  /** When it was closed. */
  closed_at?: Timestamp;
  /** How each point ended it. */
  points?: {
    /** The point. */
    point?: string;
    /** Instances that attested that they enforce all of it. */
    acked?: number;
    /** Instances that did not, and whose lease has run out that was granted before. */
    fenced?: number;
    /** Instances that attested it, and can not find keys of every type that it names. */
    partial?: number;
    /** Instances that attested another table than there is. */
    contradicting?: number;
    /** Instances that had no lease when it was ordered, and were not waited for. */
    absent?: number;
    /** When the first of the acks was in the ledger. */
    first_acked_at?: Timestamp;
    /** When the last of them was. */
    last_acked_at?: Timestamp;
  }[];
  /** The instances, as far as they fit; while it goes on, those that have not attested it. */
  instances?: {
    /** The instance. */
    instance?: string;
    /** Its point. */
    point?: string;
    /** `acked`, `partial`, `contradicting`, `fenced`, `unfenced` or `absent`; while it goes on also `silent`. */
    status?: string;
    /** The log of the entry with its ack. */
    log?: string;
    /** The entry with its ack. */
    index?: number;
    /** When its ack was in the ledger. */
    acked_at?: Timestamp;
    /** Types of keys that the order names and its mapping can not find. */
    unmapped?: string[];
  }[];
  /** What is not proven. */
  incomplete?: {
    /** As a code: those of the order; no_instances, unmapped_keys, contradicting_ack, unfenced, signalled_only, allowed_after. */
    reason?: string;
    /** Whose tokens it is about. */
    issuer?: string;
    /** How many it is about, where that is known. */
    count?: number;
    /** The point it is about. */
    point?: string;
    /** The instance it is about, where it is one. */
    instance?: string;
    /** Types of keys that can not be found there. */
    key_types?: string[];
    /** The log of the entry that says so. */
    log?: string;
    /** The entry that says so. */
    index?: number;
  }[];
  /** Why it was reopened: `allowed_after`. */
  reason_code?: string;
  /** The decision that contradicts it. */
  decision?: {
    /** The log of its entry. */
    log?: string;
    /** Its entry. */
    index?: number;
    /** Who published it. */
    producer?: string;
    /** The enforcement point. */
    point?: string;
    /** The instance. */
    instance?: string;
    /** When it was made, by its producer. */
    decided_at?: Timestamp;
    /** When the event log took it. */
    recorded_at?: Timestamp;
    /** The table that it was made by, as its guard says. */
    seq?: number;
    /** The type of the key that the order names. */
    key_type?: string;
  };
  /** How long it had gone on, in milliseconds, when that was said. */
  waited_ms?: number;
  /** How many instances had not attested it then. */
  count?: number;
}

/** An OAuth client's life: who registered it, when, why, approved by whom. Members that are not named here are kept, sealed. */
export interface Client {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'client.registered' | 'client.approved' | 'client.attested' | 'client.retired';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The OAuth client. */
  client: string;
  /** The authorization server that knows it. */
  issuer?: string;
  /** The agent that uses it. */
  agent?: string;
  /** The team that owns it. */
  team?: string;
  /** What happens when the owner leaves: block it, hold it until a new owner is approved, or transfer it to the named successor. */
  on_owner_leave?: 'block' | 'hold' | 'transfer';
  /** Fingerprint of its certificate. */
  certificate_fingerprint?: string;
  /** Its public key. */
  public_key?: string;
  /** What it may ask for. */
  scope?: string | string[];
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** When the registration or approval ends. */
  expires_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** Who owns it. */
  owner?: Person;
  /** Who owns it after the owner, for on_owner_leave transfer. */
  successor?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What it is for, in words. */
  purpose?: Json;
  /** Its registered metadata, any JSON. */
  metadata?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** An enforcement point decided whether an agent may do something. Members that are not named here are kept, sealed. */
export interface DecisionMade {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'decision.made';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The agent that asked, usually its SPIFFE id. */
  agent?: string;
  /** How the agent proved who it is. */
  agent_identity?: {
    /** SPIFFE id. */
    spiffe_id?: string;
    /** Fingerprint of its certificate, as the producer writes it. */
    certificate_fingerprint?: string;
    /** OAuth client id; with client id metadata documents an HTTPS URL. */
    client_id?: string;
    /** Its public key, as the producer writes it (PEM or JWK thumbprint). */
    public_key?: string;
    /** How it was attested, e.g. x509pop, k8s_psat, aws_iid, tpm. */
    attestation_method?: string;
    /** The attestation itself, any JSON. */
    attestation?: Json;
  };
  /** The OAuth client through which it asked. */
  client?: string;
  /** What it asked to use. */
  tool?: string;
  /** Which tool exactly. */
  tool_identity?: {
    /** The server that offers it. */
    server?: string;
    /** Its version. */
    version?: string;
    /** Digest of its manifest. */
    manifest_digest?: string;
  };
  /** What was decided. */
  decision: 'allow' | 'deny';
  /** Version of the policy. */
  policy_version?: string;
  /** The policy that was evaluated. */
  policy?: {
    /** Which engine, e.g. opa, cedar. */
    engine?: string;
    /** Path or name of the policy within the engine. */
    path?: string;
    /** The rule that decided. */
    rule?: string;
    /** Revision of the policy, where it is a single one. */
    revision?: string;
    /** The bundles it came from. */
    bundles?: {
      /** Name of the bundle. */
      name?: string;
      /** Revision of the bundle. */
      revision?: string;
    }[];
  };
  /** Why, as codes of the policy. */
  reason_codes?: string[];
  /** The person as the enforcement point knows them. */
  user_context?: {
    /** Id of the single sign-on session. */
    sso_session?: string;
    /** The person as the enforcement point knows them. */
    principal?: Person;
    /** The person's groups. */
    groups?: Json;
    /** The person's roles. */
    roles?: Json;
  };
  /** What it is for. */
  purpose?: {
    /** Id of the task. */
    task_id?: string;
    /** Who approved the purpose. */
    approved_by?: Person;
    /** The purpose, in words. */
    description?: Json;
  };
  /** Where, when and under which circumstances. */
  context?: {
    /** Classification of the data. */
    data_classification?: string;
    /** Frameworks that apply, e.g. SOC2. */
    compliance_frameworks?: string[];
    /** Id of the session. */
    session_id?: string;
    /** Environment, e.g. production. */
    environment?: string;
    /** The enforcement point's estimate of the risk. */
    risk_score?: number;
    /** Who approved, in order; an approval says nothing more than its time unless named here. */
    approval_chain?: {
      /** When this approval was given. */
      timestamp?: Timestamp;
      /** What the approver said, e.g. approved. */
      decision?: string;
      /** Ticket, change or case number of this approval. */
      reference?: string;
      /** Who gave this approval. */
      approver?: Person;
      /** The approver's words. */
      comment?: Json;
    }[];
    /** The person's department. */
    user_department?: Json;
    /** The person's role. */
    user_role?: Json;
    /** The person's clearance. */
    user_clearance?: Json;
    /** The agent's purpose, in words. */
    agent_purpose?: Json;
    /** The request this began with, any JSON. */
    originating_request?: Json;
  };
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** Facts about the token; never the token itself. */
  token?: {
    /** Its id (claim jti). */
    jti?: string;
    /** SHA-256 of the token in lower-case hex, for tokens without an id. */
    digest?: string;
    /** Who issued it (claim iss). */
    issuer?: string;
    /** What kind of token, e.g. access_token, id-jag, api_key. */
    type?: string;
    /** The client it was issued to. */
    client_id?: string;
    /** When it was issued (claim iat). */
    issued_at?: Timestamp;
    /** When it expires (claim exp). */
    expires_at?: Timestamp;
    /** For whom (claim aud). */
    audience?: string | string[];
    /** What it allows (claim scope). */
    scope?: string | string[];
    /** Whom the token names (claim sub), when that is a person. */
    subject?: Person;
  };
  /** The delegation chain, outermost first: the first is the current actor, the last acts for the user itself. */
  delegation_chain?: {
    /** The agent that acts at this hop. */
    agent?: string;
    /** The OAuth client that acts at this hop. */
    client?: string;
    /** Id of the delegation that allows it. */
    delegation?: string;
    /** Id of the grant that allows it. */
    grant?: string;
    /** The person at this hop. */
    principal?: Person;
  }[];
  /** Id of the grant it acted under. */
  grant?: string;
  /** Id of the delegation it acted under. */
  delegation?: string;
  /** Where this stands in a distributed trace. */
  trace?: {
    /** W3C traceparent. */
    traceparent?: string;
    /** W3C tracestate. */
    tracestate?: string;
    /** Trace id, where only the id is known. */
    trace_id?: string;
    /** Span id. */
    span_id?: string;
    /** Request id, e.g. of JSON-RPC or X-Request-ID. */
    request_id?: string;
    /** Baggage: what the caller says of itself, unverified. */
    baggage?: Json;
  };
  /** How long the decision took, in milliseconds. */
  latency_ms?: number;
  /** The enforcement point. */
  point?: string;
  /** What the guard at that point knew when it enforced the decision. */
  enforcement?: {
    /** The instance. */
    instance?: string;
    /** Generation of the revocation feed. */
    generation?: number | string;
    /** Last position of the feed that was applied. */
    seq?: number;
    /** Age of the lease, in milliseconds. */
    leaseAgeMs?: number;
    /** The guard's own verdict. */
    verdict?: string;
  };
  /** For whom the agent acts. */
  user?: Person;
  /** What the tool was to be called with, any JSON. */
  parameters?: Json;
  /** Why, in words. */
  justification?: Json;
  /** What it was to be done to, any JSON. */
  resource?: Json;
  /** What the policy obliges the enforcement point to do, any JSON. */
  obligations?: Json;
}

/** What really happened after a decision. Members that are not named here are kept, sealed. */
export interface DecisionOutcome {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'decision.outcome';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the decision.made event. */
  decision_id: string;
  /** What became of the action. */
  outcome?: 'succeeded' | 'failed' | 'cancelled' | 'unknown';
  /** The agent. */
  agent?: string;
  /** The tool. */
  tool?: string;
  /** Id of the session. */
  session_id?: string;
  /** Id of the task. */
  task_id?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** What went wrong, as a code. */
  error_code?: string;
  /** When the action began. */
  started_at?: Timestamp;
  /** When the action ended. */
  ended_at?: Timestamp;
  /** How long the action took, in milliseconds. */
  latency_ms?: number;
  /** Where this stands in a distributed trace. */
  trace?: {
    /** W3C traceparent. */
    traceparent?: string;
    /** W3C tracestate. */
    tracestate?: string;
    /** Trace id, where only the id is known. */
    trace_id?: string;
    /** Span id. */
    span_id?: string;
    /** Request id, e.g. of JSON-RPC or X-Request-ID. */
    request_id?: string;
    /** Baggage: what the caller says of itself, unverified. */
    baggage?: Json;
  };
  /** The enforcement point. */
  point?: string;
  /** For whom the agent acted. */
  user?: Person;
  /** What came back, any JSON. */
  result?: Json;
  /** What went wrong, any JSON. */
  error?: Json;
  /** What it was done to, any JSON. */
  resource?: Json;
}

/** Someone let an agent or another person act for them, or ended it. Members that are not named here are kept, sealed. */
export interface Delegation {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'delegation.granted' | 'delegation.ended';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the delegation. */
  delegation: string;
  /** Id of the delegation it stems from. */
  parent?: string;
  /** The agent that delegates. */
  from_agent?: string;
  /** The agent it is delegated to. */
  to_agent?: string;
  /** The client through which it is used. */
  client?: string;
  /** Tools it covers. */
  tools?: string[];
  /** What it covers. */
  scope?: string | string[];
  /** The task it is for. */
  task_id?: string;
  /** Start of its window. */
  not_before?: Timestamp;
  /** End of its window. */
  expires_at?: Timestamp;
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** The person who delegates. */
  from?: Person;
  /** The person it is delegated to. */
  to?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What for, in words. */
  purpose?: Json;
  /** What it covers, any JSON. */
  resource?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** A person or system gave an agent or client access, or took it back. Members that are not named here are kept, sealed. */
export interface Grant {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'grant.given' | 'grant.withdrawn';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the grant. */
  grant: string;
  /** The agent that received it. */
  agent?: string;
  /** The client that received it. */
  client?: string;
  /** Tools it allows. */
  tools?: string[];
  /** Who keeps the grant. */
  issuer?: string;
  /** What it allows. */
  scope?: string | string[];
  /** Where it holds. */
  audience?: string | string[];
  /** Groups of the person it depends on. */
  groups?: string[];
  /** Session it belongs to. */
  session_id?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** When it ends. */
  expires_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** Whose access was given. */
  principal?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What it gives access to, any JSON. */
  resource?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** A group in an identity system. Who is in it, `principal.moved` says. Members that are not named here are kept, sealed. */
export interface Group {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'group.provisioned' | 'group.removed';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The group, as its source names it in tokens. */
  group: string;
  /** Whose tokens name it so. */
  issuer?: string;
  /** The resource in the identity system that provisions it. */
  provisioned?: {
    /** Id of the identity source. */
    source?: string;
    /** Id of the resource at this source. */
    resource?: string;
    /** Counts the changes of the resource, from 1. */
    version?: number;
    /** Whether the source says that it may be used. */
    active?: boolean;
    /** True where the source deleted it. */
    deleted?: boolean;
  };
  /** From when on. */
  effective_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who did it. */
  actor?: Person;
  /** The resource after the change, any JSON. */
  attributes?: Json;
  /** Why, in words. */
  reason?: Json;
}

/** The first record of every log. Members that are not named here are kept, sealed. */
export interface LogOpened {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'log.opened';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Name of the ledger, unique per installation. */
  ledger: string;
  /** Origin of this log. */
  origin: string;
  /** In the lifecycle log: the origins of all logs of the ledger. */
  origins?: string[];
  /** Generation of the ledger, e.g. g1. */
  generation?: string;
  /** The last checkpoint of the generation before, as a signed note. */
  previous?: string;
}

/** The text of a schema; stands in a log before the first record that uses it. Members that are not named here are kept, sealed. */
export interface LogSchema {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'log.schema';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** CRC-64-AVRO of the parsing canonical form: 16 hex digits, in the byte order of records. */
  fingerprint: string;
  /** Full name of the schema. */
  name?: string;
  /** The schema, with docs and attributes. */
  text: string;
}

/** An enforcement point came or went, was taken out of service, or said which of its tools fail open. Members that are not named here are kept, sealed. */
export interface Point {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'point.enrolled' | 'point.retired' | 'point.quarantined' | 'point.released' | 'point.unfenced' | 'point.fenced';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The enforcement point. */
  point: string;
  /** The instance, when only one of its processes is meant. */
  instance?: string;
  /** What it is, e.g. gateway, proxy, runtime. */
  kind?: string;
  /** The key its acknowledgements are signed with. */
  public_key?: string;
  /** Generation of the revocation feed. */
  generation?: number | string;
  /** Key types it can map tokens to. */
  key_types?: string[];
  /** Tools it guards. */
  tools?: string[];
  /** How old what it knows may be, in milliseconds. */
  max_staleness_ms?: number;
  /** What let it in: `enrolment/` and the id of the token, a SPIFFE ID, or a cluster and the service account in it. */
  joined_by?: string;
  /** Tools that it lets be called although it can not tell whether they are revoked; `*` is every tool. */
  fail_open?: string[];
  /** The team that owns it. */
  team?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** The order that it did not attest. */
  order?: string;
  /** The API token that it was asked with, by its id. */
  by_token?: string;
  /** Who owns it. */
  owner?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What it is, in words. */
  description?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** A policy was published. Members that are not named here are kept, sealed. */
export interface Policy {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'policy.published';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The policy that was evaluated. */
  policy: {
    /** Which engine, e.g. opa, cedar. */
    engine?: string;
    /** Path or name of the policy within the engine. */
    path?: string;
    /** The rule that decided. */
    rule?: string;
    /** Revision of the policy, where it is a single one. */
    revision?: string;
    /** The bundles it came from. */
    bundles?: {
      /** Name of the bundle. */
      name?: string;
      /** Revision of the bundle. */
      revision?: string;
    }[];
  };
  /** Its version. */
  policy_version?: string;
  /** Digest of what was published. */
  digest?: string;
  /** Signature over it. */
  signature?: string;
  /** Who signed it. */
  signer?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What changed, in words. */
  description?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** A person's life with the company, as its HR and identity systems tell it. Members that are not named here are kept, sealed. */
export interface Principal {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type:
    | 'principal.joined'
    | 'principal.moved'
    | 'principal.offboarded'
    | 'principal.reinstated'
    | 'principal.updated'
    | 'principal.linked'
    | 'principal.unlinked';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** All groups after the change. */
  groups?: string[];
  /** Groups gained. */
  groups_added?: string[];
  /** Groups lost. */
  groups_removed?: string[];
  /** Issuers at which this person has no account, as far as the source knows. */
  absent_issuers?: string[];
  /** What ends: `everything` this person authorized, or only what the `source` gave. */
  scope?: string;
  /** The resource in the identity system that provisions it. */
  provisioned?: {
    /** Id of the identity source. */
    source?: string;
    /** Id of the resource at this source. */
    resource?: string;
    /** Counts the changes of the resource, from 1. */
    version?: number;
    /** Whether the source says that it may be used. */
    active?: boolean;
    /** True where the source deleted it. */
    deleted?: boolean;
    /** Id of the group at this source, where a change of its members is all that happened. */
    group?: string;
  };
  /** Kind of employment, e.g. employee, contractor. */
  employment?: string;
  /** Whether access must go at once, whatever the schedule. */
  urgent?: boolean;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** The person this is about. */
  principal: Person;
  /** Their manager. */
  manager?: Person;
  /** Who takes over what they own. */
  successor?: Person;
  /** The same person at another issuer; members beside issuer and id are kept with it. */
  aliases?: Person[];
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** Their name. */
  name?: Json;
  /** Their e-mail address. */
  email?: Json;
  /** Their title. */
  title?: Json;
  /** Their department. */
  department?: Json;
  /** Where they work. */
  location?: Json;
  /** Their attributes after the change, any JSON. */
  attributes?: Json;
  /** Their attributes before the change, any JSON. */
  previous?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** Something came in that could not become an event; the original is kept, encrypted, for a time. Members that are not named here are kept, sealed. */
export interface RecordQuarantined {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'record.quarantined';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** SHA-256 of the original bytes, in lower-case hex. */
  digest: string;
  /** Error code: why it was refused. */
  reason: string;
  /** The authenticated producer it came from. */
  sender?: string;
  /** The id it had, where one could be read. */
  event_id?: string;
  /** The type it had, where one could be read. */
  event_type?: string;
  /** Length of the original in bytes. */
  size?: number;
  /** Its place in the body it came in, from 0. */
  item?: number;
  /** Where the original is kept. */
  quarantine_id?: string;
  /** Until when the original is kept. */
  expires_at?: Timestamp;
}

/** Keelson checked what a registration claims. Members that are not named here are kept, sealed. */
export interface Registration {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'registration.verified' | 'registration.failed';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the event that was checked. */
  registration: string;
  /** Its position in the lifecycle log. */
  index?: number;
  /** The agent it registers. */
  agent?: string;
  /** The client it registers. */
  client?: string;
  /** The authorization server that knows the client. */
  issuer?: string;
  /** The tool it registers. */
  tool?: string;
  /** How it was checked: jwt_svid, x509_svid, jws, detached, allow_list, metadata_document. */
  method?: string;
  /** Why it failed, as a code. */
  code?: string;
  /** What was found, without secrets. */
  detail?: string;
  /** SPIFFE trust domain. */
  trust_domain?: string;
  /** The key it was checked with. */
  key_id?: string;
  /** SHA-256 of the certificate, in lower-case hex. */
  certificate_fingerprint?: string;
  /** Digest of the manifest. */
  manifest_digest?: string;
  /** Until when it holds. */
  expires_at?: Timestamp;
}

/** Somebody asks that access ends, or ends at another time, or does not end after all. Members that are not named here are kept, sealed. */
export interface RevocationRequest {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type:
    | 'revocation.requested'
    | 'revocation.rescheduled'
    | 'revocation.cancelled'
    | 'revocation.approved'
    | 'revocation.denied'
    | 'revocation.lift_requested';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the cause that this is about. */
  cause?: string;
  /** What it is about, where it is not a person. */
  target?: {
    /** What it is: agent, client, token, grant, session, delegation, tool, environment, key. */
    type?: string;
    /** Who gave it this name; none for what Keelson itself names. */
    issuer?: string;
    /** Its name: an id; of a token its jti, or without an issuer its digest. */
    value?: string;
    /** Of a token that was shown: its SHA-256, lower-case hex, whatever its issuer calls it. */
    digest?: string;
    /** True: with a token, the grants that it stems from, too; so with a refresh token. */
    grants?: boolean;
  };
  /** `block` until lifted, or `cutoff`: only what was issued up to now. */
  effect?: string;
  /** What becomes of what a person owns: `revoke`, `hold` or `transfer`. */
  mode?: string;
  /** A compromise: never waits, and no automatic source lifts it. */
  security?: boolean;
  /** The orders to lift. */
  orders?: string[];
  /** With a person: only what they hold as a member of this group. */
  group?: string;
  /** From when on. */
  effective_at?: Timestamp;
  /** What the dry run saw that led to this: its ETag. */
  world?: string;
  /** Deployment environment. */
  environment?: string;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** True, as intake says, where the source speaks for itself: it may cancel or reschedule only what it scheduled. */
  by_source?: boolean;
  /** The API token that it was asked with, by its id. */
  by_token?: string;
  /** Whether the actor is the person who holds that token. False: it is the token itself, and two tokens of one person are two. */
  holder_known?: boolean;
  /** The person whose access is to end. */
  principal?: Person;
  /** Who goes on with what they own. */
  successor?: Person;
  /** Who asks. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** What the revocation processor decided: the only records that change the table of revoked keys. Members that are not named here are kept, sealed. */
export interface Revocation {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type:
    | 'revocation.term'
    | 'revocation.held'
    | 'revocation.fired'
    | 'revocation.ordered'
    | 'revocation.extended'
    | 'revocation.lifted'
    | 'revocation.expired'
    | 'revocation.refused';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Of the processor that decided; a record of a lower one than was seen before counts for nothing. */
  term: number;
  /** The process that has the term. */
  holder?: string;
  /** The order, a name for ever. */
  order?: string;
  /** SHA-256 over cause, term and number of the part, its first 16 bytes in hex. */
  part?: string;
  /** Parts of an order count from 0. */
  number?: number;
  /** Whether the order is complete with this part, as far as was known. */
  last?: boolean;
  /** What it follows from. */
  cause?: {
    /** The event's id. */
    id?: string;
    /** The event's type. */
    type?: string;
    /** The event's producer. */
    producer?: string;
    /** Its position in the lifecycle log. */
    index?: number;
  };
  /** What it is: leaver, scope_loss, mover, reinstatement, request, link, unlink, rehire, expiry. */
  kind?: string;
  /** What becomes of what a person owns: `revoke`, `hold` or `transfer`. */
  mode?: string;
  /** Whether no automatic source may lift it. */
  security?: boolean;
  /** Pseudonyms of the persons it is about, in lower-case hex. */
  subjects?: string[];
  /** What it is about, where it is not a person. */
  target?: {
    /** What it is: agent, client, token, grant, session, delegation, tool, environment, group. */
    type?: string;
    /** Who gave it this name; none for what Keelson itself names. */
    issuer?: string;
    /** Its name: an id, or the digest of a token. */
    value?: string;
  };
  /** What changes for which keys, in order. */
  changes?: {
    /** What happens to the keys. */
    change?: 'block' | 'lift' | 'cutoff' | 'expire';
    /** The order whose block it is. */
    order?: string;
    /** Cutoff: refuses what was issued up to then. */
    at?: Timestamp;
    /** Keys of 16 bytes each, one behind the other, base64. */
    keys?: string;
  }[];
  /** How many keys of each type it holds. */
  counts?: {
    /** Type of key. */
    type?: string;
    /** How many. */
    count?: number;
  }[];
  /** Why it can not be complete. */
  incomplete?: {
    /** As a code: no_alias, unnamed_tokens, signalled_only. */
    reason?: string;
    /** Whose tokens it is about. */
    issuer?: string;
    /** How many it is about, where that is known. */
    count?: number;
  }[];
  /** Why it was refused, as a code. */
  code?: string;
  /** When it was to happen. */
  due_at?: Timestamp;
  /** True where it was due while nobody was there to do it. */
  late?: boolean;
  /** When it happens unless it is denied. */
  held_until?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** The system the cause came from. */
  source_system?: string;
}

/** A session started or ended. Members that are not named here are kept, sealed. */
export interface Session {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'session.started' | 'session.ended';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Id of the session. */
  session_id: string;
  /** What session, e.g. sso, mcp, agent. */
  kind?: string;
  /** Id of the session it belongs to. */
  parent?: string;
  /** Who keeps it. */
  issuer?: string;
  /** The agent. */
  agent?: string;
  /** The OAuth client. */
  client?: string;
  /** Facts about the token; never the token itself. */
  token?: {
    /** Its id (claim jti). */
    jti?: string;
    /** SHA-256 of the token in lower-case hex, for tokens without an id. */
    digest?: string;
    /** Who issued it (claim iss). */
    issuer?: string;
    /** What kind of token, e.g. access_token, id-jag, api_key. */
    type?: string;
    /** The client it was issued to. */
    client_id?: string;
    /** When it was issued (claim iat). */
    issued_at?: Timestamp;
    /** When it expires (claim exp). */
    expires_at?: Timestamp;
    /** For whom (claim aud). */
    audience?: string | string[];
    /** What it allows (claim scope). */
    scope?: string | string[];
  };
  /** When it ends by itself. */
  expires_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** The enforcement point. */
  point?: string;
  /** The instance. */
  instance?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** Where this stands in a distributed trace. */
  trace?: {
    /** W3C traceparent. */
    traceparent?: string;
    /** W3C tracestate. */
    tracestate?: string;
    /** Trace id, where only the id is known. */
    trace_id?: string;
    /** Span id. */
    span_id?: string;
    /** Request id, e.g. of JSON-RPC or X-Request-ID. */
    request_id?: string;
    /** Baggage: what the caller says of itself, unverified. */
    baggage?: Json;
  };
  /** Whose session it is. */
  user?: Person;
  /** What else is known of it, any JSON. */
  attributes?: Json;
  /** Why, in words. */
  reason?: Json;
}

/** A subject's key was destroyed: what was sealed under it can never be read again. Members that are not named here are kept, sealed. */
export interface SubjectErased {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'subject.erased';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The pseudonym, in lower-case hex. */
  subject: string;
  /** Id of the request that led to it. */
  request?: string;
  /** Legal basis, as a code. */
  basis?: string;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

/** Time passed: produced only when something is due, so that folds need no clock. Members that are not named here are kept, sealed. */
export interface Tick {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'tick';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** What is due. */
  due?: string[];
}

/** A token was issued, was seen at an enforcement point, or expired. Members that are not named here are kept, sealed. */
export interface Token {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'token.seen' | 'token.issued' | 'token.expired';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** Facts about the token; never the token itself. */
  token: {
    /** Its id (claim jti). */
    jti?: string;
    /** SHA-256 of the token in lower-case hex, for tokens without an id. */
    digest?: string;
    /** Who issued it (claim iss). */
    issuer?: string;
    /** What kind of token, e.g. access_token, id-jag, api_key. */
    type?: string;
    /** The client it was issued to. */
    client_id?: string;
    /** When it was issued (claim iat). */
    issued_at?: Timestamp;
    /** When it expires (claim exp). */
    expires_at?: Timestamp;
    /** For whom (claim aud). */
    audience?: string | string[];
    /** What it allows (claim scope). */
    scope?: string | string[];
    /** Whom the token names (claim sub), when that is a person. */
    subject?: Person;
  };
  /** The agent that holds it. */
  agent?: string;
  /** The client that holds it. */
  client?: string;
  /** The tool it was used for. */
  tool?: string;
  /** Session it belongs to. */
  session_id?: string;
  /** Grant it stems from. */
  grant?: string;
  /** Delegation it stems from. */
  delegation?: string;
  /** Id or digest of the token it was exchanged for. */
  parent?: string;
  /** The delegation chain, outermost first: the first is the current actor, the last acts for the user itself. */
  delegation_chain?: {
    /** The agent that acts at this hop. */
    agent?: string;
    /** The OAuth client that acts at this hop. */
    client?: string;
    /** Id of the delegation that allows it. */
    delegation?: string;
    /** Id of the grant that allows it. */
    grant?: string;
    /** The person at this hop. */
    principal?: Person;
  }[];
  /** The enforcement point that saw it. */
  point?: string;
  /** The instance that saw it. */
  instance?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** Where this stands in a distributed trace. */
  trace?: {
    /** W3C traceparent. */
    traceparent?: string;
    /** W3C tracestate. */
    tracestate?: string;
    /** Trace id, where only the id is known. */
    trace_id?: string;
    /** Span id. */
    span_id?: string;
    /** Request id, e.g. of JSON-RPC or X-Request-ID. */
    request_id?: string;
    /** Baggage: what the caller says of itself, unverified. */
    baggage?: Json;
  };
  /** For whom it was issued. */
  user?: Person;
  /** Further claims, any JSON. */
  claims?: Json;
}

/** A tool's life: which manifest was registered, approved and retired. Members that are not named here are kept, sealed. */
export interface Tool {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: 'tool.registered' | 'tool.approved' | 'tool.retired';
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
  /** The tool. */
  tool: string;
  /** The server that offers it. */
  server?: string;
  /** Digest of its manifest. */
  manifest_digest?: string;
  /** Signature over the manifest or its digest: a JWS (RFC 7515), or base64 of the signature alone. */
  signature?: string;
  /** Who signed the manifest. */
  signer?: string;
  /** Its version. */
  version?: string;
  /** Its risk level. */
  risk_level?: string;
  /** Whether each use needs an approval. */
  requires_approval?: boolean;
  /** Whether its enforcement point lets calls through when it knows nothing. */
  fail_open?: boolean;
  /** How old what a guard knows may be, in milliseconds. */
  max_staleness_ms?: number;
  /** The team that owns it. */
  team?: string;
  /** Environment, e.g. production. */
  environment?: string;
  /** When it takes or took effect, if not at the timestamp. */
  effective_at?: Timestamp;
  /** Why, as a code. */
  reason_code?: string;
  /** Ticket, change or case number. */
  reference?: string;
  /** The system this comes from. */
  source_system?: string;
  /** Who approved, in order; an approval says nothing more than its time unless named here. */
  approval_chain?: {
    /** When this approval was given. */
    timestamp?: Timestamp;
    /** What the approver said, e.g. approved. */
    decision?: string;
    /** Ticket, change or case number of this approval. */
    reference?: string;
    /** Who gave this approval. */
    approver?: Person;
    /** The approver's words. */
    comment?: Json;
  }[];
  /** What intake found in evidence that is masked before anything is kept; Keelson alone says it. */
  intake_check?: {
    /** How it was checked. */
    method?: string;
    /** Why it failed, as a code; absent: it did not. */
    code?: string;
    /** What was found, without secrets. */
    detail?: string;
    /** The key it was checked with. */
    key_id?: string;
    /** Digest of the manifest that the signature carries. */
    manifest_digest?: string;
  };
  /** Who owns it. */
  owner?: Person;
  /** Who owns it after the owner, for on_owner_leave transfer. */
  successor?: Person;
  /** Who did it. */
  actor?: Person;
  /** Who approved it, where one approval is enough. */
  approved_by?: Person;
  /** What it does, in words. */
  description?: Json;
  /** Its manifest, any JSON. */
  manifest?: Json;
  /** Why, in words. */
  reason?: Json;
  /** Why it was asked for, in words. */
  justification?: Json;
}

export type Event =
  | Ack
  | Agent
  | Case
  | Client
  | DecisionMade
  | DecisionOutcome
  | Delegation
  | Grant
  | Group
  | LogOpened
  | LogSchema
  | Point
  | Policy
  | Principal
  | RecordQuarantined
  | Registration
  | RevocationRequest
  | Revocation
  | Session
  | SubjectErased
  | Tick
  | Token
  | Tool;

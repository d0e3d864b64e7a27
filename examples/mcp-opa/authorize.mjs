// @ts-check
/** Asks OPA about one tool call. The input carries the members of a Keelson decision, by the same names. */

/**
 * @typedef {object} Verdict
 * @property {boolean} allow
 * @property {string[]} reasons
 * @property {string[]} obligations
 * @property {string} decisionId OPA's; empty where OPA gave no answer
 */

/**
 * @typedef {object} Change a ticket of the change management
 * @property {{ approver: string, timestamp: string }[]} approvals
 * @property {{ from: string, to: string }} window
 * @property {number} riskScore 0–100
 */

/** Which data a tool touches, and where it acts. */
const TOOLS = {
  deploy_to_production: { classification: 'internal', environment: 'production' },
  read_customer: { classification: 'confidential', environment: 'production' },
  list_services: { classification: 'internal', environment: 'staging' },
};

/** @param {Date} now @returns {Record<string, Change>} */
export function openChanges(now) {
  /** @param {number} hours */
  const at = (hours) => new Date(now.getTime() + hours * 3_600_000).toISOString();
  const approvals = [{ approver: 'rita@company.com', timestamp: at(-1) }];
  return {
    'CHG-1001': { approvals, window: { from: at(-1), to: at(1) }, riskScore: 20 },
    'CHG-1002': { approvals: [], window: { from: at(-1), to: at(1) }, riskScore: 20 },
    'CHG-1003': { approvals, window: { from: at(2), to: at(3) }, riskScore: 20 },
    'CHG-1004': { approvals, window: { from: at(-1), to: at(1) }, riskScore: 75 },
  };
}

/**
 * What the policy sees of a call. The token's facts go in; the token does not.
 * @param {import('./tokens.mjs').Claims} claims
 * @param {string} tool
 * @param {Record<string, unknown>} parameters
 * @param {Record<string, Change>} changes
 */
export function describeCall(claims, tool, parameters, changes) {
  const { classification, environment } = TOOLS[/** @type {keyof typeof TOOLS} */ (tool)] ?? {};
  const ticket = typeof parameters.change === 'string' ? parameters.change : undefined;
  const change = ticket === undefined ? undefined : changes[ticket];
  return {
    agent: claims.act.sub,
    user: claims.sub,
    tool,
    parameters,
    ...(ticket === undefined ? {} : { purpose: { task_id: ticket } }),
    context: {
      user_department: claims.department,
      user_role: claims.role,
      user_clearance: claims.clearance,
      agent_purpose: claims.purpose,
      data_classification: classification,
      environment,
      risk_score: change?.riskScore ?? 10,
      approval_chain: change?.approvals ?? [],
      // Reading has no window of its own; a change has.
      window:
        change?.window ??
        (ticket === undefined ? { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' } : undefined),
    },
    token: {
      jti: claims.jti,
      issuer: claims.iss,
      issued_at: toTimestamp(claims.iat),
      expires_at: toTimestamp(claims.exp),
      audience: claims.aud,
      scope: claims.scope,
    },
  };
}

/** @param {number} seconds since 1970 */
const toTimestamp = (seconds) => new Date(seconds * 1000).toISOString();

/**
 * Denies where OPA can't be asked.
 * @param {string} opaUrl
 * @param {unknown} input
 * @returns {Promise<Verdict>}
 */
export async function authorize(opaUrl, input) {
  try {
    const response = await fetch(`${opaUrl}/v1/data/mcp/authz/decision`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input }),
      signal: AbortSignal.timeout(2_000),
    });
    if (!response.ok) return denied('policy_unavailable');
    const { result, decision_id: decisionId } = /** @type {any} */ (await response.json());
    return result === undefined ? denied('undefined', decisionId) : { ...result, decisionId };
  } catch {
    return denied('policy_unavailable');
  }
}

/** @param {string} reason @param {string} decisionId @returns {Verdict} */
const denied = (reason, decisionId = '') => ({ allow: false, reasons: [reason], obligations: [], decisionId });

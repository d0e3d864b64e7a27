// @ts-check
/** What happens, in order. Each event goes to `say`, whoever shows it. */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createIssuer, ISSUER } from '../gateway/issuer.mjs';

/**
 * @typedef {{ name: string, url: string, token: string, tool: string, parameters: Record<string, unknown>, everyMs: number }} Agent
 * @typedef {{ name: string, atMs: number, allowed: boolean, reason?: string }} Call
 * @typedef {{ event: string, [member: string]: any }} Told
 * @typedef {(told: Told) => void} Say
 * @typedef {import('./world.mjs').World} World
 * @typedef {import('./world.mjs').Keelson} Keelson
 */

const POINT = 'mcp-gateways';
const GATEWAYS = ['east', 'west', 'north'];
const AGENT = 'spiffe://company.com/agent/deploy-bot';
const TOKEN_LIFETIME_S = 3600;
const SAM = { user: 'sam@company.com', gateways: GATEWAYS };
const ANA = { user: 'ana@company.com', gateways: ['east'] };
/** Who left before: what is done once is not in the figures. */
const LEFT_BEFORE = ['carl', 'dora', 'egon', 'fay', 'gus'].map((name) => `${name}@company.com`);
/** Through Keelson's gateways often, so that the first refusal is seen soon; through the others for comparison. */
const EVERY_MS = { with: 20, without: 100 };
const BEFORE_MS = 1_500;
const AFTER_MS = 3_000;

/**
 * @param {World} world
 * @param {Say} say
 * @param {AbortSignal} signal
 * @returns whether everything was as it should be
 */
export async function tell(world, say, signal) {
  const beganMs = performance.now();
  say({ event: 'begin' });
  const keelson = await world.startKeelson();
  const secret = await connectHr(keelson);
  const { issueToken, jwks } = await createIssuer();
  for (const person of LEFT_BEFORE) {
    const { id } = await sendLeaver(keelson.url, secret, person, signal);
    await findOrder(world, keelson, id);
  }
  const gateways = await startGateways(world, keelson, jwks);
  const ms = Math.round(performance.now() - beganMs);
  say({ event: 'started', gateways: GATEWAYS, leftBefore: LEFT_BEFORE.length, ms });

  /** @type {Agent[]} */
  const agents = [];
  for (const { user, gateways: through } of [SAM, ANA]) {
    const who = { user, agent: AGENT, client: 'deploy-bot', lifetimeS: TOKEN_LIFETIME_S };
    const { token, jti } = await issueToken(who);
    say({
      event: 'agent',
      agent: 'deploy-bot',
      user,
      jti,
      expiresInS: TOKEN_LIFETIME_S,
      tool: 'deploy',
      gateways: through,
    });
    agents.push(...through.flatMap((gateway) => workThrough(gateways, gateway, user, token)));
  }

  const calls = new Calls();
  const working = world.startAgents(agents, (call) => calls.add(call));
  await world.until(() => agents.every(({ name }) => calls.of(name).length > 0), 'every agent has worked');
  await sleep(BEFORE_MS, undefined, { signal });
  say({ event: 'calls', calls: calls.count() });

  const webhook = await sendLeaver(keelson.url, secret, SAM.user, signal);
  say({ event: 'webhook', person: SAM.user, status: webhook.status, ms: Math.round(webhook.ms) });
  const refused = await watchRefusals(world, calls, webhook.acceptedMs, say);
  await sleep(AFTER_MS, undefined, { signal });
  await working.stop();
  const after = calls.count(Math.max(...refused.map(({ atMs }) => atMs)));
  say({ event: 'after', calls: after, ms: AFTER_MS });

  const order = await findOrder(world, keelson, webhook.id);
  const closed = await followCase(world, keelson, order);
  say({ event: 'case', ...closed });
  const { file, ...certified } = await certify(world, keelson, order);
  say({ event: 'certificate', ...certified });
  const checked = await verify(world, file, keelson.verifierKey);
  say({ event: 'verified', ...checked });
  say({ event: 'end', ms: Math.round(performance.now() - beganMs) });
  const isRight = after.every(({ user, ...counts }) =>
    user === SAM.user ? counts.with.allowed === 0 && counts.without.refused === 0 : counts.with.refused === 0,
  );
  return isRight && closed.state === 'enforced' && checked.code === 0 && checked.changedCode !== 0;
}

/** HR may speak for the company's people. Answers the secret that it signs with. @param {Keelson} keelson */
async function connectHr({ ask }) {
  await ask('PUT', '/v1/producers/hr', { issuer: ISSUER, hr: {} });
  const { secret } = await ask('POST', '/v1/producers/hr/webhook-secrets', {});
  return /** @type {string} */ (secret);
}

/**
 * Of each gateway two: one with a guard, one without.
 * @param {World} world
 * @param {Keelson} keelson
 * @param {string} jwks
 */
async function startGateways(world, { url, ask }, jwks) {
  await ask('POST', '/v1/points', { point: POINT });
  const { token: enrolment } = await ask('POST', '/v1/enrolments', { point: POINT, uses: 3, expiresInS: 600 });
  const scopes = ['publish:decisions'];
  const { token } = await ask('POST', '/v1/tokens', { name: 'gateways', producer: 'gateways', scopes });
  const env = { TOOLS_URL: await world.start('tools', 'tools.mjs', {}), ISSUER, JWKS: jwks };
  const guarded = {
    ...env,
    KEELSON_URL: url,
    KEELSON_ENROLMENT: enrolment,
    KEELSON_TOKEN: token,
  };
  const started = GATEWAYS.flatMap((name) => [
    world.start(`${name}, with`, 'gateway.mjs', guarded).then((at) => /** @type {const} */ ([`${name}, with`, at])),
    world.start(`${name}, without`, 'gateway.mjs', env).then((at) => /** @type {const} */ ([`${name}, without`, at])),
  ]);
  return new Map(await Promise.all(started));
}

/**
 * @param {Map<string, string>} gateways
 * @param {string} gateway
 * @param {string} user
 * @param {string} token
 * @returns {Agent[]}
 */
function workThrough(gateways, gateway, user, token) {
  return /** @type {const} */ (['with', 'without']).map((how) => ({
    name: nameOf(user, gateway, how),
    url: gateways.get(`${gateway}, ${how}`) ?? '',
    token,
    tool: 'deploy',
    parameters: { service: 'api' },
    everyMs: EVERY_MS[how],
  }));
}

/**
 * A webhook of HR, signed by Standard Webhooks: docs/connect-hr.md.
 * @param {string} url
 * @param {string} secret
 * @param {string} person
 * @param {AbortSignal} signal
 */
async function sendLeaver(url, secret, person, signal) {
  const id = `msg_${randomUUID()}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const data = { person, reason_code: 'resigned' };
  const body = JSON.stringify({ type: 'person.left', timestamp: new Date().toISOString(), data });
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  const sentMs = performance.now();
  const answer = await fetch(`${url}/v1/hr/hr`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
      // Answered as soon as it is durable; the ledger comes next.
      prefer: 'wait=0',
    },
    body,
    signal,
  });
  const ms = performance.now() - sentMs;
  if (!answer.ok) throw new Error(`the webhook was answered ${answer.status}: ${await answer.text()}`);
  return { id, status: answer.status, ms, acceptedMs: performance.timeOrigin + sentMs + ms };
}

/**
 * Tells each gateway's first refusal as it comes.
 * @param {World} world
 * @param {Calls} calls
 * @param {number} acceptedMs
 * @param {Say} say
 */
async function watchRefusals(world, calls, acceptedMs, say) {
  /** @type {{ gateway: string, atMs: number }[]} */
  const refused = [];
  const look = () => {
    for (const gateway of SAM.gateways) {
      if (refused.some((one) => one.gateway === gateway)) continue;
      const first = calls.of(nameOf(SAM.user, gateway, 'with')).find(({ allowed }) => !allowed);
      if (first === undefined) continue;
      refused.push({ gateway, atMs: first.atMs });
      const ms = Math.round(first.atMs - acceptedMs);
      say({ event: 'refused', user: SAM.user, gateway, ms, reason: first.reason });
    }
    return refused.length === SAM.gateways.length;
  };
  await world.until(look, 'every gateway refuses');
  return refused;
}

/**
 * The order that follows from a webhook.
 * @param {World} world
 * @param {Keelson} keelson
 * @param {string} webhookId
 */
async function findOrder(world, { ask }, webhookId) {
  /** @type {any} */
  let found;
  await world.until(async () => {
    const { revocations } = await ask('GET', '/v1/revocations?source=hr&limit=1');
    found = revocations.find((/** @type {any} */ one) => one.cause.id.includes(webhookId) && one.state === 'ordered');
    return found !== undefined;
  }, 'the order is listed');
  return found.order;
}

/**
 * The case of an order, once it is closed.
 * @param {World} world
 * @param {Keelson} keelson
 * @param {string} order
 */
async function followCase(world, { ask }, order) {
  /** @type {any} */
  let found;
  await world.until(async () => {
    found = await ask('GET', `/v1/cases/${order}`);
    return found.state !== 'open';
  }, 'the case is closed');
  return found;
}

/**
 * Keeps the certificate of a case as a file.
 * @param {World} world
 * @param {Keelson} keelson
 * @param {string} order
 */
async function certify(world, { askText }, order) {
  const text = await askText('GET', `/v1/cases/${order}/certificate`);
  const file = join(world.folder, 'certificate.json');
  writeFileSync(file, text);
  return { file, bytes: Buffer.byteLength(text) };
}

/**
 * Checks it as an auditor would, with nothing but the ledger's key; then one of which a character was changed.
 * @param {World} world
 * @param {string} file
 * @param {string} key
 */
async function verify(world, file, key) {
  const { code, said } = await world.runCli(['verify', file, '--key', key, '--json']);
  const changed = join(world.folder, 'changed.json');
  writeFileSync(changed, readFileSync(file, 'utf8').replace(/"acked"/, '"asked"'));
  const { code: changedCode } = await world.runCli(['verify', changed, '--key', key]);
  return { code, ...JSON.parse(said), changedCode };
}

/** Every call of every agent. */
class Calls {
  /** @type {Map<string, Call[]>} */
  #calls = new Map();

  /** @param {Call} call */
  add(call) {
    const calls = this.#calls.get(call.name);
    if (calls === undefined) this.#calls.set(call.name, [call]);
    else calls.push(call);
  }

  /** @param {string} name */
  of(name) {
    return this.#calls.get(name) ?? [];
  }

  /** Who was let in how often through which gateway, and refused how often, after a moment. */
  count(fromMs = 0) {
    const through = (/** @type {string} */ name) => {
      const calls = this.of(name).filter(({ atMs }) => atMs > fromMs);
      const allowed = calls.filter((call) => call.allowed).length;
      return { allowed, refused: calls.length - allowed };
    };
    return [SAM, ANA].flatMap(({ user, gateways }) =>
      gateways.map((gateway) => ({
        user,
        gateway,
        with: through(nameOf(user, gateway, 'with')),
        without: through(nameOf(user, gateway, 'without')),
      })),
    );
  }
}

/** An agent at work, and which of the two gateways of a name it works through. @param {string} user @param {string} gateway @param {string} how */
const nameOf = (user, gateway, how) => `${user}, ${gateway}, ${how}`;

/**
 * A process that decides, made of the service's own parts: real database, event log, identity graph and intake. Its ports are passed
 * through gates, at which a test holds it. It sequences nothing: the test's own process does.
 */
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { readConfig } from '../../../src/config.js';
import type { EventLog } from '../../../src/eventlog/port.js';
import { Readiness } from '../../../src/http/readiness.js';
import { readSizes } from '../../../src/ledger/projection-runner.js';
import { Settlement } from '../../../src/ledger/settlement.js';
import { Follower } from '../../../src/revocation/follower.js';
import { Processor, type ProcessorOptions } from '../../../src/revocation/processor.js';
import { Survey } from '../../../src/revocation/survey.js';
import { Terms } from '../../../src/revocation/term.js';
import { openEventLog } from '../../../src/server/event-log.js';
import { openFoundation } from '../../../src/server/foundation.js';
import { openIdentity } from '../../../src/server/identity.js';
import { openIntake } from '../../../src/server/intake.js';
import { makeLedgerParts } from '../../../src/server/ledger.js';
import { openEvidence } from '../../../src/server/registration.js';
import { makeSnapshots } from '../../../src/server/revocation.js';
import { Gates, type Command, type Point, type Report } from './gates.js';

const report = (message: Report): void => void process.send!(message);
const gates = new Gates(report);
process.on('message', (command: Command) => gates.command(command));
process.on('disconnect', () => process.exit(0));

const logger = pino({ level: process.env.GATED_LOG ?? 'silent' }, pino.destination(2));
const config = readConfig(JSON.parse(process.argv[2]!) as Record<string, string>);
const foundation = await openFoundation(config, { logger, applicationName: 'gated-processor' });
const { database, vault, clock } = foundation;
const { eventLog } = await openEventLog(config, foundation.storage, logger);
const ledger = makeLedgerParts(foundation);
const readiness = new Readiness();
const metrics = new Registry();
const { intake } = openIntake({
  foundation,
  eventLog: gateLog(eventLog),
  ledger: new Settlement(ledger.reader, eventLog, ledger.watch.precedence),
  evidence: openEvidence(foundation, metrics).evidence,
  readiness,
  metrics,
});
const { identity } = openIdentity(foundation, ledger, readiness);
const follower = new Follower(database, ledger.watch, makeSnapshots(foundation));
const survey = new Survey({
  identity,
  identify: (pseudonyms) => vault.identify(pseudonyms),
  sizes: () => readSizes(database),
  policyOf: () => Promise.resolve({ owns: [], expects: [], groupless: [] }),
  logger,
});
const processor = new Processor({
  follower: gateFollower(follower),
  terms: new Terms(database),
  survey: gateSurvey(survey),
  intake: gateIntake(intake),
  clock,
  logger,
  settings: { holdCount: 1000, holdShare: 1, holdUs: 900e6, tokenLifeUs: 366 * 86_400e6 },
});

const hasPending = (): boolean => [...follower.state.waiting].length > 0;

function gateFollower(real: Follower): ProcessorOptions['follower'] {
  return {
    get state() {
      return real.state;
    },
    get size() {
      return real.size;
    },
    async catchUp(atLeast) {
      await real.catchUp(atLeast);
      if (hasPending()) await gates.pass('cause folded');
      if (publishing === 'done') {
        publishing = 'nothing';
        await gates.pass('parts folded');
      }
    },
    changed: (timeoutMs, signal) => real.changed(timeoutMs, signal),
    close: () => real.close(),
  };
}

function gateSurvey(real: Survey): ProcessorOptions['survey'] {
  return {
    get isHere() {
      return real.isHere;
    },
    changed: () => real.changed(),
    reached: (state) => real.reached(state),
    async ask(...args) {
      if (hasPending()) await gates.pass('survey asked');
      const worlds = await real.ask(...args);
      if (hasPending()) await gates.pass('survey answered');
      return worlds;
    },
  };
}

/** What is on its way into lifecycle just now. */
let publishing: 'nothing' | 'term' | 'parts' | 'done' = 'nothing';
let part = 0;

function gateIntake(real: ProcessorOptions['intake']): ProcessorOptions['intake'] {
  return {
    async publishOwn(events, waitMs) {
      publishing = events[0]!.type === 'revocation.term' ? 'term' : 'parts';
      part = 0;
      const settled = await real.publishOwn(events, waitMs);
      if (publishing === 'parts') await gates.pass('parts settled');
      publishing = publishing === 'parts' ? 'done' : 'nothing';
      return settled;
    },
  };
}

/** One pack after the other: each part has one of its own. */
function gateLog(real: EventLog): EventLog {
  let last: Promise<unknown> = Promise.resolve();
  const append: EventLog['append'] = async (at, pack) => {
    const name = publishing === 'term' ? 'term' : `part ${++part}`;
    await gates.pass(name as Point);
    const offset = await real.append(at, pack);
    await gates.pass(`${name} written` as Point);
    return offset;
  };
  return {
    partitions: real.partitions,
    checkpoints: real.checkpoints,
    append(at, pack) {
      if (at.topic !== 'lifecycle' || publishing === 'nothing' || publishing === 'done') return real.append(at, pack);
      const appended = last.then(() => append(at, pack));
      last = appended.catch(() => undefined);
      return appended;
    },
    bounds: (at) => real.bounds(at),
    read: (at, offset) => real.read(at, offset),
    subscribe: (consumer) => real.subscribe(consumer),
    trim: (at, before) => real.trim(at, before),
    close: () => real.close(),
    health: () => real.health(),
  };
}

let told: string | null = null;
setInterval(() => {
  const term = processor.term?.toString() ?? null;
  if (term !== told) report({ term: (told = term) });
}, 10);
processor.start();
report({ ready: true });

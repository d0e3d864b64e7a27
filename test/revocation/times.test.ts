/** What waits: for its time, for a second person, for nobody. */
import { describe, expect, it } from 'vitest';
import { IDP, pseudonym, Simulation, typesOf } from './simulation.js';

const at = (us: number): string => new Date(us / 1000).toISOString().replace('.000Z', 'Z');

/** So many leavers of one source, each an event of its own. */
function crowd(sim: Simulation, count: number, producer = 'entra') {
  return Array.from({ length: count }, (_, i) =>
    sim.say(producer, { type: 'principal.offboarded', principal: sim.person(`${producer}-${i}`) }),
  );
}

describe('a cause with a time ahead', () => {
  it('is scheduled, fires on time, and says when it was late', async () => {
    const sim = new Simulation();
    const cause = sim.say('hr', {
      type: 'principal.offboarded',
      principal: sim.person('anna'),
      effective_at: at(sim.nowUs + 3600e6),
    });
    expect(cause.state).toBe('scheduled');
    expect(await sim.settle()).toEqual([]);
    expect(sim.step({ kind: 'look', reached: [] }).wakeUs).toBe(cause.dueUs);
    sim.pass(3599);
    expect(await sim.settle()).toEqual([]);
    sim.pass(1);
    expect(typesOf(await sim.settle())).toEqual(['fired', 'ordered']);
    expect(cause.late).toBeUndefined();

    const missed = sim.say('hr', {
      type: 'principal.offboarded',
      principal: sim.person('ben'),
      effective_at: at(sim.nowUs + 60e6),
    });
    sim.pass(7200);
    sim.state = sim.refold();
    sim.takeTerm();
    const written = await sim.settle();
    expect(typesOf(written)).toEqual(['fired', 'ordered']);
    expect(written[0]!.event).toMatchObject({ late: true, due_at: at(missed.dueUs) });
    expect(sim.state.causes.get(missed.order)).toMatchObject({ state: 'ordered', late: true });
  });

  it('is called off by a return, which is settled by that; one that has nothing to call off or lift is refused', async () => {
    const sim = new Simulation();
    const [anna, ben] = [sim.person('anna'), sim.person('ben')];
    const off = sim.say('hr', { type: 'principal.offboarded', principal: anna, effective_at: at(sim.nowUs + 3600e6) });
    const [back, nothing] = [anna, ben].map((principal) => sim.say('hr', { type: 'principal.reinstated', principal }));
    expect(typesOf(await sim.settle()).sort()).toEqual(['lifted', 'refused']);
    expect(off).toMatchObject({ state: 'cancelled', endedBy: back!.order });
    expect(back).toMatchObject({ state: 'settled' });
    expect(nothing).toMatchObject({ state: 'refused', code: 'nothing_to_lift' });
    sim.pass(7200);
    expect(await sim.settle()).toEqual([]);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(false);
    expect(sim.refold().causes).toEqual(sim.state.causes);
  });

  it('is not called off by a return that is planned for later: whoever leaves on Friday and is back on Monday is away between', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    const leave = sim.say('hr', { type: 'principal.offboarded', principal: anna, effective_at: at(sim.nowUs + 60e6) });
    const back = sim.say('hr', { type: 'principal.reinstated', principal: anna, effective_at: at(sim.nowUs + 120e6) });
    expect([leave.state, back.state]).toEqual(['scheduled', 'scheduled']);
    sim.pass(60);
    expect(typesOf(await sim.settle())).toEqual(['fired', 'ordered']);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    sim.pass(60);
    expect(typesOf(await sim.settle())).toEqual(['fired', 'lifted']);
    expect([leave.state, back.state]).toEqual(['lifted', 'settled']);
    expect(sim.refold().causes).toEqual(sim.state.causes);

    const earlier = sim.say('hr', {
      type: 'principal.reinstated',
      principal: anna,
      effective_at: at(sim.nowUs + 60e6),
    });
    const later = sim.say('hr', { type: 'principal.offboarded', principal: anna, effective_at: at(sim.nowUs + 180e6) });
    const again = sim.say('hr', { type: 'principal.reinstated', principal: anna, effective_at: at(sim.nowUs + 120e6) });
    expect([earlier, later, again].map(({ state }) => state)).toEqual(['scheduled', 'cancelled', 'scheduled']);
  });

  it('can be changed and cancelled; what is in force can not', async () => {
    const sim = new Simulation();
    const leave = (id: string) =>
      sim.say('hr', { type: 'principal.offboarded', principal: sim.person(id), effective_at: at(sim.nowUs + 3600e6) });
    const [moved, off] = [leave('anna'), leave('ben')];
    sim.say('admin', { type: 'revocation.rescheduled', cause: moved.order, effective_at: at(sim.nowUs + 60e6) });
    sim.say('admin', { type: 'revocation.cancelled', cause: off.id });
    sim.pass(60);
    expect(typesOf(await sim.settle())).toEqual(['fired', 'ordered']);
    expect([moved.state, off.state]).toEqual(['ordered', 'cancelled']);
    const late = sim.say('admin', { type: 'revocation.cancelled', cause: moved.order });
    const unknown = sim.say('admin', { type: 'revocation.cancelled', cause: 'nobody' });
    await sim.settle();
    expect([late, unknown]).toMatchObject([
      { state: 'refused', code: 'not_waiting' },
      { state: 'refused', code: 'unknown_cause' },
    ]);
    sim.pass(7200);
    expect(await sim.settle()).toEqual([]);
  });

  it('a source may change and cancel its own; never another’s, a compromise, or what a second person was asked about', async () => {
    const sim = new Simulation();
    const say = (producer: string, cause: string, more = {}) =>
      sim.say(producer, { type: 'revocation.cancelled', cause, by_source: true, ...more });
    const at1h = at(sim.nowUs + 3600e6);
    const leave = (id: string, name: string, more = {}) =>
      sim.say('hr', { type: 'principal.offboarded', principal: sim.person(id), effective_at: at1h, ...more }, name);
    const [off, byOrder, moved, foreign] = [
      leave('anna', 'a'),
      leave('ben', 'b'),
      leave('eve', 'c'),
      leave('kim', 'd'),
    ];
    sim.say('okta', { type: 'principal.offboarded', principal: sim.person('lea'), effective_at: at1h }, 'a');
    const breach = sim.say(
      'hr',
      { type: 'revocation.requested', principal: sim.person('tom'), security: true, effective_at: at1h },
      'breach',
    );
    say('hr', 'a');
    say('hr', byOrder.order);
    sim.say('hr', { type: 'revocation.rescheduled', cause: 'c', by_source: true, effective_at: at(sim.nowUs + 60e6) });
    const refused = [say('okta', 'd'), say('okta', foreign.order), say('hr', 'breach'), say('hr', 'a')];
    await sim.settle();
    expect([off, byOrder, moved, foreign, breach].map(({ state }) => state)).toEqual([
      'cancelled',
      'cancelled',
      'scheduled',
      'scheduled',
      'scheduled',
    ]);
    expect(refused.map(({ code }) => code)).toEqual(['unknown_cause', 'unknown_cause', 'security', 'not_waiting']);
    sim.pass(60);
    await sim.settle();
    expect(moved.state).toBe('ordered');

    sim.settings = { ...sim.settings, holdCount: 0, holdShare: 0 };
    const held = [leave('x', 'x'), leave('y', 'y')];
    await sim.settle();
    expect(held.map(({ state }) => state)).toEqual(['held', 'held']);
    sim.say('admin', { type: 'revocation.approved', cause: held[1]!.order, actor: pseudonym('boss') });
    expect(held[1]!.state).toBe('scheduled');
    const answers = held.map(({ id }) => say('hr', id));
    const later = sim.say('hr', { type: 'revocation.rescheduled', cause: 'y', by_source: true, effective_at: at1h });
    await sim.settle();
    expect([...answers, later].map(({ code }) => code)).toEqual(['second_person', 'second_person', 'second_person']);
    expect(held.map(({ state }) => state)).toEqual(['held', 'scheduled']);
    expect(sim.refold().causes.get(off.order)).toMatchObject({ state: 'cancelled', decidedBy: 'hr' });
  });

  it('goes at once where it is urgent', async () => {
    const sim = new Simulation();
    const cause = sim.say('hr', {
      type: 'principal.offboarded',
      principal: sim.person('anna'),
      urgent: true,
      effective_at: at(sim.nowUs + 3600e6),
    });
    await sim.settle();
    expect(cause.state).toBe('ordered');
  });
});

describe('many leavers of one source', () => {
  it('wait for a second person, and happen after 15 minutes unless denied', async () => {
    const sim = new Simulation();
    const leavers = crowd(sim, 60);
    await sim.settle();
    const held = leavers.filter(({ state }) => state === 'held');
    expect(held).toHaveLength(10);
    expect(leavers.slice(0, 50).every(({ state }) => state === 'ordered')).toBe(true);
    sim.pass(60);
    const say = (type: string, cause: string, actor: string, producer = 'admin') =>
      sim.say(producer, { type, cause, actor });
    say('revocation.approved', held[0]!.order, pseudonym('boss'));
    say('revocation.denied', held[1]!.order, pseudonym('boss'));
    await sim.settle();
    expect([held[0]!.state, held[1]!.state]).toEqual(['ordered', 'denied']);
    sim.pass(15 * 60 - 61);
    expect(await sim.settle()).toEqual([]);
    sim.pass(2);
    const fired = await sim.settle();
    expect(typesOf(fired).filter((type) => type === 'fired')).toHaveLength(8);
    expect(held.slice(2).every(({ state, late }) => state === 'ordered' && late !== true)).toBe(true);
    expect(sim.isRevoked({ subject: 'entra-59' })).toBe(true);
    expect(held[1]!.state).toBe('denied');
  });

  it('nobody answers for themselves: not who caused it, not who leaves, not the source, not nobody', async () => {
    const sim = new Simulation();
    sim.settings = { ...sim.settings, holdCount: 0, holdShare: 0 };
    const [anna, hr] = [sim.person('anna'), sim.person('hr-clerk')];
    const caused = sim.say('hr', { type: 'principal.offboarded', principal: anna, actor: hr });
    const automatic = sim.say('okta', { type: 'principal.offboarded', principal: sim.person('ben') });
    await sim.settle();
    expect([caused.state, automatic.state]).toEqual(['held', 'held']);
    const answers = [
      sim.say('admin', { type: 'revocation.approved', cause: caused.order, actor: hr }),
      sim.say('admin', { type: 'revocation.denied', cause: caused.order, actor: anna }),
      sim.say('admin', { type: 'revocation.approved', cause: caused.order }),
      sim.say('okta', { type: 'revocation.approved', cause: automatic.order, actor: pseudonym('x') }),
    ];
    await sim.settle();
    expect(answers.map(({ code }) => code)).toEqual(['own_approval', 'own_approval', 'no_actor', 'own_approval']);
    expect([caused.state, automatic.state]).toEqual(['held', 'held']);
  });

  it('under a flood of 5,000, other sources, administrators and compromises never wait', async () => {
    const sim = new Simulation();
    const flood = crowd(sim, 5000);
    const other = sim.say('hr', { type: 'principal.offboarded', principal: sim.person('anna') });
    const asked = sim.say('admin', { type: 'revocation.requested', target: { type: 'agent', value: 'bot' } });
    const breach = sim.say('admin', { type: 'revocation.requested', principal: sim.person('eve'), security: true });
    for (const event of await sim.decide()) sim.write(event);
    expect([other, asked, breach].map(({ state }) => state)).toEqual(['ordered', 'ordered', 'ordered']);
    const order = sim.written.filter(({ type }) => type === 'revocation.ordered').map(({ event }) => event.order);
    expect(order.slice(0, 2)).toEqual([breach.order, asked.order]);
    await sim.settle();
    // 5 % of the 5,000 that the source ever named, counted as they came.
    expect(flood.filter(({ state }) => state === 'ordered')).toHaveLength(50);
    expect(flood.filter(({ state }) => state === 'held')).toHaveLength(4950);
  });

  it('the hour slides, the share counts, and who leaves twice counts once', async () => {
    const sim = new Simulation();
    for (let i = 0; i < 2000; i++) sim.say('entra', { type: 'principal.joined', principal: sim.person(`x-${i}`) });
    const many = crowd(sim, 90);
    for (let i = 0; i < 20; i++) {
      many.push(sim.say('entra', { type: 'principal.offboarded', principal: sim.person('entra-1') }));
    }
    await sim.settle();
    expect(many.filter(({ state }) => state === 'held')).toHaveLength(0);
    sim.pass(3601);
    const more = crowd(sim, 104);
    await sim.settle();
    expect(more.filter(({ state }) => state === 'held')).toHaveLength(0);
    const last = Array.from({ length: 4 }, (_, i) =>
      sim.say('entra', { type: 'principal.offboarded', principal: sim.person(`y-${i}`) }),
    );
    await sim.settle();
    expect(last.filter(({ state }) => state === 'held').length).toBeGreaterThan(0);
  });
});

describe('forgetting', () => {
  it('cutoffs and single tokens go by an entry once no token can need them; persons stay', async () => {
    const sim = new Simulation();
    sim.say('hr', { type: 'principal.offboarded', principal: sim.person('anna') });
    sim.say('admin', { type: 'revocation.requested', target: { type: 'token', value: 't', issuer: IDP } });
    sim.say('admin', { type: 'revocation.requested', target: { type: 'tool', value: 'deploy' }, effect: 'cutoff' });
    await sim.settle();
    const old = sim.nowUs - 60e6;
    sim.pass(29 * 86_400);
    expect(typesOf(await sim.settle())).toEqual([]);
    expect(sim.isRevoked({ tool: 'deploy', issuedAtUs: old })).toBe(true);
    sim.pass(2 * 86_400);
    expect(typesOf(await sim.settle())).toEqual(['expired']);
    expect(sim.isRevoked({ tool: 'deploy', issuedAtUs: old })).toBe(false);
    expect(sim.isRevoked({ jti: 't' })).toBe(false);
    expect(sim.isRevoked({ subject: 'anna' })).toBe(true);
    expect(sim.refold().table.head()).toEqual(sim.state.table.head());
  });

  it('a single token of which nobody knows how long it lives is forgotten once, and not ordered again', async () => {
    const sim = new Simulation();
    const anna = sim.person('anna');
    const unnamed = { issuer: IDP, digest: null, subjects: [], agents: [], clientId: null, sessionId: null };
    const token = { ...unnamed, jti: 't', grants: [], delegations: [], issuedAtUs: null, expiresAtUs: null };
    sim.graph.below.set(anna, { tokens: [token] });
    sim.say('hr', { type: 'principal.offboarded', principal: anna });
    await sim.settle();
    expect(sim.isRevoked({ jti: 't' })).toBe(true);
    sim.pass(31 * 86_400);
    expect(typesOf(await sim.settle())).toEqual(['expired']);
    sim.state = sim.refold();
    sim.takeTerm();
    expect(typesOf(await sim.settle())).toEqual([]);
    // Whoever names it gets it all the same.
    sim.say('admin', { type: 'revocation.requested', target: { type: 'token', value: 't', issuer: IDP } });
    expect(typesOf(await sim.settle())).toEqual(['ordered']);
    expect(sim.isRevoked({ jti: 't' })).toBe(true);
  });
});

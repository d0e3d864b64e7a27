/** Guards, feeds and tables that are wrong in one place. The simulation has to notice each; what it does not notice, it does not test. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Edit {
  /** Below src/. */
  readonly file: string;
  /** Stands in the file once. */
  readonly line: string;
  readonly becomes: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const RAW_CLOCKS: Edit = {
  file: 'protocol/lease-time.ts',
  line: 'if (movedUs > JUMP_US || movedUs < -JUMP_US) {',
  becomes: 'if (movedUs > Infinity) {',
};

const oneLine = (name: string, file: string, line: string, becomes: string): Mutant => ({
  name,
  edits: [{ file, line, becomes }],
});

export const MUTANTS: readonly Mutant[] = [
  oneLine(
    'renewing on receipt of a frame',
    'guard/step.ts',
    'const keys = applyFrame(core.options.hasher, table, frame);',
    `const keys = applyFrame(core.options.hasher, table, frame);
     if (keys.length > 0) extend(core, { sent: core.time.moment(), readAgeUs: 0 });`,
  ),
  oneLine(
    'lease by timer',
    'guard/step.ts',
    'const sent = core.nonces.get(nonce);',
    'const sent = core.nonces.has(nonce) ? core.time.moment() : undefined;',
  ),
  {
    name: 'wall clock only',
    edits: [
      RAW_CLOCKS,
      {
        file: 'protocol/lease-time.ts',
        line: 'return byMonotonic > byWall ? byMonotonic : byWall;',
        becomes: 'return byMonotonic > Infinity ? 0 : byWall;',
      },
    ],
  },
  {
    name: 'monotonic clock only',
    edits: [
      RAW_CLOCKS,
      {
        file: 'protocol/lease-time.ts',
        line: 'return byMonotonic > byWall ? byMonotonic : byWall;',
        becomes: 'return byWall > Infinity ? 0 : byMonotonic;',
      },
    ],
  },
  oneLine(
    'both clocks, and no uptime',
    'protocol/lease-time.ts',
    'const passedUs = uptimeUs - this.#uptimeAtUs + UPTIME_GRAIN_US;',
    'const passedUs = wallUs - this.#wallUs;',
  ),
  oneLine(
    'grant without a fresh read',
    'feed/core.ts',
    'return [...wait(core, input), ...read(core)];',
    `core.asked.set('', input);
      core.read = { beganUs: nowUs, size: core.foldedSize };
      return grant(core, nowUs);`,
  ),
  oneLine(
    'grant from a stalled fold',
    'feed/core.ts',
    'if (last === undefined || foldedSize < last.size) return [];',
    'if (last === undefined || foldedSize < 0n) return [];',
  ),
  oneLine(
    'grant by a read that began before it was asked for',
    'feed/core.ts',
    'const granted = [...core.asked.values()].map(',
    'const granted = [...core.asked.values(), ...core.waiting.values()].map(',
  ),
  oneLine(
    'ignored gap',
    'protocol/frame.ts',
    "if (from > seq) throw new KeelsonError('gap', `a frame from ${from}, where the table is at ${seq}`);",
    `if (from > seq) {
    for (let at = 0; at < facts.length; at += FACT_BYTES) table.putFact(parseFact(facts, at)!);
    return [facts];
  }`,
  ),
  oneLine(
    'ignored term',
    'protocol/revocation-table.ts',
    'if (part.term < this.#term) return undefined;',
    'if (part.term < 0n) return undefined;',
  ),
  oneLine(
    '`<` for `<=` in a cutoff',
    'protocol/check.ts',
    'if (cutoffKey === undefined && !(issuedAtUs! > table.cutoffUs(slot) + skewUs)) {',
    'if (cutoffKey === undefined && !(issuedAtUs! >= table.cutoffUs(slot) + skewUs)) {',
  ),
  oneLine(
    'snapshot trusted after a start',
    'guard/step.ts',
    "return [{ kind: 'replaced' }, ...moved(core, table)];",
    `core.lease ??= { sent: core.time.moment(), readAgeUs: 0 };
  return [{ kind: 'replaced' }, ...moved(core, table)];`,
  ),
  oneLine(
    'ack before apply',
    'guard/step.ts',
    'const keys = applyFrame(core.options.hasher, table, frame);',
    `core.proven = { seq: frame.head.seq, stateHash: frame.head.stateHash };
  const keys = applyFrame(core.options.hasher, table, frame);`,
  ),
  oneLine(
    'head accepted backwards',
    'guard/step.ts',
    "if (head.seq < core.seq) throw new KeelsonError('out_of_range', 'a snapshot of the past');",
    '',
  ),
  oneLine(
    'feed keys accepted backwards',
    'guard/step.ts',
    "if (keySet.version < core.keySetVersion) throw new KeelsonError('out_of_range', 'an older set of feed keys');",
    '',
  ),
  oneLine(
    'grant in force before its head is applied',
    'guard/step.ts',
    'if (table === undefined || head.seq > table.seq) {',
    'if (table === undefined) {',
  ),
  oneLine(
    'canary that an older table refuses, too',
    'guard/step.ts',
    'issuedAtUs: table.cutoffUs(slot) + core.skewUs',
    'issuedAtUs: table.cutoffUs(slot)',
  ),
  oneLine(
    'case fenced too early',
    'revocation/cases/standing.ts',
    'return waitedUs < FENCED_AFTER_US ? ',
    'return waitedUs < FENCED_AFTER_US / 4 ? ',
  ),
  oneLine(
    'case closed by an ack of what came before',
    'revocation/cases/standing.ts',
    'if (ack !== undefined && ack.seq >= order.seq && ack.isTrue !== undefined) {',
    'if (ack !== undefined && ack.seq >= order.seq - 3 && ack.isTrue !== undefined) {',
  ),
  oneLine(
    'case closed by an ack of another table',
    'revocation/cases/standing.ts',
    "if (!ack.isTrue) return 'contradicting';",
    '',
  ),
  oneLine(
    'case that waits for nobody who is silent',
    'revocation/cases/standing.ts',
    'if (!mayHaveHeldLease(order, one)) {',
    'if (!mayHaveHeldLease(order, one) || waitedUs > 5e6) {',
  ),
  oneLine(
    'case that is never fenced',
    'revocation/cases/standing.ts',
    'return waitedUs < FENCED_AFTER_US ? ',
    'return waitedUs < Infinity ? ',
  ),
  // Only certificates tell these.
  {
    name: 'certificate: who is fenced attested it',
    edits: [
      {
        file: 'revocation/cases/entry.ts',
        line: '  { result, instances, incomplete }: CaseOutcome,',
        becomes: '  { result, instances: all, incomplete }: CaseOutcome,',
      },
      {
        file: 'revocation/cases/entry.ts',
        line: '  const ranked = [',
        becomes: `  const instances = all.map((one) => (one.standing === 'fenced' && one.ack ? { ...one, standing: 'acked' as const } : one));
  const ranked = [`,
      },
      {
        file: 'verify/certificate/instances.ts',
        line: 'if (ack.seq < seq) fail(',
        becomes: 'if (ack.seq < 0) fail(',
      },
    ],
  },
  {
    name: 'certificate: enforced, with somebody who is fenced',
    edits: [
      {
        file: 'revocation/cases/outcome.ts',
        line: "const isEnforced = has('acked') && !has('fenced');",
        becomes: "const isEnforced = has('acked');",
      },
      {
        file: 'verify/certificate/closed.ts',
        line: 'return counts.acked > 0 && counts.fenced === 0 ?',
        becomes: 'return counts.acked > 0 ?',
      },
    ],
  },
  oneLine(
    'certificate: leaves out who is absent',
    'revocation/cases/entry.ts',
    'instances: ranked.slice(0, MAX_INSTANCES).map(',
    "instances: ranked.filter(({ standing }) => standing !== 'absent').slice(0, MAX_INSTANCES).map(",
  ),
  oneLine(
    'certificate: absent, with a lease that ended after the order',
    'revocation/cases/standing.ts',
    'if (!mayHaveHeldLease(order, one)) {',
    'if (!mayHaveHeldLease({ orderedUs: order.orderedUs + waitedUs }, one)) {',
  ),
  oneLine(
    'certificate: all of it attested, by a mapping that lacks a type',
    'revocation/cases/standing.ts',
    "return unmappedTypes(order, one).length > 0 ? 'partial' : 'acked';",
    "return unmappedTypes(order, one).length < 0 ? 'partial' : 'acked';",
  ),
  oneLine(
    'certificate: fenced, where tools fail open',
    'revocation/cases/standing.ts',
    "? 'silent' : fails ? ",
    "? 'silent' : fails && one.retired ? ",
  ),
  oneLine(
    'certificate: without who fails open, as it was silent for long',
    'revocation/cases/standing.ts',
    "if (fails && one.retired !== 'asked') return 'unfenced';",
    "if (fails && one.retired === undefined) return 'unfenced';",
  ),
  oneLine(
    'certificate: nothing said of who can only be signalled',
    'revocation/cases/outcome.ts',
    '...order.signalled.slice(0, MAX_NAMED)',
    '...order.signalled.slice(0, 0)',
  ),
  oneLine(
    'certificate: last use too early',
    'revocation/cases/statement.ts',
    '    this.#found = ref;\n',
    '    this.#found = ref;\n    if (ref.index >= 0) return false;\n',
  ),
  oneLine(
    'certificate: last use of another issuer’s token',
    'verify/certificate/uses.ts',
    "return jti === token && textOf(named, 'issuer') === issuer;",
    'return jti === token || textOf(named, token) === issuer;',
  ),
  oneLine(
    'certificate: without one of the tokens',
    'revocation/cases/statement.ts',
    '...(tokens && { tokens }),',
    '...(tokens && { tokens: { ...tokens, shown: tokens.shown.slice(1) } }),',
  ),
  oneLine(
    'certificate: of another change of the table',
    'revocation/cases/statement.ts',
    '    seq,\n    cause:',
    '    seq: seq - 1,\n    cause:',
  ),
];

/** Paths below the root and what stands there instead. @throws Error: a line is not there, or more than once. */
export function applyMutant({ name, edits }: Mutant): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { file, line, becomes } of edits) {
    const path = fileURLToPath(new URL(`../../src/${file}`, import.meta.url));
    const text = files[path] ?? readFileSync(path, 'utf8');
    const count = text.split(line).length - 1;
    if (count !== 1) throw new Error(`mutant "${name}": ${count} times in ${file}: ${line}`);
    files[path] = text.replace(line, () => becomes);
  }
  return files;
}

// The import table of docs/architecture.md: a room imports from rooms of a lower row only.
const pureFiles = require('./pure.cjs');

const rows = [
  ['core'],
  ['protocol', 'events', 'platform'],
  ['eventlog', 'vault', 'http', 'verify', 'guard'],
  ['access', 'webhooks'],
  ['ledger', 'intake'],
  ['search', 'identity'],
  ['revocation'],
  ['provisioning', 'feed', 'findings'],
  ['console', 'config'],
  ['server'],
  ['cli'],
  ['main'],
];
/** Rooms that may import less than their row allows. */
const only = { verify: ['core', 'protocol'], guard: ['core', 'protocol'], console: ['core', 'protocol', 'verify'] };
/** Node's crypto behind core's ports, and files that outlive a crash: what stands outside the server may import these, too. */
const besides = { guard: '^src/platform/(hasher|signer|durable-file|data-lock)\\.ts$' };

const at = (rooms) => `^src/(${rooms.join('|')})(/|\\.ts$)`;
const forbidden = rows.flatMap((row, level) =>
  row.map((room) => ({
    name: `${room}-imports-downwards`,
    severity: 'error',
    comment: `${room} (row ${level + 1}) imports from lower rows only`,
    from: { path: at([room]) },
    to: {
      path: '^src/',
      pathNot: [at([room, ...(only[room] ?? rows.slice(0, level).flat())]), ...(besides[room] ? [besides[room]] : [])],
    },
  })),
);

/** What the pure rooms may reach outside src: nothing of Node, no I/O. */
const pure = ['core', 'protocol'];

/** `src/a/{b,c}*.ts` as a pattern. */
const matching = (globs) =>
  `^(${globs
    .map((glob) =>
      glob
        .replaceAll('.', '\\.')
        .replaceAll('*', '[^/]*')
        .replaceAll(/\{([^}]*)\}/g, (_, names) => `(${names.replaceAll(',', '|')})`),
    )
    .join('|')})$`;

module.exports = {
  forbidden: [
    ...forbidden,
    {
      name: 'what-the-guard-takes-of-platform-needs-nothing-else',
      severity: 'error',
      comment: 'they are part of the package of the guard',
      from: { path: besides.guard },
      to: { pathNot: [at(['core'])], dependencyTypesNot: ['core'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'pure-rooms-reach-no-node',
      severity: 'error',
      from: { path: at(pure) },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'pure-files-import-pure-files',
      severity: 'error',
      comment: 'types excepted: .ci/pure.cjs',
      from: { path: matching(pureFiles.steps) },
      to: { pathNot: matching([...pureFiles.steps, ...pureFiles.beneath]), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'kafkajs-in-one-room',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/eventlog/kafka' },
      to: { path: 'node_modules/kafkajs' },
    },
    {
      name: 'every-room-is-in-the-table',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: at(rows.flat()) },
    },
    { name: 'no-dev-dependencies', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev'] } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};

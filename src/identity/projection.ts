/** Identity as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { PoolClient } from 'pg';
import { splitPage } from '../ledger/page.js';
import type { Fold, FoldBatch, Projection } from '../ledger/projection.js';
import { readBacklog, type Backlog } from '../ledger/projection-runner.js';
import { learnSchemas } from '../ledger/schemas.js';
import type { Clock } from '../platform/clock.js';
import { compareIdentity } from './compare.js';
import { EntryReader } from './entry-part.js';
import { foldEntry } from './fold.js';
import { Graph } from './graph.js';
import { bringNodes, loadGraph } from './load.js';
import { saveChanges } from './save.js';
import { beginStaging, dropStaging, isStaging, mergeStaged } from './staging.js';
import { Sweep } from './sweep.js';
import { clearTables, createTables, identitySchema } from './tables.js';

/** Where the graph is, once it is loaded. */
export interface GraphHolder {
  /** While this process folds: else undefined. */
  graph: Graph | undefined;
}

export interface IdentityProjectionOptions {
  readonly clock: Pick<Clock, 'nowUs'>;
  readonly holder: GraphHolder;
  /** How far the live projection is behind; the ledger's word where it is left out. */
  readonly backlog?: (tx: PoolClient) => Promise<Backlog>;
  /** From how many entries on a rebuild stages its rows (staging.ts). */
  readonly stageFrom?: number;
}

const NAME = 'identity';
/** Below so many entries a merge is not worth its while. */
const STAGE_FROM = 100_000;
/** While rows are staged nothing is dropped from memory: at so many nodes they are merged. */
const STAGED_NODES_MAX = 4_000_000;

/** The identity projection; it puts its graph into `holder` while it is open. It does nothing until the runner opens it. */
export function identityProjection(options: IdentityProjectionOptions): Projection {
  const { clock, holder } = options;
  return {
    name: NAME,
    async open(tx, target) {
      const schema = identitySchema(target);
      await createTables(tx, schema);
      if (await isStaging(tx, schema)) await mergeStaged(tx, schema);
      const graph = new Graph();
      await loadGraph(tx, schema, graph, Number(clock.nowUs()));
      const fold = new IdentityFold(schema, graph, new EntryReader(await learnSchemas(tx)), options);
      if (target === 'keelson') {
        holder.graph = graph;
        await fold.stageIfFarBehind(tx);
      }
      return fold;
    },
    async clear(tx, target) {
      const schema = identitySchema(target);
      await createTables(tx, schema);
      await dropStaging(tx, schema);
      await clearTables(tx, schema);
    },
    createScratch: (tx, target) => createTables(tx, identitySchema(target)),
    compare: (tx, live, scratch) => compareIdentity(tx, identitySchema(live), identitySchema(scratch)),
  };
}

class IdentityFold implements Fold {
  readonly #sweep: Sweep;
  /** Entries that are still to come before what is staged is merged; undefined: nothing is staged. */
  #staged: number | undefined;

  constructor(
    private readonly schema: string,
    private readonly graph: Graph,
    private readonly reader: EntryReader,
    private readonly options: IdentityProjectionOptions,
  ) {
    this.#sweep = new Sweep(graph);
  }

  /** Stages what is folded from now on, if that is more than everything before it. */
  async stageIfFarBehind(tx: PoolClient): Promise<void> {
    const { backlog = (client) => readBacklog(client, NAME), stageFrom = STAGE_FROM } = this.options;
    const { folded, behind } = await backlog(tx);
    if (behind < stageFrom || behind < folded) return;
    await beginStaging(tx, this.schema);
    this.#staged = behind;
  }

  async fold(tx: PoolClient, { log, from, to, pages }: FoldBatch): Promise<void> {
    let index = from;
    for (const page of pages) {
      for (const bytes of splitPage(page)) {
        const { atUs, part } = this.reader.read(bytes);
        if (part !== undefined) foldEntry(this.graph, part, { log: log.id, index, atUs });
        index++;
      }
    }
    await this.#save(tx);
    if (this.#staged !== undefined) await this.#mergeIfDone(tx, this.#staged - Number(to - from));
    this.#sweepSome();
  }

  async #mergeIfDone(tx: PoolClient, left: number): Promise<void> {
    this.#staged = left;
    if (left > 0 && this.graph.nodes.size < STAGED_NODES_MAX) return;
    await mergeStaged(tx, this.schema);
    this.#staged = undefined;
    await this.stageIfFarBehind(tx);
  }

  /** What came back after memory had dropped it gets its place in the graph again: what it hangs on, and how it was. */
  async #save(tx: PoolClient): Promise<void> {
    const { schema, graph } = this;
    const changes = graph.takeChanges();
    const returned = await saveChanges(tx, schema, graph, changes, this.#staged !== undefined);
    const parents = [...changes.fresh].filter((node) => graph.nodes.kind(node) === 'parent');
    const keys = [...returned, ...parents.map((node) => graph.nodes.key(node).toString('hex'))];
    if (keys.length === 0) return;
    const made = graph.nodesMade;
    await bringNodes(tx, schema, graph, keys, (node) => !made.has(node));
    graph.takeChanges();
  }

  /** What is staged is not in the tables yet: memory alone can tell it. */
  #sweepSome(): void {
    if (this.#staged === undefined) this.#sweep.step(Number(this.options.clock.nowUs()));
  }

  idle(): Promise<void> {
    this.#sweepSome();
    return Promise.resolve();
  }

  close(): Promise<void> {
    const { holder } = this.options;
    if (holder.graph === this.graph) holder.graph = undefined;
    return Promise.resolve();
  }
}

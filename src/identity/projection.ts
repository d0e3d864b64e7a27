/** Identity as a projection of the ledger: what the runner, fsck and `rebuild` are handed. */
import type { PoolClient } from 'pg';
import { splitPage } from '../ledger/page.js';
import type { Fold, FoldBatch, Projection } from '../ledger/projection.js';
import { learnSchemas } from '../ledger/schemas.js';
import type { Clock } from '../platform/clock.js';
import { compareIdentity } from './compare.js';
import { EntryReader } from './entry-part.js';
import { foldEntry } from './fold.js';
import { Graph } from './graph.js';
import { bringNodes, loadGraph } from './load.js';
import { saveChanges } from './save.js';
import { Sweep } from './sweep.js';
import { clearTables, createTables, identitySchema } from './tables.js';

/** Where the graph is, once it is loaded. */
export interface GraphHolder {
  /** While this process folds: else undefined. */
  graph: Graph | undefined;
}

/** The identity projection; it puts its graph into `holder` while it is open. It does nothing until the runner opens it. */
export function identityProjection(clock: Pick<Clock, 'nowUs'>, holder: GraphHolder): Projection {
  return {
    name: 'identity',
    async open(tx, target) {
      const schema = identitySchema(target);
      await createTables(tx, schema);
      const graph = new Graph();
      await loadGraph(tx, schema, graph, Number(clock.nowUs()));
      const reader = new EntryReader(await learnSchemas(tx));
      if (target !== 'keelson') return new IdentityFold(schema, graph, reader, clock);
      holder.graph = graph;
      return new IdentityFold(schema, graph, reader, clock, () => {
        if (holder.graph === graph) holder.graph = undefined;
      });
    },
    async clear(tx, target) {
      const schema = identitySchema(target);
      await createTables(tx, schema);
      await clearTables(tx, schema);
    },
    createScratch: (tx, target) => createTables(tx, identitySchema(target)),
    compare: (tx, live, scratch) => compareIdentity(tx, identitySchema(live), identitySchema(scratch)),
  };
}

class IdentityFold implements Fold {
  readonly #sweep: Sweep;

  constructor(
    private readonly schema: string,
    private readonly graph: Graph,
    private readonly reader: EntryReader,
    private readonly clock: Pick<Clock, 'nowUs'>,
    private readonly left?: () => void,
  ) {
    this.#sweep = new Sweep(graph);
  }

  async fold(tx: PoolClient, { log, from, pages }: FoldBatch): Promise<void> {
    let index = from;
    for (const page of pages) {
      for (const bytes of splitPage(page)) {
        const { atUs, part } = this.reader.read(bytes);
        if (part !== undefined) foldEntry(this.graph, part, { log: log.id, index, atUs });
        index++;
      }
    }
    await this.#save(tx);
    this.#sweep.step(Number(this.clock.nowUs()));
  }

  /** What came back after memory had dropped it gets its place in the graph again: what it hangs on, and how it was. */
  async #save(tx: PoolClient): Promise<void> {
    const { schema, graph } = this;
    const changes = graph.takeChanges();
    const returned = await saveChanges(tx, schema, graph, changes);
    const parents = [...changes.fresh].filter((node) => graph.nodes.kind(node) === 'parent');
    const keys = [...returned, ...parents.map((node) => graph.nodes.key(node).toString('hex'))];
    if (keys.length === 0) return;
    const made = graph.nodesMade;
    await bringNodes(tx, schema, graph, keys, (node) => !made.has(node));
    graph.takeChanges();
  }

  idle(): Promise<void> {
    this.#sweep.step(Number(this.clock.nowUs()));
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.left?.();
    return Promise.resolve();
  }
}

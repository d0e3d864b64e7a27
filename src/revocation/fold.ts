/** Folding lifecycle: who says what decides what it can mean. Pure. */
import { foldCause } from './fold-causes.js';
import { foldOrder } from './fold-orders.js';
import { foldRequest } from './fold-requests.js';
import { foldTool } from './fold-tools.js';
import type { LifecycleEvent } from './lifecycle.js';
import type { RevocationState } from './state.js';

/** Who is there and who left, and what is ordered: neither attaches anything to anybody. */
const SAYS_NOTHING_OF_GRAPH = /^(revocation\.|principal\.(joined|updated|moved|offboarded|reinstated)$)/;

/** Folds one event; they come in the order of their index, each once. */
export function foldEvent(state: RevocationState, event: LifecycleEvent): void {
  state.index = event.index;
  if (!SAYS_NOTHING_OF_GRAPH.test(event.type)) state.graphIndex = event.index;
  if (event.type.startsWith('tool.')) foldTool(state, event);
  else if (!event.type.startsWith('revocation.')) foldCause(state, event);
  else if (event.own) foldOrder(state, event);
  else foldRequest(state, event);
}

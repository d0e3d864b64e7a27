/** OPA's decision log, as an unmodified OPA uploads it: an array of events (Open Policy Agent, "Decision Logs"). */
import { KeelsonError } from '../core/error.js';
import { isObject, omitMember, parseJson, splitItems, type JsonObject } from '../events/index.js';
import { checkId } from './identity.js';
import { refuse, type Item, type ParseOptions, type Protocol } from './item.js';
import { toDecision } from './opa-decision.js';

/** @param partition the name after `/logs/`: it is kept as the member `opa_partition` */
export const openOpa = (partition?: string): Protocol => ({
  name: 'opa',
  parse(body, options) {
    const { items } = splitItems(body, options.maxItems);
    return {
      list: true,
      count: items.length,
      items: (function* () {
        for (const { from, to } of items) yield parseEvent(body.subarray(from, to), options, partition);
      })(),
    };
  },
});

function parseEvent(raw: Uint8Array, options: ParseOptions, partition: string | undefined): Item {
  const known: { id?: string; type: string } = { type: 'decision.made' };
  try {
    if (raw.length > options.maxItemBytes) {
      throw new KeelsonError('too_large', `an event is larger than ${options.maxItemBytes} bytes`);
    }
    const parsed = parseJson(raw, options.limits);
    if (!isObject(parsed)) throw new KeelsonError('invalid_event', 'an event is a JSON object', { pointer: '' });
    if (parsed.decision_id !== undefined) known.id = checkId(parsed.decision_id, '/decision_id');
    const event = omitMember(parsed, 'decision_id');
    const digest = options.digest(event);
    const assigned = known.id === undefined ? ['id', 'type'] : ['type'];
    const source = sourceOf(event);
    const decision = toDecision(event, options.producer);
    if (partition !== undefined) decision.opa_partition = partition;
    return {
      raw,
      source,
      event: decision,
      digest,
      assigned,
      ...(known.id === undefined ? {} : { id: known.id }),
    };
  } catch (error) {
    return refuse(raw, error, known);
  }
}

/** `labels.id`: the instance of OPA, which its `decision_id` is unique within. */
function sourceOf(event: JsonObject): string {
  const labels = event.labels;
  return isObject(labels) && labels.id !== undefined ? checkId(labels.id, '/labels/id') : '';
}

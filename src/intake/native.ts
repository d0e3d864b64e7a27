/** Keelson's own form: a JSON object per event, alone or in an array, members as in the schemas. */
import { KeelsonError } from '../core/error.js';
import { isObject, omitMember, parseJson, splitItems } from '../events/index.js';
import { checkId } from './identity.js';
import { refuse, type Item, type ParseOptions, type Protocol } from './item.js';

export const native: Protocol = {
  name: 'native',
  parse(body, options) {
    const { array, items } = splitItems(body, options.maxItems);
    return {
      list: array,
      count: items.length,
      items: (function* () {
        for (const [i, { from, to }] of items.entries()) {
          const raw = body.subarray(from, to);
          const key =
            array && options.idempotencyKey !== undefined ? `${options.idempotencyKey}/${i}` : options.idempotencyKey;
          yield parseEvent(raw, options, key);
        }
      })(),
    };
  },
};

function parseEvent(raw: Uint8Array, options: ParseOptions, idempotencyKey: string | undefined): Item {
  const known: { id?: string; type?: string } = {};
  try {
    if (raw.length > options.maxItemBytes) {
      throw new KeelsonError('too_large', `an event is larger than ${options.maxItemBytes} bytes`);
    }
    const parsed = parseJson(raw, options.limits);
    if (!isObject(parsed)) throw new KeelsonError('invalid_event', 'an event is a JSON object', { pointer: '' });
    const { type } = parsed;
    if (typeof type === 'string') known.type = type;
    const own = parsed.id === undefined ? undefined : checkId(parsed.id);
    const event = own === undefined ? parsed : omitMember(parsed, 'id');
    const digest = options.digest(event);
    const id = own ?? (idempotencyKey === undefined ? undefined : checkId(idempotencyKey));
    if (id !== undefined) known.id = id;
    const assigned = own === undefined ? ['id'] : [];
    if (type === undefined) {
      if (options.defaultType === undefined) {
        throw new KeelsonError('invalid_event', 'an event needs a type', { pointer: '/type' });
      }
      event.type = options.defaultType;
      assigned.push('type');
    }
    return { raw, event, digest, assigned, source: '', ...(id === undefined ? {} : { id }) };
  } catch (error) {
    return refuse(raw, error, known);
  }
}

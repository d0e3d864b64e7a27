/** Which partition of a topic an event goes to: stable, so that all of one agent's decisions are in one log, in order. */
import { crc32 } from 'node:zlib';
import { isObject, type Json, type JsonObject } from '../events/json.js';
import type { Partition, Topic } from '../eventlog/port.js';

export class PartitionTable {
  readonly #byTopic = new Map<Topic, Partition[]>();

  constructor(partitions: readonly Partition[]) {
    for (const at of [...partitions].sort((a, b) => a.partition - b.partition)) {
      this.#byTopic.set(at.topic, [...(this.#byTopic.get(at.topic) ?? []), at]);
    }
    if (this.#byTopic.get('lifecycle')?.length !== 1) throw new Error('lifecycle is one partition, always');
  }

  /** The partition for an event of this topic; `id` is what decides where nothing else does. */
  choose(topic: Topic, event: JsonObject, id: string): Partition {
    const partitions = this.#byTopic.get(topic);
    if (partitions === undefined) throw new Error(`the event log has no topic ${topic}`);
    if (partitions.length === 1) return partitions[0]!;
    return partitions[crc32(routingKey(topic, event) ?? id) % partitions.length]!;
  }
}

/** Decisions go by agent, activity by token, else session. */
function routingKey(topic: Topic, event: JsonObject): string | undefined {
  if (topic === 'decisions') return text(event.agent);
  const token = event.token;
  const session = event.session;
  return (
    text(isObject(token) ? (token.jti ?? token.digest) : token) ??
    text(isObject(session) ? session.id : session) ??
    text(event.session_id)
  );
}

const text = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

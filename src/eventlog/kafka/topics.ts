/**
 * The internal topics and their settings: made when absent, checked when present. A wrong one refuses, naming topic, setting,
 * what was found and what is wanted: these settings are promises of the ledger's (append time, no acknowledged record lost).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { KeelsonError } from '../../core/error.js';
import { BackOff } from '../back-off.js';
import type { Topic } from '../port.js';
import { describeTopics, protocolErrors, type KafkaClient } from './client.js';

/** Longer than the oldest backup one would put back. */
const RETENTION_MS = 30 * 24 * 3_600_000;
/** Kafka's own default; packs are made to fit it (pack.ts). */
const MESSAGE_BYTES = 1_048_588;

/** How long brokers may take to know a topic that was just made. */
const KNOWN_WITHIN_MS = 10_000;
const NOT_YET_KNOWN = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'TOPIC_ALREADY_EXISTS']);

export interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly keepForEver: boolean;
}

export interface TopicOptions {
  readonly prefix: string;
  readonly decisionsPartitions: number;
  readonly activityPartitions: number;
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
  /** Nothing is made. */
  readonly readOnly?: boolean;
}

/** What a setting must be to be right; `value` is what a new topic gets. */
interface Setting {
  readonly name: string;
  readonly value: string;
  readonly atLeast?: true;
}

export const planTopics = (options: TopicOptions): Record<Topic | 'checkpoints', TopicPlan> => ({
  decisions: { name: `${options.prefix}decisions`, partitions: options.decisionsPartitions, keepForEver: false },
  lifecycle: { name: `${options.prefix}lifecycle`, partitions: 1, keepForEver: false },
  activity: { name: `${options.prefix}activity`, partitions: options.activityPartitions, keepForEver: false },
  checkpoints: { name: `${options.prefix}checkpoints`, partitions: 1, keepForEver: true },
});

const settingsOf = (plan: TopicPlan, options: TopicOptions): Setting[] => [
  { name: 'message.timestamp.type', value: 'LogAppendTime' },
  { name: 'cleanup.policy', value: 'delete' },
  plan.keepForEver
    ? { name: 'retention.ms', value: '-1' }
    : { name: 'retention.ms', value: String(RETENTION_MS), atLeast: true },
  { name: 'retention.bytes', value: '-1' },
  { name: 'unclean.leader.election.enable', value: 'false' },
  { name: 'min.insync.replicas', value: String(options.minInsyncReplicas) },
  { name: 'max.message.bytes', value: String(MESSAGE_BYTES), atLeast: true },
];

/**
 * Makes the topics that are missing, or refuses where it may not, and checks all of them. What was just made, here or by another process,
 * is not yet known to every broker: that is waited for.
 * @throws KeelsonError `event_log_misconfigured`, `event_log_unavailable`
 */
export async function prepareTopics(
  client: Pick<KafkaClient, 'admin'>,
  plans: readonly TopicPlan[],
  options: TopicOptions,
): Promise<void> {
  const admin = client.admin();
  const backOff = new BackOff();
  try {
    await admin.connect();
    for (const end = performance.now() + KNOWN_WITHIN_MS; ; await sleep(backOff.nextMs())) {
      try {
        return await makeAndCheck(admin, plans, options);
      } catch (error) {
        if (!isNotYetKnown(error) || performance.now() > end) throw error;
      }
    }
  } catch (error) {
    if (error instanceof KeelsonError) throw error;
    throw new KeelsonError(
      'event_log_unavailable',
      `Kafka: the topics can not be looked at: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

async function makeAndCheck(admin: Admin, plans: readonly TopicPlan[], options: TopicOptions): Promise<void> {
  await makeMissing(admin, plans, options);
  await checkPartitions(admin, plans, options);
  const found = await describeTopics(
    admin,
    plans.map(({ name }) => name),
  );
  for (const plan of plans)
    for (const setting of settingsOf(plan, options))
      checkSetting(plan, setting, found.get(plan.name)?.get(setting.name));
}

function isNotYetKnown(error: unknown): boolean {
  const types = protocolErrors(error);
  return types.length > 0 && types.every((type) => NOT_YET_KNOWN.has(type));
}

async function makeMissing(admin: Admin, plans: readonly TopicPlan[], options: TopicOptions): Promise<void> {
  const present = new Set(await admin.listTopics());
  const missing = plans.filter(({ name }) => !present.has(name));
  if (missing.length === 0) return;
  if (options.readOnly) throw misconfigured(missing.map(({ name }) => name).join(', '), 'topic', 'none', 'one');
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map((plan) => ({
        topic: plan.name,
        numPartitions: plan.partitions,
        replicationFactor: options.replicationFactor,
        configEntries: settingsOf(plan, options).map(({ name, value }) => ({ name, value })),
      })),
    });
  } catch (error) {
    // Another process made them at the same moment: what counts is the check.
    const types = protocolErrors(error).filter((type) => type !== 'TOPIC_ALREADY_EXISTS');
    if (types.length === 0 && protocolErrors(error).length > 0) return;
    const names = missing.map(({ name }) => name).join(', ');
    if (types.includes('INVALID_REPLICATION_FACTOR'))
      throw misconfigured(names, 'replication factor', 'fewer brokers', String(options.replicationFactor), error);
    if (types.some((type) => /AUTHORIZATION|POLICY|INVALID/.test(type)))
      throw misconfigured(names, 'creation', types.join(', '), 'the right to make topics with these settings', error);
    throw error;
  }
}

async function checkPartitions(admin: Admin, plans: readonly TopicPlan[], options: TopicOptions): Promise<void> {
  const { topics } = await admin.fetchTopicMetadata({ topics: plans.map(({ name }) => name) });
  for (const plan of plans) {
    const partitions = topics.find(({ name }) => name === plan.name)?.partitions ?? [];
    if (partitions.length !== plan.partitions)
      throw misconfigured(plan.name, 'partitions', String(partitions.length), String(plan.partitions));
    const replicas = Math.min(...partitions.map((partition) => partition.replicas.length));
    if (replicas < options.replicationFactor)
      throw misconfigured(plan.name, 'replication factor', String(replicas), `at least ${options.replicationFactor}`);
  }
}

function checkSetting(plan: TopicPlan, { name, value, atLeast }: Setting, found: string | undefined): void {
  const enough = atLeast === true && found !== undefined && (found === '-1' || Number(found) >= Number(value));
  if (found !== value && !enough)
    throw misconfigured(plan.name, name, found ?? 'nothing', atLeast === true ? `at least ${value}` : value);
}

const misconfigured = (topic: string, setting: string, found: string, wanted: string, cause?: unknown) =>
  new KeelsonError('event_log_misconfigured', `topic ${topic}: ${setting}: found ${found}, wanted ${wanted}`, {
    cause,
  });

/**
 * Publishing a file so that it can be interrupted anywhere and run again: every event has an id (its own, else one made of
 * its content and place), so what is sent twice is recorded once, and a file beside the input remembers how far it came.
 */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeelsonError } from '../core/error.js';
import type { Client } from './client.js';
import { CommandError, EXIT, exitCodeOf } from './exit.js';
import type { Item } from './items.js';

export interface Prepared {
  /** 0-based place in the input, and the text as it stands there. */
  readonly item: Item;
  readonly id: string;
  /** The event's JSON text, with its id. */
  readonly text: string;
  readonly endpoint: '/v1/decisions' | '/v1/events';
}

/**
 * An event ready to send. One without a type is a decision. The text is kept as it stands, so that no number is rounded.
 * @throws CommandError `usage` for what is not a JSON object.
 */
export function prepareItem(item: Item): Prepared {
  const { index, text } = item;
  let event: Record<string, unknown> | unknown[];
  try {
    event = JSON.parse(text) as typeof event;
  } catch (cause) {
    throw new CommandError(EXIT.usage, `event ${index} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (Array.isArray(event)) throw new CommandError(EXIT.usage, `event ${index} is an array, not an object`);
  const endpoint = event.type === undefined ? '/v1/decisions' : '/v1/events';
  if (event.id !== undefined) return { item, id: typeof event.id === 'string' ? event.id : '-', text, endpoint };
  const id = `sha256:${createHash('sha256').update(`${index}\n${text}`).digest('hex')}`;
  const rest = text.replace(/^\{\s*/, '');
  return { item, id, text: `{"id":"${id}"${rest === '}' ? '' : ','}${rest}`, endpoint };
}

/** Cuts a stream of events into uploads: one endpoint each, at most `maxCount` events and about `maxBytes` bytes. */
export async function* cutBatches(
  items: AsyncIterable<Prepared>,
  maxCount: number,
  maxBytes: number,
): AsyncGenerator<Prepared[]> {
  let batch: Prepared[] = [];
  let bytes = 0;
  for await (const item of items) {
    const size = Buffer.byteLength(item.text);
    const full = batch.length >= maxCount || bytes + size > maxBytes || batch[0]?.endpoint !== item.endpoint;
    if (batch.length > 0 && full) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Sends one upload; again while the server can't take it, waiting as long as it asks, until `patienceMs` have passed. What
 * was durable although its answer got lost is recognised by its id.
 */
export async function sendBatch(client: Client, batch: readonly Prepared[], patienceMs: number): Promise<unknown> {
  const body = `[${batch.map(({ text }) => text).join(',')}]`;
  const giveUpAt = performance.now() + patienceMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.sendJson('POST', batch[0]!.endpoint, body);
    } catch (error) {
      if (exitCodeOf(error) !== EXIT.unreachable || performance.now() >= giveUpAt) throw error;
      const asked = error instanceof KeelsonError ? error.retryAfterS : undefined;
      await sleep(Math.min((asked ?? 0.2 * 2 ** attempt) * 1000, 10_000));
    }
  }
}

/** How far an input was published. */
interface Progress {
  readonly url: string;
  readonly events: number;
  /** Of the events up to there, to notice another input. */
  readonly sha256: string;
}

/** The memory of a publication: a small JSON file, replaced after each upload that is durable. */
export class PublicationState {
  readonly #path: string;
  readonly #url: string;
  readonly #found: Progress | undefined;
  #hash = createHash('sha256');
  #seen = 0;

  private constructor(path: string, url: string, found: Progress | undefined) {
    this.#path = path;
    this.#url = url;
    this.#found = found;
  }

  /** @throws CommandError `usage` where the file is not ours, or is about another server. */
  static async open(path: string, url: string): Promise<PublicationState> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new CommandError(EXIT.usage, `${path} can't be read: ${error.message}`, { cause: error });
    });
    if (text === undefined) return new PublicationState(path, url, undefined);
    const found = parseProgress(text);
    if (found?.url !== url) {
      const whose = found === undefined ? 'not a publication state' : `about ${found.url}`;
      throw new CommandError(EXIT.usage, `${path} is ${whose}; remove it, or use --restart`);
    }
    return new PublicationState(path, url, found);
  }

  /** How many events an earlier run has published. */
  get published(): number {
    return this.#found?.events ?? 0;
  }

  /**
   * Passes over what was published before.
   * @throws CommandError `usage` where the input is not the one that was begun.
   */
  async *skipPublished(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    for await (const item of items) {
      if (this.#seen < this.published) this.#note(item.text);
      else yield item;
    }
    if (this.#seen < this.published) throw this.#otherInput();
  }

  /** These events, in order, are durable now. */
  async advance(batch: readonly Prepared[]): Promise<void> {
    for (const { item } of batch) this.#add(item.text);
    const progress: Progress = { url: this.#url, events: this.#seen, sha256: this.#hash.copy().digest('hex') };
    await writeFile(`${this.#path}.new`, `${JSON.stringify(progress)}\n`);
    await rename(`${this.#path}.new`, this.#path);
  }

  /** All of it is published: there is nothing to go on with. */
  async finish(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  #note(text: string): void {
    this.#add(text);
    if (this.#seen === this.published && this.#hash.copy().digest('hex') !== this.#found?.sha256)
      throw this.#otherInput();
  }

  #add(text: string): void {
    this.#hash.update(`${Buffer.byteLength(text)}\n${text}`);
    this.#seen++;
  }

  #otherInput(): CommandError {
    return new CommandError(
      EXIT.usage,
      `the input is not the one whose first ${this.published} events ${this.#path} remembers; use --restart to begin anew`,
    );
  }
}

function parseProgress(text: string): Progress | undefined {
  try {
    const { url, events, sha256 } = JSON.parse(text) as Partial<Progress>;
    if (typeof url !== 'string' || typeof sha256 !== 'string' || !Number.isSafeInteger(events)) return undefined;
    return { url, events: events!, sha256 };
  } catch {
    return undefined;
  }
}

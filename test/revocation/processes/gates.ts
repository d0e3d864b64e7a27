/** What a gated processor and the test that steers it say to each other. */

/**
 * Where a processor can be held between a cause and the end of its order: everywhere it waits for something.
 * `part n`: before that part is handed to the event log; `part n written`: it is durable there, and nobody here knows yet.
 */
export const POINTS = [
  'cause folded',
  'survey asked',
  'survey answered',
  'term',
  'term written',
  'part 1',
  'part 1 written',
  'part 2',
  'part 2 written',
  'part 3',
  'part 3 written',
  'parts settled',
  'parts folded',
] as const;
export type Point = (typeof POINTS)[number];

/** To the processor: stop where this point comes next; go on. */
export type Command = { readonly hold: Point } | { readonly go: true };

/** From the processor. */
export type Report = { readonly ready: true } | { readonly term: string | null } | { readonly held: Point };

/** Holds whoever passes at the point that was asked for, until it is let go. */
export class Gates {
  #wanted: Point | undefined;
  #release: (() => void) | undefined;

  constructor(private readonly report: (report: Report) => void) {}

  command(command: Command): void {
    if ('hold' in command) this.#wanted = command.hold;
    else this.#release?.();
  }

  pass(point: Point): Promise<void> {
    if (this.#wanted !== point) return Promise.resolve();
    this.#wanted = undefined;
    return new Promise((resolve) => {
      this.#release = resolve;
      this.report({ held: point });
    });
  }
}

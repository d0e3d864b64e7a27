/** What was opened, to be closed in the opposite order. */
export class Closing {
  readonly #steps: (() => Promise<void> | void)[] = [];
  #closing: Promise<void> | undefined;

  /** Remembers how to close what was just opened. */
  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Closes everything, last opened first; a step that fails keeps none from its turn. Rejects with the first failure. */
  close(): Promise<void> {
    return (this.#closing ??= this.#run());
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

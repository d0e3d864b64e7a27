/** What a long benchmark does just now, on standard error, so that whoever waits knows that it goes on; its figures are on standard output. */
export function say(what: string): void {
  process.stderr.write(`[${(performance.now() / 1000).toFixed(0).padStart(4)} s] ${what}\n`);
}

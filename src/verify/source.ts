/**
 * Where a ledger's files are read from: a server's `/ledger/`, a folder of exported tiles, a browser's fetch.
 * Nothing it hands over is trusted.
 */
export interface TileSource {
  /**
   * The bytes at `path`, below where the logs are: `decisions/0/g1/checkpoint`, `decisions/0/g1/tile/0/000`,
   * `decisions/0/g1/tile/entries/000.p/17`. Undefined where there is nothing.
   * @throws KeelsonError `too_large` beyond `maxBytes`; `unauthenticated`, `forbidden`, `not_ready` by a server that won't
   * or can't answer: then nothing can be said about the ledger.
   */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

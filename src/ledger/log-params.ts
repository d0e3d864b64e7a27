import { Type } from 'typebox';
import type { Access } from '../http/caller.js';
import type { LedgerReader } from './reader.js';
import type { LedgerSettings } from './settings.js';

export interface TileRoutesOptions {
  readonly reader: LedgerReader;
  readonly settings: Pick<LedgerSettings, 'KEELSON_PUBLIC_TILES'>;
}

/** The parts of a log's path in an address; together they name it. */
export const LogParams = {
  topic: Type.String({ maxLength: 20 }),
  partition: Type.String({ maxLength: 10 }),
  generation: Type.String({ maxLength: 10 }),
};

export interface LogPath {
  readonly topic: string;
  readonly partition: string;
  readonly generation: string;
}

export const pathOf = ({ topic, partition, generation }: LogPath): string => `${topic}/${partition}/${generation}`;

/** Who may see what an outsider needs for checking. */
export const openAccess = (settings: TileRoutesOptions['settings']): Access =>
  settings.KEELSON_PUBLIC_TILES ? 'public' : ['read'];

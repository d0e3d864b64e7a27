/** `npm run settings`: writes docs/settings.md from the settings' own descriptions. */
import { writeFile } from 'node:fs/promises';
import { formatSettings } from '../../src/config.js';

await writeFile(new URL('../../docs/settings.md', import.meta.url), formatSettings());

import { afterAll, beforeAll, describe } from 'vitest';
import { describeEntra } from './connect-entra.js';
import { describeOkta } from './connect-okta.js';
import { onBothEventLogs, type Opened } from './connect.js';

onBothEventLogs((open) => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened?.close());

  describe('docs/connect-okta.md', () => describeOkta(() => opened.server));
  describe('docs/connect-entra.md', () => describeEntra(() => opened.server));
});

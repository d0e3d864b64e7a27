import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { KeelsonError } from '../../src/core/error.js';
import { createLogger } from '../../src/platform/logger.js';

function capture(format: 'json' | 'text' | 'auto') {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { logger: createLogger({ KEELSON_LOG_LEVEL: 'info', KEELSON_LOG_FORMAT: format }, stream), text: () => text };
}

describe('the logger', () => {
  test('writes one JSON object per line, and nothing below its level', () => {
    const { logger, text } = capture('auto');
    logger.debug('no');
    logger.info({ log: 'decisions/0' }, 'yes');
    const lines = text().trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', msg: 'yes', log: 'decisions/0' });
  });

  test.each(['json', 'text'] as const)('keeps secrets out (%s)', (format) => {
    const { logger, text } = capture(format);
    logger.info({ token: 'zzz1', headers: { authorization: 'zzz2' }, a: { b: { password: 'zzz3' } } }, 'x');
    expect(text()).not.toContain('zzz');
    expect(text()).toContain('[secret]');
  });

  test.each(['json', 'text'] as const)(
    'tells of an error its code and message, not what a driver hangs on it (%s)',
    (format) => {
      const { logger, text } = capture(format);
      const cause = Object.assign(new Error('duplicate key'), {
        code: '23505',
        detail: 'Key (email)=(ann@example.org)',
      });
      logger.error({ err: new KeelsonError('conflict', 'refused', { cause }) }, 'failed');
      expect(text()).toContain('refused');
      expect(text()).not.toContain('ann@example.org');
    },
  );
});

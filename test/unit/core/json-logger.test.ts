import assert from 'node:assert/strict';
import { it } from 'node:test';
import { VbsError } from '../../../src/core/errors.ts';
import { createJsonLogger, type LogLevel } from '../../../src/core/json-logger.ts';

function collect(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => {
    assert.match(line, /^[^\n]*\n$/);
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  return { lines, logger: createJsonLogger({ level, clock: { now: () => 0 }, write }) };
}

it('writes one JSON object a line, with time, level and message', () => {
  const { lines, logger } = collect('info');
  logger.info({ jobId: 'j' }, 'two\nlines');
  assert.deepEqual(lines, [{ time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'two\nlines', jobId: 'j' }]);
});

it('leaves out what is below its level', () => {
  const { lines, logger } = collect('warn');
  logger.debug({}, 'd');
  logger.info({}, 'i');
  logger.warn({}, 'w');
  logger.error({}, 'e');
  assert.deepEqual(
    lines.map((line) => line.message),
    ['w', 'e'],
  );
});

it('tells errors with code and cause', () => {
  const { lines, logger } = collect('error');
  logger.error({ err: new VbsError('STORAGE_FULL', { reason: 'x' }, { cause: new Error('ENOSPC') }) }, 'failed');
  const err = lines[0]?.err as { code: string; cause: { message: string } };
  assert.equal(err.code, 'STORAGE_FULL');
  assert.equal(err.cause.message, 'ENOSPC');
});

it('hides what looks like a secret, however deep', () => {
  const { lines, logger } = collect('info');
  logger.info(
    { request: { headers: { 'x-auth-token': 'abc' }, adminPassword: 'abc' }, bytes: Buffer.from('abc') },
    'm',
  );
  assert.doesNotMatch(JSON.stringify(lines), /abc|97,98/);
  assert.equal(lines[0]?.bytes, '[3 bytes]');
});

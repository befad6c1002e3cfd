import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBackup, readJob, readVolume } from '../../../src/client/resources.ts';

test('native times mean UTC and get their zone', () => {
  assert.equal(
    readVolume({ id: 'v', created_at: '2026-02-03T09:15:00.120000' }).createdAt,
    '2026-02-03T09:15:00.120000Z',
  );
  assert.equal(readJob({ begin_time: '2026-02-03T09:15:00.120Z' }).beginAt, '2026-02-03T09:15:00.120Z');
  assert.equal(readVolume({ id: 'v', updated_at: null }).updatedAt, null);
});

test('the description of the VBS family is unwrapped, a text of somebody is left alone', () => {
  assert.equal(readBackup({ description: '{"DESC":"before upgrade","INC":0}' }).description, 'before upgrade');
  assert.equal(readBackup({ description: '{"DESC":"","INC":0}' }).description, null);
  assert.equal(readBackup({ description: '{not json' }).description, '{not json');
  assert.equal(readBackup({ description: '{"a":1}' }).description, '{"a":1}');
});

test('empty entities of a job are unknown, and progress is optional', () => {
  const job = readJob({ job_id: 'j', status: 'RUNNING', entities: { volume_id: 'v', backup_id: '' } });
  assert.deepEqual([job.volumeId, job.backupId, job.progress], ['v', null, null]);
  const { progress } = readJob({ progress: { total_bytes: 10, done_bytes: 4, percent: 40, eta_s: null } });
  assert.deepEqual([progress?.totalBytes, progress?.doneBytes, progress?.percent, progress?.etaS], [10, 4, 40, null]);
});

test('answers of a wrong shape do not throw', () => {
  for (const wire of [{}, { id: 1, size: 'x', entities: [], progress: 3 }]) {
    readVolume(wire);
    readBackup(wire);
    assert.equal(readJob(wire).status, 'INIT');
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVbsError } from '../../../src/core/errors.ts';
import { surveyRepository } from '../../../src/local/repository-command.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';

const signal = new AbortController().signal;

test('objects are counted by project and kind, attempts of one backup once', async () => {
  const store = new MemoryStore();
  const put = (name: string, sizeBytes: number): Promise<void> => store.put(name, Buffer.alloc(sizeBytes));
  await store.put('config', Buffer.from('{"version":1,"repositoryId":"r"}'));
  await put('keys/k', 10);
  await put('projects/a/packs/00/p1.o1', 1000);
  await put('projects/a/packs/01/p2.o2', 2000);
  await put('projects/a/pages/00/p3.o3', 30);
  await put('projects/a/backups/b1.x', 4);
  await put('projects/a/backups/b1.y', 4);
  await put('projects/a/backups/b2.x', 4);
  await put('projects/a/epoch', 7);
  await put('projects/b/epoch', 7);
  const { formatVersion, repositoryId, projects, total } = await surveyRepository(store, signal);
  assert.deepEqual([formatVersion, repositoryId], [1, 'r']);
  assert.equal(total.count, 10);
  assert.deepEqual(projects[0], {
    projectId: 'a',
    packs: { count: 2, bytes: 3000 },
    pages: { count: 1, bytes: 30 },
    backupCount: 2,
    records: { count: 3, bytes: 12 },
    other: { count: 1, bytes: 7 },
  });
  assert.equal(projects[1]?.backupCount, 0);
});

test('a config that is not JSON is corruption', async () => {
  const store = new MemoryStore();
  await store.put('config', Buffer.from('{'));
  await assert.rejects(surveyRepository(store, signal), (error) => isVbsError(error, 'DATA_CORRUPT'));
});

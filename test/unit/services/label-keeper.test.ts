// Changed tags and names of projects reach the repository: with the change, or with the upkeep.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import { ServiceBench } from '../../support/service-bench.ts';
import { listNames } from '../../support/stored-objects.ts';

const { signal } = new AbortController();

async function labelsOf({ store, projectId }: ServiceBench): Promise<string[]> {
  const prefix = `projects/${projectId}/labels/`;
  return (await listNames(store, prefix)).map((name) => name.slice(prefix.length));
}

test('a changed tag is in the repository when the change is answered, and goes with the backup', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  const { caller, projectId, backupTags, catalog } = bench;
  const volume = await bench.createVolume();
  const { backupId } = await bench.backUp(volume.volumeId);
  // The first backup brings the name of the project, after the end of its job.
  await bench.waitFor(async () => ((await labelsOf(bench)).includes('project') ? true : undefined));
  await backupTags.setTag(caller, projectId, backupId, { key: 'env', value: 'prod' });
  assert.deepEqual(await labelsOf(bench), [backupId, 'project'].sort());
  assert.deepEqual(await catalog.ledger.listUnsavedLabels(10), []);
  const { jobId } = await bench.backups.deleteBackup(caller, projectId, backupId);
  await bench.waitForJob(jobId);
  await bench.sweeper.sweepProject(projectId);
  assert.deepEqual(await labelsOf(bench), ['project']);
});

test('a label that could not be written is written by the upkeep', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  const { caller, projectId, backupTags, catalog, store, labels } = bench;
  const volume = await bench.createVolume();
  const { backupId } = await bench.backUp(volume.volumeId);
  store.setRules([{ operation: 'replace', name: (name) => name.includes('/labels/'), effect: 'EIO' }]);
  await backupTags.setTag(caller, projectId, backupId, { key: 'env', value: 'prod' });
  assert.equal((await catalog.ledger.listUnsavedLabels(10)).length, 1);
  await labels.saveAll(signal);
  assert.equal((await catalog.ledger.listUnsavedLabels(10)).length, 1);
  store.setRules([]);
  await labels.saveAll(signal);
  assert.deepEqual(await catalog.ledger.listUnsavedLabels(10), []);
  assert((await labelsOf(bench)).includes(backupId));
});

test('a project that was renamed gets a new label, once', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  const { projectId, catalog, store, labels } = bench;
  const volume = await bench.createVolume();
  await bench.backUp(volume.volumeId);
  const replaced = () =>
    store.calls.filter(({ operation, name }) => operation === 'replace' && name.endsWith('labels/project')).length;
  await bench.waitFor(async () => (replaced() === 1 ? true : undefined));
  await labels.saveProject(projectId);
  assert.equal(replaced(), 1);
  await catalog.administer(({ projects }) => projects.rename(projectId, { name: 'shop', description: '' }));
  await labels.saveAll(signal);
  assert.equal(replaced(), 2);
});

test('a project that never stored anything gets no place in the repository for its name', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  await bench.labels.saveAll(signal);
  assert.deepEqual(await listNames(bench.store, 'projects/'), []);
});

test('changes at once are written one after the other, and the last one stays', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  const { projectId, catalog, backupTags, caller } = bench;
  const volume = await bench.createVolume();
  const { backupId } = await bench.backUp(volume.volumeId);
  const changes = Array.from({ length: 8 }, (_, i) =>
    backupTags.setTag(caller, projectId, backupId, { key: 'n', value: `${i}` }),
  );
  await Promise.all(changes);
  assert.deepEqual(await catalog.ledger.listUnsavedLabels(10), []);
  const last = await catalog.backups.get(projectId, backupId);
  assert.equal(last?.tags.length, 1);
});

test('what is changed of a backup before its data is written is in the repository soon after', async () => {
  await using bench = await ServiceBench.start();
  const { projectId, catalog, backupTags, caller } = bench;
  const volume = await bench.createVolume();
  const { backup, job } = await bench.createBackup(volume.volumeId);
  await backupTags.setTag(caller, projectId, backup.backupId, { key: 'env', value: 'prod' });
  assert.deepEqual(await labelsOf(bench), [], 'there is no backup yet that it could be the label of');
  await bench.runner.start();
  await bench.waitForJob(job.jobId);
  await bench.waitFor(async () => ((await labelsOf(bench)).includes(backup.backupId) ? true : undefined));
  await bench.waitFor(async () => ((await catalog.ledger.listUnsavedLabels(10)).length === 0 ? true : undefined));
});

test('an imported backup has a label as soon as it was imported', async () => {
  await using bench = await ServiceBench.start();
  await bench.runner.start();
  const { projectId, catalog, caller, backupRecords, labels } = bench;
  const volume = await bench.createVolume();
  const { backupId: sourceId } = await bench.backUp(volume.volumeId);
  const { backup, repositoryId } = await backupRecords.exportRecord(caller, projectId, sourceId);
  assert(backup.attemptId !== null);
  const { recordBackupId, attemptId } = backup;
  const backupId = newUuid<BackupId>();
  const words = { name: 'again', description: null, container: null, availabilityZone: null, metadata: {} };
  const record = { recordBackupId, attemptId };
  await backupRecords.importRecord(caller, projectId, { backupId, repositoryId, record, ...words });
  await bench.waitFor(async () => ((await labelsOf(bench)).includes(backupId) ? true : undefined));
  await labels.saveBackup(projectId, backupId);
  assert.deepEqual(await catalog.ledger.listUnsavedLabels(10), []);
});

// Changed tags and names of projects reach the repository: with the change, or with the upkeep.
import assert from 'node:assert/strict';
import { test } from 'node:test';
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

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import type { Tag } from '../../../src/core/model.ts';
import type { TagChange, TagSearch } from '../../../src/core/tag-search.ts';
import { ServiceBench } from '../../support/service-bench.ts';

/** A bench with one backup that has these tags. */
async function startTagged(tags: readonly Tag[]): Promise<{ bench: ServiceBench; backupId: BackupId }> {
  const bench = await ServiceBench.start();
  const { volumeId } = await bench.createVolume();
  const { backup } = await bench.createBackup(volumeId, { tags });
  return { bench, backupId: backup.backupId };
}

const tag = (key: string, value = ''): Tag => ({ key, value });
const TEN = Array.from({ length: 10 }, (_none, index) => tag(`k${index}`, `v${index}`));

describe('tags of a backup', () => {
  it('are added at the end, replaced in place, removed by key', async () => {
    const { bench, backupId } = await startTagged([tag('tier', 'gold'), tag('env', 'test')]);
    await using _bench = bench;
    const { backupTags, caller, projectId } = bench;
    const list = () => backupTags.listTags(caller, projectId, backupId);
    await backupTags.setTag(caller, projectId, backupId, tag('tier', 'tin'));
    await backupTags.setTag(caller, projectId, backupId, tag('owner'));
    assert.deepEqual(await list(), [tag('tier', 'tin'), tag('env', 'test'), tag('owner')]);
    await backupTags.removeTag(caller, projectId, backupId, 'env');
    assert.deepEqual(await list(), [tag('tier', 'tin'), tag('owner')]);
    await bench.assertRefused('BACKUP_TAG_NOT_FOUND', () => backupTags.removeTag(caller, projectId, backupId, 'env'));
    assert.deepEqual((await bench.getBackup(backupId)).tags, await list());
  });

  it('change in batches: insert or overwrite, delete by key or by pair, absent pairs skipped', async () => {
    const { bench, backupId } = await startTagged([tag('a', '1'), tag('b', '2'), tag('c', '3')]);
    await using _bench = bench;
    const { backupTags, caller, projectId } = bench;
    const change = (batch: TagChange) => backupTags.changeTags(caller, projectId, backupId, batch);
    await change({ action: 'update', tags: [tag('b', 'two'), tag('d', '4')] });
    await change({ action: 'delete', tags: [{ key: 'a' }, { key: 'c', value: 'other' }, { key: 'nothing' }] });
    await change({ action: 'create', tags: [] });
    assert.deepEqual(await backupTags.listTags(caller, projectId, backupId), [
      tag('b', 'two'),
      tag('c', '3'),
      tag('d', '4'),
    ]);
    const { items } = await bench.traces.listTraces(caller, projectId, { resourceId: backupId }, { limit: 10 });
    assert.deepEqual(items.map(({ traceName }) => traceName).sort(), [
      'bksBatchAddBackupTag',
      'bksBatchDeleteBackupTag',
      'bksCreateBackup',
    ]);
  });

  it('are ten at most after the operation, all or nothing', async () => {
    const { bench, backupId } = await startTagged(TEN);
    await using _bench = bench;
    const { backupTags, caller, projectId } = bench;
    await backupTags.setTag(caller, projectId, backupId, tag('k3', 'new'));
    await bench.assertRefused('BACKUP_TAGS_TOO_MANY', () =>
      backupTags.setTag(caller, projectId, backupId, tag('eleventh')),
    );
    await bench.assertRefused('BACKUP_TAGS_TOO_MANY', () =>
      backupTags.changeTags(caller, projectId, backupId, { action: 'create', tags: [tag('k0', 'x'), tag('eleventh')] }),
    );
  });

  it('two changes at once are both kept', async () => {
    const { bench, backupId } = await startTagged([]);
    await using _bench = bench;
    const { backupTags, caller, projectId } = bench;
    await Promise.all(TEN.map((one) => backupTags.setTag(caller, projectId, backupId, one)));
    const tags = await backupTags.listTags(caller, projectId, backupId);
    assert.deepEqual(tags.map(({ key }) => key).sort(), TEN.map(({ key }) => key).sort());
  });

  it('are gathered over the project and searched, within the project only', async () => {
    const { bench, backupId } = await startTagged([tag('tier', 'gold'), tag('env', 'test')]);
    await using _bench = bench;
    const { backupTags, caller, projectId, stranger } = bench;
    const { volumeId } = await bench.createVolume();
    const { backup } = await bench.createBackup(volumeId, { name: 'Weekly', tags: [tag('tier', 'tin')] });
    assert.deepEqual(await backupTags.listProjectTags(caller, projectId), [
      { key: 'env', values: ['test'] },
      { key: 'tier', values: ['gold', 'tin'] },
    ]);
    const find = async (search: TagSearch, page = { limit: 10, offset: 0 }) => {
      const found = await backupTags.findBackups(caller, projectId, search, page);
      return [found.items.map((item) => item.backupId), found.totalCount];
    };
    const tier = [{ key: 'tier', values: ['tin', 'lead'] }];
    assert.deepEqual(await find({ tags: tier }), [[backup.backupId], 1]);
    assert.deepEqual(await find({ nameLike: 'wEEk' }), [[backup.backupId], 1]);
    assert.deepEqual(await find({ notTagsAny: tier }), [[backupId], 1]);
    assert.deepEqual(await find({}, { limit: 1, offset: 1 }), [[backupId], 2]);
    assert.deepEqual(await find({}, { limit: 0, offset: 0 }), [[], 2]);
    assert(stranger.projectId !== null);
    const foreign = await backupTags.findBackups(stranger, stranger.projectId, {}, { limit: 10, offset: 0 });
    assert.equal(foreign.totalCount, 0);
    assert.deepEqual(await backupTags.listProjectTags(stranger, stranger.projectId), []);
  });

  it('of unknown and foreign backups cannot be told apart', async () => {
    const { bench, backupId } = await startTagged([tag('a')]);
    await using _bench = bench;
    const { backupTags, stranger } = bench;
    const { projectId } = stranger;
    assert(projectId !== null);
    for (const id of [backupId, newUuid<BackupId>()]) {
      const unknown = { code: 'BACKUP_NOT_FOUND', message: `Backup ${id} could not be found.` };
      await assert.rejects(backupTags.listTags(stranger, projectId, id), unknown);
      await assert.rejects(backupTags.setTag(stranger, projectId, id, tag('b')), unknown);
      await assert.rejects(backupTags.removeTag(stranger, projectId, id, 'a'), unknown);
      await assert.rejects(backupTags.changeTags(stranger, projectId, id, { action: 'delete', tags: [] }), unknown);
    }
  });

  it('are read by readers and changed by members', async () => {
    const { bench, backupId } = await startTagged([tag('a')]);
    await using _bench = bench;
    const { backupTags, projectId } = bench;
    const reader = bench.withRoles('reader');
    assert.deepEqual(await backupTags.listTags(reader, projectId, backupId), [tag('a')]);
    await bench.assertRefused('ROLE_DENIED', () => backupTags.setTag(reader, projectId, backupId, tag('b')));
    await bench.assertRefused('ROLE_DENIED', () => backupTags.removeTag(reader, projectId, backupId, 'a'));
    await bench.assertRefused('ROLE_DENIED', () =>
      backupTags.changeTags(reader, projectId, backupId, { action: 'delete', tags: [{ key: 'a' }] }),
    );
  });
});

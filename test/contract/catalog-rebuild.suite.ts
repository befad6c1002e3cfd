// What a rebuild enters into the catalog, and labels: noted with the change, written later, taken over when newer.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type AttemptId,
  type BackupId,
  type KeyId,
  newUuid,
  type ObjectId,
  type PackId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { addProject } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

function makeBackup() {
  const attemptId = newUuid<AttemptId>();
  return {
    ...{ backupId: newUuid<BackupId>(), attemptId, volumeId: newUuid<VolumeId>(), parentId: null },
    ...{ recordSha256: Buffer.from('digest'), isIncremental: false, name: 'a', description: null },
    tags: [{ key: 'k', value: 'v' }],
    ...{ consistency: 'snapshot' as const, sizeBytes: 5, storedBytes: 3, objectCount: 1 },
    ...{ createdAt: 1, dataTimestampAt: 2 },
  };
}

function makePack() {
  const place = { packId: newUuid<PackId>(), objectId: newUuid<ObjectId>(), kind: 'data' as const };
  return { ...place, slotCount: 10, presentCount: 7, storedBytes: 100 };
}

function makeLabel(backupId: BackupId, revision: number, name: string) {
  return { backupId, revision, name, description: 'new', tags: [{ key: 'x', value: 'y' }], metadata: { m: '1' } };
}

export function defineRebuildSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`rebuild and labels on ${name}`, () => {
    let made: TestDatabase;
    let catalog: Catalog;
    before(async () => {
      made = await make();
      catalog = await made.open();
    });
    after(() => made[Symbol.asyncDispose]());

    test('packs and backups are entered once, however often', async () => {
      const projectId = await addProject(catalog);
      const packs = Array.from({ length: 600 }, makePack);
      const backups = Array.from({ length: 600 }, makeBackup);
      for (let i = 0; i < 2; i += 1) {
        await catalog.ledger.enterPacks(projectId, packs);
        const entered = await catalog.ledger.enterBackups(projectId, backups);
        assert.equal(entered.length, 600);
      }
      const live = await catalog.ledger.listLivePacks(projectId, -1, 1000);
      assert.equal(live.length, 600);
      assert(live.every(({ slotCount, droppedCount }) => slotCount === 10 && droppedCount === 3));
      const roots = await catalog.ledger.listRoots(projectId);
      assert.equal(roots.length, 600);
      const [first] = backups;
      assert(first !== undefined);
      const row = await catalog.backups.get(projectId, first.backupId);
      assert.deepEqual([row?.status, row?.tags, row?.storedBytes], ['available', first.tags, 3]);
      assert.equal((await catalog.ledger.listEntered(projectId)).length, 600);
    });

    test('another attempt of a backup that is entered is not, and neither is a backup of another project', async () => {
      const projectId = await addProject(catalog);
      const backup = makeBackup();
      await catalog.ledger.enterBackups(projectId, [backup]);
      const again = { ...backup, attemptId: newUuid<AttemptId>(), name: 'b' };
      assert.deepEqual(await catalog.ledger.enterBackups(projectId, [again]), []);
      const otherId = await addProject(catalog);
      assert.deepEqual(await catalog.ledger.enterBackups(otherId, [{ ...backup, name: 'c' }]), []);
      assert.equal((await catalog.backups.find(backup.backupId))?.name, 'a');
    });

    test('a change is noted with the change, and told until it is confirmed', async () => {
      const projectId = await addProject(catalog);
      const { backupId, ...rest } = makeBackup();
      await catalog.ledger.enterBackups(projectId, [{ backupId, ...rest }]);
      const unsaved = async () =>
        (await catalog.ledger.listUnsavedLabels(1000)).filter((label) => label.backupId === backupId);
      assert.deepEqual(await unsaved(), []);
      await catalog.backups.update(backupId, { status: 'available', updatedAt: 1 });
      assert.deepEqual(await unsaved(), [], 'the status is in no label');
      const aborted = catalog.transact(projectId, async ({ backups }) => {
        await backups.update(backupId, { name: 'never' });
        throw new Error('rolled back');
      });
      await assert.rejects(aborted, /rolled back/);
      assert.deepEqual(await unsaved(), []);
      await catalog.backups.update(backupId, { name: 'n' });
      await catalog.backups.replaceTags(backupId, [{ key: 'q', value: '' }]);
      assert.deepEqual(await unsaved(), [{ projectId, backupId }]);
      const label = await catalog.ledger.readUnsavedLabel(projectId, backupId);
      const expected = { backupId, revision: 2, name: 'n', description: null, metadata: {} };
      assert.deepEqual(label, { ...expected, tags: [{ key: 'q', value: '' }] });
      // One more change comes while the label is written.
      await catalog.backups.update(backupId, { description: 'd' });
      await catalog.ledger.confirmLabel(projectId, backupId, 2);
      assert.equal((await catalog.ledger.readUnsavedLabel(projectId, backupId))?.revision, 3);
      await catalog.ledger.confirmLabel(projectId, backupId, 3);
      assert.deepEqual(await unsaved(), []);
    });

    test('a label is taken over when it is newer, and only then, and only in its project', async () => {
      const projectId = await addProject(catalog);
      const otherId = await addProject(catalog);
      const backup = makeBackup();
      const { backupId } = backup;
      await catalog.ledger.enterBackups(projectId, [backup]);
      assert.equal(await catalog.ledger.applyLabels(otherId, [makeLabel(backupId, 1, 'foreign')]), 0);
      assert.equal(await catalog.ledger.applyLabels(projectId, [makeLabel(newUuid(), 1, 'unknown')]), 0);
      assert.equal(await catalog.ledger.applyLabels(projectId, [makeLabel(backupId, 2, 'two')]), 1);
      assert.equal(await catalog.ledger.applyLabels(projectId, [makeLabel(backupId, 2, 'again')]), 0);
      assert.equal(await catalog.ledger.applyLabels(projectId, [makeLabel(backupId, 1, 'old')]), 0);
      const row = await catalog.backups.get(projectId, backupId);
      const found = [row?.name, row?.description, row?.tags, row?.metadata];
      assert.deepEqual(found, ['two', 'new', [{ key: 'x', value: 'y' }], { m: '1' }]);
      assert.equal(await catalog.ledger.readUnsavedLabel(projectId, backupId), undefined);
      await catalog.backups.update(backupId, { name: 'three' });
      assert.equal((await catalog.ledger.readUnsavedLabel(projectId, backupId))?.revision, 3);
    });

    test('keys that are entered together keep their order', async () => {
      const projectId = await addProject(catalog);
      const rows = Array.from({ length: 5 }, () => ({ keyId: newUuid<KeyId>(), projectId, wrapped: Buffer.from('w') }));
      await catalog.ledger.enterKeys(rows);
      const listed = (await catalog.ledger.listKeys()).filter((row) => row.projectId === projectId);
      assert.deepEqual(
        listed.map(({ keyId }) => keyId),
        rows.map(({ keyId }) => keyId),
      );
    });
  });
}

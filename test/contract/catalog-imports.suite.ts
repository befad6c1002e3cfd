// Several backups on one record, on every database (src/engine/README.md).
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type AttemptId, type BackupId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { RecordReference } from '../../src/core/ledger.ts';
import { TRASH_SECOND_DELETE_MS } from '../../src/core/limits.ts';
import { labelName, recordName } from '../../src/core/object-names.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  backupRow,
  beginBackup,
  beginDeletion,
  commitOf,
  queueJob,
  START_AT,
  takeJob,
  tick,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const DAY_LATER = START_AT + TRASH_SECOND_DELETE_MS;

export function defineImportSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog imports on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
    });
    after(() => database[Symbol.asyncDispose]());
    beforeEach(async () => {
      projectId = await addProject(catalog);
    });

    const trashNames = async (nowAt = START_AT) => {
      const items = await catalog.ledger.listTrash(projectId, 1000, nowAt);
      return items.map((item) => item.objectName);
    };
    const sweep = async (nowAt = START_AT) => {
      const items = await catalog.ledger.listTrash(projectId, 1000, nowAt);
      await catalog.ledger.confirmTrash(await catalog.ledger.takeTrash(projectId, items), nowAt);
    };
    const referenceOf = ({ backupId, attemptId }: { backupId: BackupId; attemptId: AttemptId }): RecordReference => ({
      recordBackupId: backupId,
      attemptId,
    });
    /** As the service does it; answers the id, or what is in the way. */
    const enter = async (record: RecordReference, backupId = newUuid<BackupId>(), volumeId = newUuid<VolumeId>()) =>
      await catalog.transact(projectId, async ({ ledger, backups, jobs }) => {
        const state = await ledger.prepareImport(projectId, backupId, record);
        if (state !== 'ready') return state;
        const row = backupRow(projectId, {
          ...{ backupId, volumeId, imported: { ...record, recordSha256: Buffer.alloc(32, 7) } },
        });
        await jobs.insert({ jobId: row.jobId, projectId, kind: 'import-backup', backupId, createdAt: tick() });
        await backups.insert(row);
        await ledger.noteImport(projectId, row.jobId, backupId, record);
        await backups.update(backupId, { status: 'available' });
        return backupId;
      });
    const mustEnter = async (record: RecordReference, ...ids: [BackupId?, VolumeId?]): Promise<BackupId> => {
      const entered = await enter(record, ...ids);
      assert(entered !== 'id taken' && entered !== 'record gone', entered);
      return entered;
    };
    const remove = async (backupId: BackupId) => {
      const claim = await beginDeletion(catalog, projectId, backupId);
      const state = await catalog.ledger.takeForDeletion(claim, backupId);
      if (state === 'trashed') await sweep();
      assert.equal(await catalog.ledger.finishDeletion(claim, backupId, tick()), true);
      assert.equal(await catalog.backups.get(projectId, backupId), undefined);
      return state;
    };

    test('the record goes with the last of the backups that stand on it, in whatever order they go', async () => {
      for (const isOriginalFirst of [true, false]) {
        const original = await addBackup(catalog, projectId);
        const copyId = await mustEnter(referenceOf(original));
        const order = isOriginalFirst ? [original.backupId, copyId] : [copyId, original.backupId];
        const record = recordName(projectId, original.backupId, original.attemptId);
        assert.equal(await remove(order[0] as BackupId), 'ready', 'nothing to wait for');
        assert.equal((await trashNames(DAY_LATER)).includes(record), false);
        const claim = await beginDeletion(catalog, projectId, order[1] as BackupId);
        assert.equal(await catalog.ledger.takeForDeletion(claim, order[1] as BackupId), 'trashed');
        assert.equal((await trashNames()).includes(record), true);
        await sweep();
        assert.equal(await catalog.ledger.finishDeletion(claim, order[1] as BackupId, tick()), true);
      }
    });

    test('a reader of the imported backup gets the record of the other one', async () => {
      const original = await addBackup(catalog, projectId);
      const copyId = await mustEnter(referenceOf(original));
      const reader = await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'restore'));
      const pinned = await catalog.ledger.pinBackup(reader, copyId);
      assert.deepEqual(
        [pinned?.backupId, pinned?.recordBackupId, pinned?.attemptId],
        [copyId, original.backupId, original.attemptId],
      );
      const claim = await beginDeletion(catalog, projectId, copyId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, copyId), 'pinned');
    });

    test('the id of a backup that is gone can be given again, to whichever record', async () => {
      const original = await addBackup(catalog, projectId);
      const copyId = await mustEnter(referenceOf(original));
      await remove(original.backupId);
      assert.equal(await mustEnter(referenceOf(original), original.backupId), original.backupId);
      assert.equal(await enter(referenceOf(original), copyId), 'id taken');
      const other = await addBackup(catalog, projectId);
      await remove(copyId);
      await mustEnter(referenceOf(other), copyId);
      assert.equal((await catalog.backups.get(projectId, copyId))?.recordBackupId, other.backupId);
      // None of this may have lost a record's name: the last two deletions find both.
      await remove(original.backupId);
      await remove(other.backupId);
      await remove(copyId);
      const names = [original, other].map((each) => recordName(projectId, each.backupId, each.attemptId));
      const trashed = await trashNames(DAY_LATER);
      for (const each of names) assert.equal(trashed.includes(each), true, each);
    });

    test('an id that another project has, or had, is taken', async () => {
      const original = await addBackup(catalog, projectId);
      const otherId = await addProject(catalog);
      const foreign = await addBackup(catalog, otherId);
      assert.equal(await enter(referenceOf(original), foreign.backupId), 'id taken');
      // What is refused has changed nothing.
      assert.equal((await catalog.backups.find(foreign.backupId))?.projectId, otherId);
    });

    test('a deletion is called off while no sweep has begun with the record', async () => {
      const original = await addBackup(catalog, projectId);
      const claim = await beginDeletion(catalog, projectId, original.backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, original.backupId), 'trashed');
      const copyId = await mustEnter(referenceOf(original));
      assert.deepEqual(
        (await trashNames()).filter((each) => each.includes('/backups/')),
        [],
      );
      assert.equal(await catalog.ledger.takeForDeletion(claim, original.backupId), 'ready');
      assert.equal(await catalog.ledger.finishDeletion(claim, original.backupId, tick()), true);
      await sweep();
      await sweep(DAY_LATER);
      // The tombstone is gone by now, and what it knew of the record with it.
      assert.equal(await remove(copyId), 'trashed');
    });

    test('a list of the trash that was read before is no licence to delete what was called off since', async () => {
      const original = await addBackup(catalog, projectId);
      const claim = await beginDeletion(catalog, projectId, original.backupId);
      await catalog.ledger.takeForDeletion(claim, original.backupId);
      const listed = await catalog.ledger.listTrash(projectId, 1000, START_AT);
      assert.equal(listed.length, 1);
      await mustEnter(referenceOf(original));
      assert.deepEqual(await catalog.ledger.takeTrash(projectId, listed), []);
    });

    test('once a sweep has begun with the record, and ever after, it is gone', async () => {
      const original = await addBackup(catalog, projectId);
      const claim = await beginDeletion(catalog, projectId, original.backupId);
      await catalog.ledger.takeForDeletion(claim, original.backupId);
      const items = await catalog.ledger.listTrash(projectId, 1000, START_AT);
      assert.equal((await catalog.ledger.takeTrash(projectId, items)).length, 1);
      assert.equal(await enter(referenceOf(original)), 'record gone');
      await catalog.ledger.confirmTrash(items, START_AT);
      assert.equal(await catalog.ledger.finishDeletion(claim, original.backupId, tick()), true);
      assert.equal(await enter(referenceOf(original)), 'record gone');
      // Also under its own id, which is free: what is refused has not freed it either.
      assert.equal(await enter(referenceOf(original), original.backupId), 'record gone');
    });

    test('the record of an attempt that never became whole is none', async () => {
      const writing = await beginBackup(catalog, projectId);
      assert.equal(await enter(referenceOf(writing)), 'record gone');
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing), tick());
      await mustEnter(referenceOf(writing));
    });

    test('a record that the catalog knows nothing of is taken over and known from then on', async () => {
      const record = { recordBackupId: newUuid<BackupId>(), attemptId: newUuid<AttemptId>() };
      const copyId = await mustEnter(record);
      assert.equal(await remove(copyId), 'trashed');
      const names = await trashNames(DAY_LATER);
      assert.equal(names.includes(recordName(projectId, record.recordBackupId, record.attemptId)), true);
    });

    test('an increment is made on an imported backup as on any other', async () => {
      const original = await addBackup(catalog, projectId);
      const volumeId = newUuid<VolumeId>();
      const copyId = await mustEnter(referenceOf(original), newUuid<BackupId>(), volumeId);
      const writing = await beginBackup(catalog, projectId, { volumeId });
      assert.equal(writing.parentId, copyId);
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { parentId: copyId }), tick());
      assert.equal((await catalog.backups.get(projectId, copyId))?.hasDependents, true);
    });

    test('damage of one is damage of all on the same record', async () => {
      const volumeId = newUuid<VolumeId>();
      const original = await addBackup(catalog, projectId, { volumeId });
      const copyId = await mustEnter(referenceOf(original), newUuid<BackupId>(), volumeId);
      await catalog.backups.markDamaged(copyId, { failReason: 'bad', updatedAt: tick() });
      assert.equal((await beginBackup(catalog, projectId, { volumeId })).parentId, undefined);
      assert.equal((await catalog.backups.get(projectId, original.backupId))?.failReason, null);
    });

    test('the label of a backup whose id is given again is written again when an old sweep deletes it', async () => {
      const owner = await addBackup(catalog, projectId);
      const copyId = await mustEnter(referenceOf(owner));
      const claim = await beginDeletion(catalog, projectId, copyId);
      await catalog.ledger.takeForDeletion(claim, copyId);
      const taken = await catalog.ledger.takeTrash(
        projectId,
        await catalog.ledger.listTrash(projectId, 1000, START_AT),
      );
      assert(taken.some(({ objectName }) => objectName === labelName(projectId, copyId)));
      assert.equal(await catalog.ledger.finishDeletion(claim, copyId, tick()), true);
      await mustEnter(referenceOf(owner), copyId);
      await catalog.backups.update(copyId, { name: 'again' });
      const saved = await catalog.ledger.readUnsavedLabel(projectId, copyId);
      assert(saved);
      await catalog.ledger.confirmLabel(projectId, copyId, saved.revision);
      assert.equal(await catalog.ledger.readUnsavedLabel(projectId, copyId), undefined);
      // Only now the sweep deletes what it took: the new label.
      await catalog.ledger.confirmTrash(taken, START_AT);
      assert.equal((await catalog.ledger.readUnsavedLabel(projectId, copyId))?.revision, saved.revision + 1);
    });
  });
}

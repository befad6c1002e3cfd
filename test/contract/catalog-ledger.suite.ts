// The transactions of src/engine/README.md, on every database: fences, pins, uses, commit, failure.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { VbsError } from '../../src/core/errors.ts';
import { type AttemptId, type BackupId, newHexId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  beginAttempt,
  beginBackup,
  commitOf,
  packLocation,
  queueJob,
  START_AT,
  takeJob,
  tick,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const fenced = { code: 'JOB_FENCED' };
const refused = { code: 'COMMIT_CHECK_FAILED' };
const FAILURE = { errorCode: 'VOLUME_IO', failReason: 'the disk is gone' };

export function defineLedgerSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog ledger on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
      projectId = await addProject(catalog);
    });
    after(() => database[Symbol.asyncDispose]());

    const trashNames = async (ownerId = projectId) => {
      const items = await catalog.ledger.listTrash(ownerId, 1000, START_AT);
      return items.map((item) => item.objectName);
    };

    test('a worker with an older attempt changes nothing', async () => {
      const first = await beginBackup(catalog, projectId);
      const backup = await catalog.backups.get(projectId, first.backupId);
      assert(backup !== undefined);
      const second = await beginAttempt(catalog, projectId, backup);
      const { ledger } = catalog;
      await assert.rejects(ledger.reservePacks(first.claim, [packLocation()]), fenced);
      await assert.rejects(ledger.listOwnPacks(first.claim), fenced);
      await assert.rejects(ledger.usePack(first.claim, packLocation().packId), fenced);
      await assert.rejects(ledger.commitBackup(first.claim, commitOf(first), tick()), fenced);
      await assert.rejects(ledger.failBackup(first.claim, FAILURE, tick()), fenced);
      await assert.rejects(catalog.jobs.end(first.claim, { status: 'SUCCESS' }, tick()), fenced);
      assert.equal(await catalog.jobs.heartbeat(first.claim, START_AT * 2), false);
      await ledger.commitBackup(second.claim, commitOf(second), tick());
    });

    test('a job that ended or was put back is nobody’s', async () => {
      const ended = await addBackup(catalog, projectId);
      await assert.rejects(catalog.ledger.reservePacks(ended.claim, [packLocation()]), fenced);
      const { claim } = await beginBackup(catalog, projectId);
      assert.equal(await catalog.jobs.putBack(claim, 0), true);
      await assert.rejects(catalog.ledger.reservePacks(claim, [packLocation()]), fenced);
      const unknown: JobClaim = { ...claim, jobId: newUuid() };
      await assert.rejects(catalog.ledger.listOwnPacks(unknown), fenced);
    });

    test('a claim works in its own project only', async () => {
      const { claim } = await beginBackup(catalog, projectId);
      const otherId = await addProject(catalog);
      await assert.rejects(catalog.ledger.listOwnPacks({ ...claim, projectId: otherId }), fenced);
      const nowhere = newHexId<ProjectId>();
      await assert.rejects(catalog.ledger.listOwnPacks({ ...claim, projectId: nowhere }), {
        code: 'PROJECT_NOT_FOUND',
      });
    });

    test('the parent is the newest committed, available, undamaged backup of the volume', async () => {
      const volumeId = newUuid<VolumeId>();
      assert.equal((await beginBackup(catalog, projectId, { volumeId })).parentId, undefined);
      const oldest = await addBackup(catalog, projectId, { volumeId });
      const good = await addBackup(catalog, projectId, { volumeId });
      const damaged = await addBackup(catalog, projectId, { volumeId });
      const failed = await addBackup(catalog, projectId, { volumeId });
      await addBackup(catalog, projectId);
      const otherId = await addProject(catalog);
      await addBackup(catalog, otherId, { volumeId });
      await catalog.backups.update(damaged.backupId, { isDamaged: true });
      await catalog.backups.update(failed.backupId, { status: 'error' });
      assert.equal((await beginBackup(catalog, projectId, { volumeId })).parentId, good.backupId);
      await catalog.backups.update(good.backupId, { status: 'deleting' });
      assert.equal((await beginBackup(catalog, projectId, { volumeId })).parentId, oldest.backupId);
      assert.equal((await beginBackup(catalog, projectId, { volumeId, isIncremental: false })).parentId, undefined);
    });

    test('a later attempt keeps the parent that an earlier one pinned, unless it proved damaged', async () => {
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(catalog, projectId, { volumeId });
      const writing = await beginBackup(catalog, projectId, { volumeId });
      assert.equal(writing.parentId, parent.backupId);
      const newer = await addBackup(catalog, projectId, { volumeId });
      const backup = await catalog.backups.get(projectId, writing.backupId);
      assert(backup !== undefined);
      assert.equal((await beginAttempt(catalog, projectId, backup)).parentId, parent.backupId);
      await catalog.backups.update(parent.backupId, { isDamaged: true });
      assert.equal((await beginAttempt(catalog, projectId, backup)).parentId, newer.backupId);
    });

    test('a backup begins only for the job that it was made for', async () => {
      const writing = await beginBackup(catalog, projectId);
      const jobId = await queueJob(catalog, projectId, 'backup');
      const claim = await takeJob(catalog, projectId, jobId);
      const start = { ...writing, attemptId: newUuid<AttemptId>(), isIncremental: true };
      await assert.rejects(catalog.ledger.beginBackup(claim, start), { code: 'BACKUP_NOT_FOUND' });
    });

    test('commit makes everything known at once', async () => {
      const ownId = await addProject(catalog);
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(catalog, ownId, { volumeId });
      const first = await beginBackup(catalog, ownId, { volumeId });
      const kept = packLocation();
      const dropped = packLocation('page');
      await catalog.ledger.reservePacks(first.claim, [kept, dropped]);
      const row = await catalog.backups.get(ownId, first.backupId);
      assert(row !== undefined);
      const second = await beginAttempt(catalog, ownId, row);
      assert.deepEqual(await catalog.ledger.listOwnPacks(second.claim), [kept, dropped]);
      const use = await catalog.ledger.usePack(second.claim, parent.pack.packId);
      assert.deepEqual(use, { ...parent.pack, condemned: null, bad: null });
      const commit = commitOf(second, {
        parentId: parent.backupId,
        isIncremental: true,
        sizeBytes: 123_456,
        packs: [{ packId: kept.packId, slotCount: 7, storedBytes: 999 }],
        usedPackIds: [parent.pack.packId],
        baseline: { driver: 'file', state: { inode: 5 } },
      });
      await catalog.ledger.commitBackup(second.claim, commit, START_AT + 5000);

      const backup = await catalog.backups.get(ownId, second.backupId);
      assert.equal(backup?.status, 'available');
      assert.equal(backup.attemptId, second.attemptId);
      assert.deepEqual(Buffer.from(backup.recordSha256 ?? []), commit.recordSha256);
      assert.equal(backup.parentId, parent.backupId);
      assert.equal(backup.isIncremental, true);
      assert.equal(backup.sizeBytes, 123_456);
      assert.equal((await catalog.backups.get(ownId, parent.backupId))?.hasDependents, true);
      const job = await catalog.jobs.get(ownId, second.claim.jobId);
      assert.equal(job?.status, 'SUCCESS');
      assert.equal(job.endedAt, START_AT + 5000);
      assert.deepEqual(job.progress, { totalBytes: 123_456, doneBytes: 123_456, skippedBytes: 0, storedBytes: 4096 });
      const located = await catalog.ledger.locatePacks(ownId, [kept.packId, dropped.packId, parent.pack.packId]);
      assert.deepEqual(located.map((pack) => pack.packId).sort(), [kept.packId, parent.pack.packId].sort());
      // Records first: the pack waits until the earlier attempt's record is gone.
      assert.deepEqual(await trashNames(ownId), [recordName(ownId, first.backupId, first.attemptId)]);
      const items = await catalog.ledger.listTrash(ownId, 10, START_AT);
      await catalog.ledger.confirmTrash(items, START_AT);
      assert.deepEqual(await trashNames(ownId), [packObjectName(ownId, dropped)]);
      // Pin and use are gone, or deleting the parent would wait for ever.
      const deletion = await takeJob(catalog, ownId, await queueJob(catalog, ownId, 'delete-backup'));
      assert.equal(await catalog.ledger.takeForDeletion(deletion, parent.backupId), 'trashed');
    });

    test('commit is refused when the attempt, the pin, a use or a pack is gone', async () => {
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(catalog, projectId, { volumeId });
      const writing = await beginBackup(catalog, projectId, { volumeId });
      const { ledger } = catalog;
      const attempt = (changes: Parameters<typeof commitOf>[1]) =>
        ledger.commitBackup(writing.claim, commitOf(writing, changes), tick());
      await assert.rejects(attempt({ attemptId: newUuid<AttemptId>() }), refused);
      await assert.rejects(attempt({ parentId: newUuid<BackupId>() }), refused);
      await assert.rejects(attempt({ usedPackIds: [parent.pack.packId] }), refused);
      await assert.rejects(attempt({ packs: [{ ...packLocation(), slotCount: 1, storedBytes: 1 }] }), refused);
      await assert.rejects(attempt({ packs: [{ ...parent.pack, slotCount: 1, storedBytes: 1 }] }), refused);
      const backup = await catalog.backups.get(projectId, writing.backupId);
      assert.equal(backup?.status, 'creating');
      assert.equal(backup.attemptId, null);
      await ledger.releasePins(writing.claim);
      await assert.rejects(attempt({ parentId: parent.backupId }), refused);
      await attempt({});
    });

    test('only live packs of the same project can be used', async () => {
      const writing = await beginBackup(catalog, projectId);
      const own = packLocation();
      await catalog.ledger.reservePacks(writing.claim, [own]);
      const reader = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.usePack(reader.claim, own.packId), undefined, 'not live yet');
      const otherId = await addProject(catalog);
      const foreign = await addBackup(catalog, otherId);
      assert.equal(await catalog.ledger.usePack(reader.claim, foreign.pack.packId), undefined);
      const live = await addBackup(catalog, projectId);
      assert.notEqual(await catalog.ledger.usePack(reader.claim, live.pack.packId), undefined);
      assert.notEqual(await catalog.ledger.usePack(reader.claim, live.pack.packId), undefined, 'harmless twice');
    });

    test('a lost answer of a commit is looked up', async () => {
      const writing = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.isCommitted(writing.claim, writing.backupId), false);
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing), tick());
      assert.equal(await catalog.ledger.isCommitted(writing.claim, writing.backupId), true);
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing), tick());
      const failed = await catalog.ledger.failBackup(writing.claim, FAILURE, tick());
      assert.deepEqual(failed, { isCommitted: true });
      assert.equal((await catalog.backups.get(projectId, writing.backupId))?.status, 'available');
      assert.equal((await catalog.jobs.get(projectId, writing.claim.jobId))?.status, 'SUCCESS');
      const stranger = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.isCommitted(stranger.claim, writing.backupId), false);
    });

    test('a job that fails for good gives up all that its attempts wrote', async () => {
      const ownId = await addProject(catalog);
      const first = await beginBackup(catalog, ownId);
      const pack = packLocation();
      await catalog.ledger.reservePacks(first.claim, [pack]);
      const row = await catalog.backups.get(ownId, first.backupId);
      assert(row !== undefined);
      const second = await beginAttempt(catalog, ownId, row);
      assert.deepEqual(await catalog.ledger.failBackup(second.claim, FAILURE, START_AT), { isCommitted: false });
      const backup = await catalog.backups.get(ownId, first.backupId);
      assert.equal(backup?.status, 'error');
      assert.equal(backup.failReason, FAILURE.failReason);
      const job = await catalog.jobs.get(ownId, second.claim.jobId);
      assert.equal(job?.status, 'FAIL');
      assert.equal(job.errorCode, FAILURE.errorCode);
      const records = [first, second].map(({ attemptId }) => recordName(ownId, first.backupId, attemptId));
      assert.deepEqual((await trashNames(ownId)).sort(), records.sort());
      await catalog.ledger.confirmTrash(await catalog.ledger.listTrash(ownId, 10, START_AT), START_AT);
      assert.deepEqual(await trashNames(ownId), [packObjectName(ownId, pack)]);
      assert.deepEqual(await catalog.ledger.locatePacks(ownId, [pack.packId]), []);
      await assert.rejects(catalog.ledger.commitBackup(second.claim, commitOf(second), tick()), fenced);
    });

    test('commit and failure take part in a larger transaction, and vanish with it', async () => {
      const writing = await beginBackup(catalog, projectId);
      const undone = catalog.transact(projectId, async (records) => {
        await records.ledger.commitBackup(writing.claim, commitOf(writing), tick());
        assert.equal((await records.backups.get(projectId, writing.backupId))?.status, 'available');
        throw new VbsError('INTERNAL');
      });
      await assert.rejects(undone, { code: 'INTERNAL' });
      assert.equal((await catalog.backups.get(projectId, writing.backupId))?.status, 'creating');
      await catalog.transact(projectId, (records) => records.ledger.failBackup(writing.claim, FAILURE, tick()));
      assert.equal((await catalog.backups.get(projectId, writing.backupId))?.status, 'error');
    });

    test('every reader pins, and only what is restorable', async () => {
      const { backupId, attemptId } = await addBackup(catalog, projectId);
      const jobId = await queueJob(catalog, projectId, 'restore', { backupId });
      const claim = await takeJob(catalog, projectId, jobId);
      const pinned = await catalog.ledger.pinBackup(claim, backupId);
      assert.equal(pinned?.attemptId, attemptId);
      assert.equal(pinned.projectId, projectId);
      assert.equal((await catalog.ledger.pinBackup(claim, backupId))?.attemptId, attemptId, 'harmless twice');
      const uncommitted = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.pinBackup(claim, uncommitted.backupId), undefined);
      assert.equal(await catalog.ledger.pinBackup(claim, newUuid<BackupId>()), undefined);
      const foreignClaim = { ...claim, attempt: claim.attempt - 1 };
      await assert.rejects(catalog.ledger.pinBackup(foreignClaim, backupId), fenced);
      // A backup of another project is pinned in its owner's project.
      const ownerId = await addProject(catalog);
      const shared = await addBackup(catalog, ownerId);
      assert.equal((await catalog.ledger.pinBackup(claim, shared.backupId))?.projectId, ownerId);
    });

    test('epochs start once and only rise', async () => {
      const ownId = await addProject(catalog);
      const catalogId = await catalog.ledger.catalogId();
      assert.equal(await catalog.ledger.readEpoch(ownId), undefined);
      assert.deepEqual(await catalog.ledger.startEpoch(ownId), { catalogId, epoch: 1 });
      assert.deepEqual(await catalog.ledger.startEpoch(ownId), { catalogId, epoch: 1 });
      assert.deepEqual(await catalog.ledger.raiseEpoch(ownId), { catalogId, epoch: 2 });
      assert.deepEqual(await catalog.ledger.startEpoch(ownId), { catalogId, epoch: 2 });
      assert.deepEqual(await catalog.ledger.readEpoch(ownId), { catalogId, epoch: 2 });
    });
  });
}

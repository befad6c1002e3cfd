// Deleting backups, the trash, the sparse index and wrapped keys, on every database (src/engine/README.md).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KeyId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { Hook } from '../../src/core/ledger.ts';
import { HOOK_PACK_MAX, TRASH_SECOND_DELETE_MS } from '../../src/core/limits.ts';
import { labelName, packObjectName, recordName } from '../../src/core/object-names.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  beginBackup,
  beginDeletion,
  commitOf,
  packLocation,
  queueJob,
  START_AT,
  takeJob,
  tick,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const FAILURE = { errorCode: 'VOLUME_IO', failReason: 'the disk is gone' };
const DAY_LATER = START_AT + TRASH_SECOND_DELETE_MS;

export function defineDeletionSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog deletion on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
    });
    after(() => database[Symbol.asyncDispose]());

    const trashNames = async (nowAt = START_AT) => {
      const items = await catalog.ledger.listTrash(projectId, 1000, nowAt);
      return items.map((item) => item.objectName);
    };
    const sweep = async (nowAt = START_AT) => {
      await catalog.ledger.confirmTrash(await catalog.ledger.listTrash(projectId, 1000, nowAt), nowAt);
    };

    test('a backup is a root until its record is confirmed gone, a tombstone until it is swept', async () => {
      projectId = await addProject(catalog);
      const { backupId, attemptId, pack } = await addBackup(catalog, projectId);
      const claim = await beginDeletion(catalog, projectId, backupId);
      const { ledger } = catalog;
      assert.equal(await ledger.finishDeletion(claim, backupId, tick()), false, 'not even taken');
      assert.equal(await ledger.takeForDeletion(claim, backupId), 'trashed');
      assert.equal(await ledger.takeForDeletion(claim, backupId), 'trashed', 'harmless twice');
      assert.equal(await ledger.finishDeletion(claim, backupId, tick()), false);
      assert.notEqual(await catalog.backups.get(projectId, backupId), undefined);
      assert.deepEqual(await trashNames(), [recordName(projectId, backupId, attemptId)]);
      await sweep();
      assert.equal(await ledger.takeForDeletion(claim, backupId), 'ready');
      assert.equal(await ledger.finishDeletion(claim, backupId, tick()), true);
      assert.equal(await catalog.backups.get(projectId, backupId), undefined);
      assert.equal((await catalog.jobs.get(projectId, claim.jobId))?.status, 'SUCCESS');
      assert.equal(await ledger.isCommitted({ ...claim }, backupId), false);
      // What the backup shared with others stays: only prune frees packs.
      assert.equal((await ledger.locatePacks(projectId, [pack.packId])).length, 1);
      assert.deepEqual(await trashNames(), [labelName(projectId, backupId)]);
    });

    test('a crash between the last two steps of a deletion loses nothing, however long it lasts', async () => {
      projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      const claim = await beginDeletion(catalog, projectId, backupId);
      await catalog.ledger.takeForDeletion(claim, backupId);
      await sweep();
      await sweep(DAY_LATER);
      await sweep(DAY_LATER * 2);
      assert.deepEqual(await trashNames(DAY_LATER * 3), []);
      const again = await takeJob(catalog, projectId, claim.jobId);
      assert.equal(await catalog.ledger.takeForDeletion(again, backupId), 'ready');
      assert.equal(await catalog.ledger.finishDeletion(again, backupId, tick()), true);
    });

    test('a pinned backup is not deleted, one in deletion is not pinned', async () => {
      projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      const reader = await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'restore', { backupId }));
      await catalog.ledger.pinBackup(reader, backupId);
      const claim = await beginDeletion(catalog, projectId, backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, backupId), 'pinned');
      assert.deepEqual(await trashNames(), []);
      const late = await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'restore', { backupId }));
      assert.equal(await catalog.ledger.pinBackup(late, backupId), undefined);
      assert.notEqual(await catalog.ledger.pinBackup(reader, backupId), undefined, 'whoever reads already goes on');
      await catalog.jobs.end(reader, { status: 'SUCCESS' }, tick());
      assert.equal(await catalog.ledger.takeForDeletion(claim, backupId), 'trashed');
      await catalog.backups.update(backupId, { status: 'available' });
      assert.equal(await catalog.ledger.pinBackup(late, backupId), undefined, 'its record may be gone by now');
    });

    test('a parent that is pinned by a running increment is not deleted', async () => {
      projectId = await addProject(catalog);
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(catalog, projectId, { volumeId });
      const writing = await beginBackup(catalog, projectId, { volumeId });
      const claim = await beginDeletion(catalog, projectId, parent.backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, parent.backupId), 'pinned');
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { parentId: parent.backupId }), tick());
      assert.equal(await catalog.ledger.takeForDeletion(claim, parent.backupId), 'trashed');
    });

    test('a backup that never committed goes at once, with what its attempts wrote', async () => {
      projectId = await addProject(catalog);
      const writing = await beginBackup(catalog, projectId);
      const pack = packLocation();
      await catalog.ledger.reservePacks(writing.claim, [pack]);
      const claim = await beginDeletion(catalog, projectId, writing.backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, writing.backupId), 'pinned', 'it is being written');
      await catalog.ledger.failBackup(writing.claim, FAILURE, tick());
      assert.equal(await catalog.ledger.takeForDeletion(claim, writing.backupId), 'ready');
      assert.equal(await catalog.ledger.finishDeletion(claim, writing.backupId, tick()), true);
      assert.equal(await catalog.backups.get(projectId, writing.backupId), undefined);
      assert.deepEqual(await trashNames(), [recordName(projectId, writing.backupId, writing.attemptId)]);
      await sweep();
      const rest = [packObjectName(projectId, pack), labelName(projectId, writing.backupId)];
      assert.deepEqual((await trashNames()).sort(), rest.sort());
    });

    test('the increment outlives its parent', async () => {
      projectId = await addProject(catalog);
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(catalog, projectId, { volumeId });
      const child = await beginBackup(catalog, projectId, { volumeId });
      await catalog.ledger.usePack(child.claim, parent.pack.packId);
      const commit = commitOf(child, { parentId: parent.backupId, usedPackIds: [parent.pack.packId] });
      await catalog.ledger.commitBackup(child.claim, commit, tick());
      const claim = await beginDeletion(catalog, projectId, parent.backupId);
      await catalog.ledger.takeForDeletion(claim, parent.backupId);
      await sweep();
      assert.equal(await catalog.ledger.finishDeletion(claim, parent.backupId, tick()), true);
      assert.equal((await catalog.backups.get(projectId, child.backupId))?.status, 'available');
      assert.equal((await catalog.ledger.locatePacks(projectId, [parent.pack.packId])).length, 1);
      const deletion = await beginDeletion(catalog, projectId, child.backupId);
      await catalog.ledger.takeForDeletion(deletion, child.backupId);
      await sweep();
      await catalog.ledger.finishDeletion(deletion, child.backupId, tick());
      assert.equal((await beginBackup(catalog, projectId, { volumeId })).parentId, undefined);
    });

    test('trash is deleted twice, a day apart, records before anything else', async () => {
      projectId = await addProject(catalog);
      const writing = await beginBackup(catalog, projectId);
      const packs = [packLocation(), packLocation('page')];
      await catalog.ledger.reservePacks(writing.claim, packs);
      await catalog.ledger.failBackup(writing.claim, FAILURE, tick());
      const record = recordName(projectId, writing.backupId, writing.attemptId);
      const objects = packs.map((pack) => packObjectName(projectId, pack));
      assert.deepEqual(await trashNames(), [record]);
      const [item] = await catalog.ledger.listTrash(projectId, 10, START_AT);
      assert(item !== undefined);
      await catalog.ledger.confirmTrash([item], START_AT);
      await catalog.ledger.confirmTrash([item], START_AT);
      assert.deepEqual(await trashNames(), objects);
      assert.equal((await catalog.ledger.listTrash(projectId, 1, START_AT)).length, 1);
      await sweep();
      assert.deepEqual(await trashNames(), []);
      assert.equal((await catalog.ledger.listProjectsWithTrash(START_AT)).includes(projectId), false);
      assert.deepEqual(await trashNames(DAY_LATER), [record, ...objects]);
      assert.equal((await catalog.ledger.listProjectsWithTrash(DAY_LATER)).includes(projectId), true);
      await sweep(DAY_LATER);
      assert.deepEqual(await trashNames(DAY_LATER * 2), []);
    });

    test('hooks find live packs of the project, the newest few of each', async () => {
      projectId = await addProject(catalog);
      const backups = [];
      for (let count = 0; count < HOOK_PACK_MAX + 2; count++) {
        backups.push(await addBackup(catalog, projectId));
      }
      const packIds = backups.map(({ pack }) => pack.packId);
      const hook: Hook = '00ff00ff00ff00ff';
      const other: Hook = 'ffffffffffffffff';
      const unknown: Hook = '1234567812345678';
      const [first] = packIds;
      assert(first !== undefined);
      await catalog.ledger.addHooks(projectId, [{ hook: other, packId: first }]);
      await catalog.ledger.addHooks(
        projectId,
        packIds.map((packId) => ({ hook, packId })),
      );
      await catalog.ledger.addHooks(projectId, [{ hook, packId: packIds.at(-1) ?? first }]);
      const found = await catalog.ledger.findPacksByHooks(projectId, [hook, other, unknown, hook]);
      assert.deepEqual(found.get(hook), packIds.toReversed().slice(0, HOOK_PACK_MAX));
      assert.deepEqual(found.get(other), [first]);
      assert.equal(found.has(unknown), false);
      const writing = await beginBackup(catalog, projectId);
      const unfinished = packLocation();
      await catalog.ledger.reservePacks(writing.claim, [unfinished]);
      await catalog.ledger.addHooks(projectId, [{ hook: unknown, packId: unfinished.packId }]);
      assert.equal((await catalog.ledger.findPacksByHooks(projectId, [unknown])).size, 0);
      const otherId = await addProject(catalog);
      assert.equal((await catalog.ledger.findPacksByHooks(otherId, [hook])).size, 0);
      assert.equal((await catalog.ledger.findPacksByHooks(projectId, [])).size, 0);
    });

    test('thousands of hooks and packs go in and come back', async () => {
      projectId = await addProject(catalog);
      const writing = await beginBackup(catalog, projectId);
      const packs = Array.from({ length: 1201 }, () => packLocation());
      await catalog.ledger.reservePacks(writing.claim, packs);
      const closed = packs.map(({ packId }, index) => ({ packId, slotCount: index, storedBytes: index * 10 }));
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { packs: closed }), tick());
      const packIds = packs.map(({ packId }) => packId);
      assert.equal((await catalog.ledger.locatePacks(projectId, packIds)).length, packs.length);
      const hooks = packIds.map((packId, index) => ({ hook: index.toString(16).padStart(16, '0'), packId }));
      await catalog.ledger.addHooks(projectId, hooks);
      const found = await catalog.ledger.findPacksByHooks(
        projectId,
        hooks.map(({ hook }) => hook),
      );
      for (const { hook, packId } of hooks) {
        assert.deepEqual(found.get(hook), [packId]);
      }
    });

    test('wrapped keys are kept byte for byte and can be wrapped anew', async () => {
      const keyId = newUuid<KeyId>();
      const masterId = newUuid<KeyId>();
      const ownerId = await addProject(catalog);
      const wrapped = Uint8Array.from({ length: 256 }, (_value, index) => index);
      await catalog.ledger.saveKey({ keyId, projectId: ownerId, wrapped: Buffer.from(wrapped) });
      await catalog.ledger.saveKey({ keyId: masterId, projectId: null, wrapped });
      const rewrapped = wrapped.toReversed();
      await catalog.ledger.saveKey({ keyId, projectId: ownerId, wrapped: rewrapped });
      const keys = await catalog.ledger.listKeys();
      const known = keys.find((key) => key.keyId === keyId);
      assert.equal(known?.projectId, ownerId);
      assert.deepEqual(Uint8Array.from(known.wrapped), rewrapped);
      assert.equal(keys.find((key) => key.keyId === masterId)?.projectId, null);
    });

    test('a job cannot delete the backup of another project', async () => {
      projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      const otherId = await addProject(catalog);
      const stranger = await takeJob(catalog, otherId, await queueJob(catalog, otherId, 'delete-backup'));
      // For another project the backup does not exist: its job ends, the backup stays.
      assert.equal(await catalog.ledger.takeForDeletion(stranger, backupId), 'ready');
      assert.equal(await catalog.ledger.finishDeletion(stranger, backupId, tick()), true);
      assert.notEqual(await catalog.backups.get(projectId, backupId), undefined);
    });
  });
}

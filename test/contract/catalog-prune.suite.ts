// The transactions of prune and adoption (src/engine/README.md), on every database. Names of tests that begin with a
// number say which known schedule of losing data they stand against.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { bitmapHas, countCommon, makeBitmap, setBit } from '../../src/core/bitmap.ts';
import {
  type AttemptId,
  type BackupId,
  newUuid,
  type ObjectId,
  type PackId,
  type ProjectId,
} from '../../src/core/ids.ts';
import type { AdoptedBackup, CondemnRequest, LivePack, PackLocation } from '../../src/core/ledger.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  beginAttempt,
  beginBackup,
  beginDeletion,
  commitOf,
  packLocation,
  queueJob,
  START_AT,
  takeJob,
  tick,
  type Writing,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const FAILURE = { errorCode: 'VOLUME_IO', failReason: 'the disk is gone' };

function bitmapOf(...slots: readonly number[]): Uint8Array {
  const bitmap = makeBitmap(10);
  for (const slot of slots) setBit(bitmap, slot);
  return bitmap;
}

export function definePruneSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog prune on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
    });
    beforeEach(async () => {
      projectId = await addProject(catalog);
    });
    after(() => database[Symbol.asyncDispose]());

    const rootIds = async () => (await catalog.ledger.listRoots(projectId)).map((root) => root.backupId).sort();
    const livePacks = () => catalog.ledger.listLivePacks(projectId, -1, 100);
    const onePack = async (packId: PackId): Promise<LivePack> => {
      const pack = (await livePacks()).find((live) => live.packId === packId);
      assert(pack);
      return pack;
    };
    const trashNames = async () =>
      (await catalog.ledger.listTrash(projectId, 1000, START_AT)).map((item) => item.objectName).sort();
    const condemn = async (packId: PackId, marked: Uint8Array | null, changes: Partial<CondemnRequest> = {}) => {
      const markedAttemptIds = new Set((await catalog.ledger.listRoots(projectId)).map((root) => root.attemptId));
      const packs = [{ packId, marked, closesWhenUsed: true }];
      return catalog.ledger.condemnSlots(projectId, { markedAttemptIds, packs, ...changes }, tick());
    };
    const remove = async (backupId: BackupId) => {
      const claim = await beginDeletion(catalog, projectId, backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, backupId), 'trashed');
      return claim;
    };
    const sweep = async () => {
      for (let i = 0; i < 3; i += 1) {
        const items = await catalog.ledger.listTrash(projectId, 1000, START_AT);
        await catalog.ledger.confirmTrash(items, START_AT);
      }
    };

    test('1.14 every committed backup is a root, whatever its status, and one in the making is not', async () => {
      const good = await addBackup(catalog, projectId);
      const failed = await addBackup(catalog, projectId);
      const damaged = await addBackup(catalog, projectId);
      const restoring = await addBackup(catalog, projectId);
      await catalog.backups.update(failed.backupId, { status: 'error' });
      await catalog.backups.update(damaged.backupId, { isDamaged: true });
      await catalog.backups.update(restoring.backupId, { status: 'error_restoring' });
      await beginBackup(catalog, projectId);
      const all = [good, failed, damaged, restoring].map((backup) => backup.backupId).sort();
      assert.deepEqual(await rootIds(), all);
    });

    test('1.4 a deleted backup is a root until its record is confirmed gone', async () => {
      const backup = await addBackup(catalog, projectId);
      await catalog.backups.update(backup.backupId, { status: 'deleting' });
      assert.deepEqual(await rootIds(), [backup.backupId]);
      const claim = await remove(backup.backupId);
      const [root] = await catalog.ledger.listRoots(projectId);
      assert.deepEqual([root?.backupId, root?.isBeingDeleted], [backup.backupId, true]);
      await sweep();
      assert.deepEqual(await rootIds(), [], 'also before the job has noticed');
      assert.equal(await catalog.ledger.finishDeletion(claim, backup.backupId, tick()), true);
      assert.deepEqual(await rootIds(), []);
    });

    test('1.3 nothing is condemned while there is a root that was not marked', async () => {
      const backup = await addBackup(catalog, projectId);
      const later = await addBackup(catalog, projectId);
      const markedAttemptIds = new Set([backup.attemptId]);
      const outcome = await condemn(backup.pack.packId, null, { markedAttemptIds });
      assert.equal(outcome.status, 'roots-unmarked');
      assert.deepEqual(outcome.status === 'roots-unmarked' && outcome.roots.map((root) => root.backupId), [
        later.backupId,
      ]);
      assert.equal((await onePack(backup.pack.packId)).condemned, null);
    });

    test('1.1 packs that a job is writing are not touched', async () => {
      const writing = await beginBackup(catalog, projectId);
      const pack = packLocation();
      await catalog.ledger.reservePacks(writing.claim, [pack]);
      const outcome = await condemn(pack.packId, null);
      assert.deepEqual(outcome, { status: 'done', condemnedCount: 0, retired: [], passedOver: [] });
      const packs = [{ packId: pack.packId, slotCount: 10, storedBytes: 1 }];
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { packs }), tick());
      assert.equal((await onePack(pack.packId)).condemned, null);
    });

    test('slots that are not marked are condemned, and stay so', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const first = await condemn(pack.packId, bitmapOf(0, 1, 2));
      assert.deepEqual(first, { status: 'done', condemnedCount: 7, retired: [], passedOver: [] });
      const second = await condemn(pack.packId, bitmapOf(1, 9));
      assert.equal(second.status === 'done' && second.condemnedCount, 2);
      const { condemned } = await onePack(pack.packId);
      assert.deepEqual(
        [...Array(10).keys()].filter((slot) => !bitmapHas(condemned, slot)),
        [1],
      );
      const writing = await beginBackup(catalog, projectId);
      const use = await catalog.ledger.usePack(writing.claim, pack.packId);
      assert.deepEqual(use?.condemned && Buffer.from(use.condemned), condemned && Buffer.from(condemned));
    });

    test('a pack without a marked slot is retired: its object is trash, its hooks are gone', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const hook = '00ff00ff00ff00ff';
      await catalog.ledger.addHooks(projectId, [{ hook, packId: pack.packId }]);
      const outcome = await condemn(pack.packId, null);
      assert.deepEqual(outcome, {
        status: 'done',
        condemnedCount: 10,
        retired: [{ packId: pack.packId, storedBytes: 4096 }],
        passedOver: [],
      });
      assert.deepEqual(await trashNames(), [packObjectName(projectId, pack)]);
      assert.deepEqual([...(await catalog.ledger.findPacksByHooks(projectId, [hook]))], []);
      assert.deepEqual(await catalog.ledger.locatePacks(projectId, [pack.packId]), []);
      const { claim } = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.usePack(claim, pack.packId), undefined);
      assert.equal((await condemn(pack.packId, null)).status === 'done', true);
      assert.equal((await trashNames()).length, 1);
    });

    test('1.17 a pack in use is passed over and closed, and opened again once it was condemned', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const user = await beginBackup(catalog, projectId);
      assert(await catalog.ledger.usePack(user.claim, pack.packId));
      const outcome = await condemn(pack.packId, bitmapOf(0));
      assert.deepEqual(outcome, { status: 'done', condemnedCount: 0, retired: [], passedOver: [pack.packId] });
      const closed = await onePack(pack.packId);
      assert.deepEqual([closed.isInUse, closed.isClosed, closed.condemned], [true, true, null]);
      const other = await beginBackup(catalog, projectId);
      assert.equal(await catalog.ledger.usePack(other.claim, pack.packId), undefined);
      assert(await catalog.ledger.usePack(user.claim, pack.packId), 'its user goes on');
      await catalog.ledger.failBackup(user.claim, FAILURE, tick());
      await condemn(pack.packId, bitmapOf(0));
      const open = await onePack(pack.packId);
      assert.deepEqual([open.isInUse, open.isClosed], [false, false]);
      assert(await catalog.ledger.usePack(other.claim, pack.packId));
    });

    test('7.2 damage keeps a pack closed', async () => {
      const { pack } = await addBackup(catalog, projectId);
      await catalog.ledger.distrustPack(projectId, pack.packId);
      await condemn(pack.packId, bitmapOf(0));
      assert.equal((await onePack(pack.packId)).isClosed, true);
    });

    test('1.13 uses belong to the job: between two attempts its packs are passed over too', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const first = await beginBackup(catalog, projectId);
      assert(await catalog.ledger.usePack(first.claim, pack.packId));
      await catalog.jobs.putBack(first.claim, 0);
      const outcome = await condemn(pack.packId, null);
      assert.deepEqual(outcome.status === 'done' && outcome.passedOver, [pack.packId]);
      const backup = await catalog.backups.get(projectId, first.backupId);
      assert(backup);
      const second = await beginAttempt(catalog, projectId, backup);
      const commit = commitOf(second, { usedPackIds: [pack.packId] });
      await catalog.ledger.commitBackup(second.claim, commit, tick());
    });

    test('1.16 a backup that another project restores is a root of its owner', async () => {
      const backup = await addBackup(catalog, projectId);
      const readerId = await addProject(catalog);
      const claim = await takeJob(catalog, readerId, await queueJob(catalog, readerId, 'restore'));
      assert(await catalog.ledger.pinBackup(claim, backup.backupId));
      const deletion = await beginDeletion(catalog, projectId, backup.backupId);
      assert.equal(await catalog.ledger.takeForDeletion(deletion, backup.backupId), 'pinned');
      assert.deepEqual(await rootIds(), [backup.backupId]);
      assert.deepEqual(await catalog.ledger.listRoots(readerId), []);
    });

    test('a project is condemned nothing of before its time, and the time is never brought forward', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const untilAt = START_AT * 2;
      await catalog.ledger.quarantine(projectId, untilAt);
      await catalog.ledger.quarantine(projectId, untilAt - 1);
      assert.deepEqual(await condemn(pack.packId, null), { status: 'quarantined', untilAt });
      assert.equal((await onePack(pack.packId)).condemned, null);
      const markedAttemptIds = new Set((await catalog.ledger.listRoots(projectId)).map((root) => root.attemptId));
      const packs = [{ packId: pack.packId, marked: null, closesWhenUsed: true }];
      const late = await catalog.ledger.condemnSlots(projectId, { markedAttemptIds, packs }, untilAt);
      assert.equal(late.status, 'done');
    });

    const start = async (pack: PackLocation) => {
      const started = await catalog.ledger.beginCompaction(projectId, pack.packId, newUuid<ObjectId>());
      assert(started);
      const { packId, objectId, nextObjectId } = started;
      return { packId, objectId, nextObjectId, presentCount: 4, storedBytes: 1000 };
    };
    const objectName = (pack: PackLocation, objectId: ObjectId) => packObjectName(projectId, { ...pack, objectId });

    test('1.10 of two compactions one wins, and each cleans up its own object only', async () => {
      const { pack } = await addBackup(catalog, projectId);
      await condemn(pack.packId, bitmapOf(0, 1, 2, 3));
      const zombie = await start(pack);
      const winner = await start(pack);
      assert.deepEqual(await trashNames(), [objectName(pack, zombie.nextObjectId)]);
      assert.equal(await catalog.ledger.finishCompaction(projectId, winner), true);
      assert.equal(await catalog.ledger.finishCompaction(projectId, zombie), false);
      await catalog.ledger.abandonCompaction(projectId, zombie);
      const live = await onePack(pack.packId);
      assert.deepEqual([live.objectId, live.droppedCount, live.storedBytes], [winner.nextObjectId, 6, 1000]);
      assert.deepEqual(
        await trashNames(),
        [objectName(pack, zombie.nextObjectId), packObjectName(projectId, pack)].sort(),
      );
    });

    test('a compaction whose answer was lost is found done, and giving it up changes nothing', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const compaction = await start(pack);
      assert.equal(await catalog.ledger.finishCompaction(projectId, compaction), true);
      assert.equal(await catalog.ledger.finishCompaction(projectId, compaction), true);
      await catalog.ledger.abandonCompaction(projectId, compaction);
      assert.equal((await onePack(pack.packId)).objectId, compaction.nextObjectId);
      assert.deepEqual(await trashNames(), [packObjectName(projectId, pack)]);
    });

    test('a pack that is retired during a compaction takes both objects with it', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const compaction = await start(pack);
      await condemn(pack.packId, null);
      const both = [objectName(pack, compaction.nextObjectId), packObjectName(projectId, pack)].sort();
      assert.deepEqual(await trashNames(), both);
      assert.equal(await catalog.ledger.finishCompaction(projectId, compaction), false);
      assert.deepEqual(await trashNames(), both);
      assert.equal(await catalog.ledger.beginCompaction(projectId, pack.packId, newUuid<ObjectId>()), undefined);
    });

    test('compactions that were cut short are cleaned up, and what was current stays', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const compaction = await start(pack);
      await catalog.ledger.dropCompactions(projectId);
      assert.deepEqual(await trashNames(), [objectName(pack, compaction.nextObjectId)]);
      assert.equal(await catalog.ledger.finishCompaction(projectId, compaction), false);
      assert.equal((await onePack(pack.packId)).objectId, pack.objectId);
    });

    test('a compaction copies what was condemned when it began', async () => {
      const { pack } = await addBackup(catalog, projectId);
      await condemn(pack.packId, bitmapOf(0, 1));
      const started = await catalog.ledger.beginCompaction(projectId, pack.packId, newUuid<ObjectId>());
      assert(bitmapHas(started?.condemned, 2) && !bitmapHas(started?.condemned, 1));
    });

    test('1.6, 2.1 a record is known by its attempt: kept, dead and put into the trash, or a root', async () => {
      const committed = await addBackup(catalog, projectId);
      const running = await beginBackup(catalog, projectId);
      const failed = await beginBackup(catalog, projectId);
      await catalog.ledger.failBackup(failed.claim, FAILURE, tick());
      const refOf = ({ backupId, attemptId }: Writing) => ({ backupId, attemptId });
      const stranger = { backupId: newUuid<BackupId>(), attemptId: newUuid<AttemptId>() };
      const records = [refOf(committed), refOf(running), refOf(failed), stranger];
      const { ledger } = catalog;
      assert.deepEqual(await ledger.reviewRecords(projectId, records, { isDryRun: false }), { unknown: [stranger] });
      // Once its trash is gone for good, a late write may bring it back.
      const second = START_AT + 25 * 3600 * 1000;
      await ledger.confirmTrash(await ledger.listTrash(projectId, 100, START_AT), START_AT);
      await ledger.confirmTrash(await ledger.listTrash(projectId, 100, second), second);
      assert.deepEqual(await trashNames(), []);
      await ledger.reviewRecords(projectId, records, { isDryRun: true });
      assert.deepEqual(await trashNames(), []);
      await ledger.reviewRecords(projectId, records, { isDryRun: false });
      assert.deepEqual(await trashNames(), [recordName(projectId, failed.backupId, failed.attemptId)]);
      assert.equal(await ledger.giveUpRecord(projectId, refOf(committed)), false);
      assert.equal(await ledger.giveUpRecord(projectId, refOf(running)), false);
      assert.equal(await ledger.giveUpRecord(projectId, stranger), true);
      assert.equal(await ledger.giveUpRecord(projectId, stranger), false);
    });

    test('objects of packs are known by rows and by the trash', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const dead = await addBackup(catalog, projectId);
      const compaction = await start(pack);
      await condemn(dead.pack.packId, null);
      const stranger = packObjectName(projectId, packLocation());
      const names = [
        packObjectName(projectId, pack),
        objectName(pack, compaction.nextObjectId),
        packObjectName(projectId, dead.pack),
        stranger,
        objectName(pack, newUuid<ObjectId>()),
      ];
      assert.deepEqual(await catalog.ledger.findUnnamed(projectId, names), names.slice(3));
    });

    test('1.2 a use and a condemnation at the same time: the pack is passed over, or the use knows', async () => {
      const second = await database.open();
      for (let round = 0; round < 8; round += 1) {
        const { pack } = await addBackup(catalog, projectId);
        const writing = await beginBackup(catalog, projectId);
        const [use, outcome] = await Promise.all([
          second.ledger.usePack(writing.claim, pack.packId),
          condemn(pack.packId, bitmapOf(0)),
        ]);
        assert(outcome.status === 'done');
        const isPassedOver = outcome.passedOver.length > 0;
        assert.equal(use === undefined || bitmapHas(use.condemned, 5), !isPassedOver || use === undefined);
      }
    });

    test('1.2 a commit and a condemnation at the same time: the root is seen, or its packs stay', async () => {
      const second = await database.open();
      for (let round = 0; round < 8; round += 1) {
        const writing = await beginBackup(catalog, projectId);
        const pack = packLocation();
        await catalog.ledger.reservePacks(writing.claim, [pack]);
        const packs = [{ packId: pack.packId, slotCount: 10, storedBytes: 1 }];
        const markedAttemptIds = new Set((await catalog.ledger.listRoots(projectId)).map((root) => root.attemptId));
        const [, outcome] = await Promise.all([
          second.ledger.commitBackup(writing.claim, commitOf(writing, { packs }), tick()),
          condemn(pack.packId, null, { markedAttemptIds }),
        ]);
        assert.equal((await onePack(pack.packId)).condemned, null);
        assert(outcome.status === 'roots-unmarked' || (outcome.status === 'done' && outcome.condemnedCount === 0));
      }
    });

    const adoptionOf = (packs: readonly PackLocation[], changes: Partial<AdoptedBackup> = {}): AdoptedBackup => ({
      ...commitOf({ backupId: newUuid(), attemptId: newUuid(), volumeId: newUuid(), claim: undefined as never }),
      volumeId: newUuid(),
      parentId: null,
      name: 'found',
      description: null,
      tags: [{ key: 'stage', value: 'live' }],
      createdAt: START_AT,
      ...changes,
      packs: packs.map((pack) => ({
        ...pack,
        slotCount: 10,
        presentCount: 8,
        storedBytes: 500,
        needed: bitmapOf(1, 2),
      })),
    });
    const healthy = { isSetBack: false, nowAt: START_AT };
    const setBack = { isSetBack: true, nowAt: START_AT };

    test('a backup that only the store knows is adopted with the packs that have no rows', async () => {
      const known = await addBackup(catalog, projectId);
      const unknown = packLocation('page');
      const found = adoptionOf([known.pack, unknown]);
      assert.equal(await catalog.ledger.adoptBackup(projectId, found, healthy), undefined);
      const backup = await catalog.backups.get(projectId, found.backupId);
      assert.deepEqual([backup?.status, backup?.name, backup?.tags], ['available', 'found', found.tags]);
      assert.deepEqual(await rootIds(), [known.backupId, found.backupId].sort());
      const pack = await onePack(unknown.packId);
      assert.deepEqual(
        [pack.objectId, pack.kind, pack.droppedCount, pack.storedBytes],
        [unknown.objectId, 'page', 2, 500],
      );
      assert.match(String(await catalog.ledger.adoptBackup(projectId, found, healthy)), /has a backup of this id/);
    });

    test('a backup whose chunks were condemned is not adopted, and nothing is changed', async () => {
      const known = await addBackup(catalog, projectId);
      await condemn(known.pack.packId, bitmapOf(1));
      const found = adoptionOf([packLocation(), known.pack]);
      assert.match(String(await catalog.ledger.adoptBackup(projectId, found, healthy)), /condemned/);
      assert.equal((await livePacks()).length, 1);
      assert.equal(await catalog.backups.get(projectId, found.backupId), undefined);
    });

    test('a catalog that was set back adopts what it takes for failed, and ends the job', async () => {
      const running = await beginBackup(catalog, projectId);
      const failed = await beginBackup(catalog, projectId);
      const [own, spare] = [packLocation(), packLocation()];
      await catalog.ledger.reservePacks(running.claim, [own, spare]);
      const lost = packLocation();
      await catalog.ledger.reservePacks(failed.claim, [lost]);
      await catalog.ledger.failBackup(failed.claim, FAILURE, tick());
      const records = [running, failed].map(({ backupId, attemptId }) => ({ backupId, attemptId }));
      assert.deepEqual(await catalog.ledger.findUncommitted(projectId, records), records);
      for (const [writing, pack] of [
        [running, own],
        [failed, lost],
      ] as const) {
        const { backupId, attemptId, volumeId } = writing;
        const found = adoptionOf([pack], { backupId, attemptId, volumeId });
        assert.match(String(await catalog.ledger.adoptBackup(projectId, found, healthy)), /another attempt/);
        assert.equal(await catalog.ledger.adoptBackup(projectId, found, setBack), undefined);
        assert.equal((await catalog.backups.get(projectId, backupId))?.status, 'available');
      }
      assert.deepEqual((await livePacks()).map((pack) => pack.packId).sort(), [own.packId, lost.packId].sort());
      assert.deepEqual(await trashNames(), [packObjectName(projectId, spare)]);
      await assert.rejects(catalog.ledger.reservePacks(running.claim, [packLocation()]), { code: 'JOB_FENCED' });
      assert.deepEqual(await catalog.ledger.findUncommitted(projectId, records), []);
    });

    test('what a catalog that is set back retired, compacted or condemned is live when a record needs it', async () => {
      const [whole, part, both] = [
        await addBackup(catalog, projectId),
        await addBackup(catalog, projectId),
        await addBackup(catalog, projectId),
      ];
      const needed = bitmapOf(1, 2);
      for (const { backupId } of [whole, both]) await remove(backupId);
      await sweep();
      await condemn(whole.pack.packId, null);
      for (const { pack } of [part, both]) await condemn(pack.packId, bitmapOf(0, 2));
      const compaction = await start(both.pack);
      assert.equal(await catalog.ledger.finishCompaction(projectId, compaction), true);
      const running = await start(part.pack);
      // A sweep had begun with them when the catalog was copied.
      const items = await catalog.ledger.listTrash(projectId, 100, START_AT);
      await catalog.ledger.takeTrash(projectId, items);
      const names = [whole.pack, both.pack].map((pack) => packObjectName(projectId, pack));
      for (const name of names) assert((await trashNames()).includes(name));
      const found = adoptionOf([whole.pack, part.pack, both.pack]);
      assert.match(String(await catalog.ledger.adoptBackup(projectId, found, setBack)), /is not what it was/);
      const replacedObjectId = compaction.nextObjectId;
      const packs = found.packs.map((pack) =>
        pack.packId === both.pack.packId ? { ...pack, replacedObjectId } : pack,
      );
      assert.match(
        String(await catalog.ledger.adoptBackup(projectId, { ...found, packs }, healthy)),
        /is not what it was/,
      );
      assert.equal(await catalog.ledger.adoptBackup(projectId, { ...found, packs }, setBack), undefined);
      for (const { pack } of [whole, part, both]) {
        const live = await onePack(pack.packId);
        assert.deepEqual([live.objectId, live.slotCount, live.droppedCount], [pack.objectId, 10, 2]);
        assert.equal(countCommon(live.condemned, needed), 0);
        assert(bitmapHas(live.condemned, 5), 'what nobody needs stays condemned');
      }
      for (const name of names) assert(!(await trashNames()).includes(name));
      assert.equal(await catalog.ledger.finishCompaction(projectId, running), false, 'it has left out what is needed');
    });

    test('a pack whose object is gone is given the one that is there, unless that is trash', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const compaction = await start(pack);
      await catalog.ledger.dropCompactions(projectId);
      const dead = { ...pack, objectId: compaction.nextObjectId, presentCount: 4, storedBytes: 9 };
      assert.equal(await catalog.ledger.repairPack(projectId, pack.objectId, dead), false);
      const there = { ...dead, objectId: newUuid<ObjectId>() };
      assert.equal(await catalog.ledger.repairPack(projectId, newUuid<ObjectId>(), there), false);
      assert.equal(await catalog.ledger.repairPack(projectId, pack.objectId, there), true);
      const live = await onePack(pack.packId);
      assert.deepEqual([live.objectId, live.droppedCount, live.storedBytes], [there.objectId, 6, 9]);
      assert((await trashNames()).includes(packObjectName(projectId, dead)));
      assert.equal(await catalog.ledger.repairPack(projectId, there.objectId, dead, { fromTrash: true }), true);
      assert.equal((await onePack(pack.packId)).objectId, dead.objectId);
      assert(!(await trashNames()).includes(packObjectName(projectId, dead)), 'no sweep deletes what is current');
    });

    test('a backup that cannot be read shows it and stays a root; an epoch is taken over upwards only', async () => {
      const backup = await addBackup(catalog, projectId);
      await catalog.ledger.markUnreadable(projectId, backup.backupId, 'its record is missing');
      const row = await catalog.backups.get(projectId, backup.backupId);
      assert.deepEqual([row?.status, row?.failReason], ['error', 'its record is missing']);
      assert.deepEqual(await rootIds(), [backup.backupId]);
      await catalog.ledger.startEpoch(projectId);
      assert.equal((await catalog.ledger.takeOverEpoch(projectId, 9)).epoch, 10);
      assert.equal((await catalog.ledger.takeOverEpoch(projectId, 3)).epoch, 11);
    });
  });
}

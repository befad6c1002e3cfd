// Verification's transactions of the ledger, on every database: what was found in packs, and which backups are damaged.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { listBits, makeBitmap, setBit } from '../../src/core/bitmap.ts';
import { newUuid, type ObjectId, type ProjectId } from '../../src/core/ids.ts';
import type { LivePack } from '../../src/core/ledger.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { addBackup, addProject, queueJob, START_AT, takeJob } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const NOTHING = makeBitmap(0);

function bitmapOf(...slots: readonly number[]): Uint8Array {
  const bitmap = makeBitmap(10);
  for (const slot of slots) setBit(bitmap, slot);
  return bitmap;
}

export function defineVerifySuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog verification on ${name}`, () => {
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

    const livePack = async (): Promise<LivePack> => {
      const [pack] = await catalog.ledger.listLivePacks(projectId, -1, 100);
      assert(pack);
      return pack;
    };
    const badSlots = async () => listBits((await livePack()).bad);

    test('a finding adds bad slots and clears sound ones; one of an older object changes nothing', async () => {
      await addBackup(catalog, projectId);
      const { ledger } = catalog;
      const { packId, objectId } = await livePack();
      const found = { packId, objectId, sound: NOTHING };
      assert.equal(await ledger.noteFinding(projectId, { ...found, bad: bitmapOf(1, 2) }), true);
      await ledger.noteFinding(projectId, { ...found, sound: bitmapOf(2), bad: bitmapOf(3) });
      assert.deepEqual(await badSlots(), [1, 3]);
      const stale = { ...found, objectId: newUuid<ObjectId>(), bad: bitmapOf(5) };
      assert.equal(await ledger.noteFinding(projectId, stale), false);
      assert.deepEqual(await badSlots(), [1, 3]);
      assert.deepEqual(await ledger.listDamagedPacks(projectId), [packId]);
      const whole = { ...found, sound: bitmapOf(0), bad: NOTHING, verifiedAt: START_AT + 500_000 };
      await ledger.noteFinding(projectId, whole);
      assert.equal((await livePack()).bad, null);
      assert.deepEqual(await ledger.listDamagedPacks(projectId), []);
    });

    test('packs wait in the order of their last verification, and one that is distrusted comes first', async () => {
      for (let i = 0; i < 3; i += 1) await addBackup(catalog, projectId);
      const { ledger } = catalog;
      const packs = await ledger.listLivePacks(projectId, -1, 100);
      const ages = [3000, 1000, 2000];
      for (const [i, { packId, objectId }] of packs.entries()) {
        const verifiedAt = ages[i % 3] ?? 0;
        await ledger.noteFinding(projectId, { packId, objectId, sound: NOTHING, bad: NOTHING, verifiedAt });
      }
      const waiting = async () => (await ledger.listPacksToVerify(projectId, 2500, 100)).map(({ packId }) => packId);
      const young = packs.filter((_, i) => ages[i % 3] === 3000).map(({ packId }) => packId);
      const first = packs.filter((_, i) => ages[i % 3] === 1000).map(({ packId }) => packId);
      assert.deepEqual((await waiting()).slice(0, first.length), first);
      assert(young.every((packId) => packId !== first[0]));
      const [distrusted] = young;
      assert(distrusted);
      assert(!(await waiting()).includes(distrusted));
      await ledger.distrustPack(projectId, distrusted);
      assert.equal((await waiting())[0], distrusted);
      const state = await ledger.readVerification(projectId);
      assert.deepEqual([state.packCount, state.neverVerifiedCount, state.damagedPackCount], [packs.length, 1, 1]);
      assert.equal(state.oldestVerifiedAt, 0);
    });

    test('the overview counts damage, open jobs and the oldest verification of all projects', async () => {
      const { ledger, overview } = catalog;
      const before = await overview.read();
      const { backupId } = await addBackup(catalog, projectId);
      const { packId, objectId } = await livePack();
      const finding = { packId, objectId, sound: NOTHING, bad: bitmapOf(1), verifiedAt: 7 };
      await ledger.noteFinding(projectId, finding);
      const found = await overview.read();
      assert.equal(found.damagedPackCount, before.damagedPackCount + 1);
      assert.equal(found.damagedChunkCount, before.damagedChunkCount + 1);
      assert.equal(found.oldestVerifiedAt, 7);
      const [root] = await ledger.listRoots(projectId);
      assert(root);
      const damage = { backupId, attemptId: root.attemptId, isSound: false, reason: 'rot' } as const;
      await ledger.noteBackup(projectId, damage, 1);
      await ledger.distrustPack(projectId, packId);
      const later = await overview.read();
      assert.equal(later.damagedBackupCount, before.damagedBackupCount + 1);
      assert.equal(later.unverifiedPackCount, before.unverifiedPackCount + 1);
      assert.equal(later.oldestVerifiedAt, before.oldestVerifiedAt, 'a pack that is distrusted has no age');
      const { slotCount } = await livePack();
      assert.equal(later.damagedChunkCount, before.damagedChunkCount + slotCount);
      const count = (jobs: typeof before.jobs, isRunning: boolean) =>
        jobs.find((each) => each.kind === 'restore' && each.isRunning === isRunning)?.count ?? 0;
      await queueJob(catalog, projectId, 'restore');
      await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'restore'));
      const { jobs } = await overview.read();
      assert.deepEqual(
        [count(jobs, false), count(jobs, true)],
        [count(before.jobs, false) + 1, count(before.jobs, true) + 1],
      );
    });

    test('a backup that is called sound keeps its mark while a slot that it needs is bad', async () => {
      const { backupId } = await addBackup(catalog, projectId);
      const { ledger } = catalog;
      const [root] = await ledger.listRoots(projectId);
      assert(root);
      const { attemptId } = root;
      const { packId, objectId } = await livePack();
      assert.equal(await ledger.noteBackup(projectId, { backupId, attemptId, isSound: false, reason: 'rot' }, 1), true);
      const [damaged] = await ledger.listDamagedBackups(projectId);
      assert.deepEqual([damaged?.backupId, damaged?.reason], [backupId, 'rot']);
      assert.equal((await catalog.backups.get(projectId, backupId))?.failReason, 'rot');
      await ledger.noteFinding(projectId, { packId, objectId, sound: NOTHING, bad: bitmapOf(4) });
      const sound = (slot: number) =>
        ledger.noteBackup(
          projectId,
          { backupId, attemptId, isSound: true, reached: [[packId, bitmapOf(slot)]] as const },
          2,
        );
      await catalog.backups.update(backupId, { status: 'error_restoring' });
      assert.equal(await sound(4), false);
      assert.equal((await ledger.listDamagedBackups(projectId)).length, 1);
      assert.equal((await catalog.backups.get(projectId, backupId))?.status, 'error_restoring');
      assert.equal(await sound(5), true);
      assert.equal((await catalog.backups.get(projectId, backupId))?.status, 'available', 'it can be restored again');
      assert.deepEqual(await ledger.listDamagedBackups(projectId), []);
      assert.equal((await catalog.backups.get(projectId, backupId))?.failReason, null);
    });
  });
}

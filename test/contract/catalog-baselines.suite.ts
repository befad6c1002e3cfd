// Baselines in the catalog, on every database: for whom they are good, and what becomes of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AttemptId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  beginBackup,
  beginDeletion,
  commitOf,
  START_AT,
  tick,
  volumeRow,
  type Writing,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

export function defineBaselineSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`baselines on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
      projectId = await addProject(catalog);
    });
    after(() => database[Symbol.asyncDispose]());

    /** A committed backup with a baseline that says `mark`. */
    const addTracked = async (volumeId: VolumeId, mark: string): Promise<Writing> => {
      const writing = await beginBackup(catalog, projectId, { volumeId, isIncremental: false });
      const baseline = { driver: 'file', state: { mark, list: [1, 'two'] } };
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { baseline }), tick());
      return writing;
    };
    const marksOf = (states: readonly { readonly state: Readonly<Record<string, unknown>> }[]) =>
      states.map(({ state }) => state.mark);
    const emptyTrash = async () => {
      for (const { trashId } of await catalog.baselines.listTrash(1000)) await catalog.baselines.confirmTrash(trashId);
    };
    /** Begins an increment and answers what it may compare with. */
    const beginIncrement = async (volumeId: VolumeId) => {
      const { claim, backupId } = await beginBackup(catalog, projectId, { volumeId });
      const attempt = { backupId, volumeId, attemptId: newUuid<AttemptId>(), isIncremental: true };
      return (await catalog.ledger.beginBackup(claim, attempt)).baseline;
    };

    test('an increment gets the baseline of its parent, as it was committed', async () => {
      const volumeId = newUuid<VolumeId>();
      const { backupId } = await addTracked(volumeId, 'a');
      const state = { mark: 'a', list: [1, 'two'] };
      assert.deepEqual(await beginIncrement(volumeId), { driver: 'file', state });
      assert.deepEqual(await catalog.baselines.get(volumeId), { backupId, driver: 'file', state });
      assert.equal(await catalog.baselines.get(newUuid<VolumeId>()), undefined);
    });

    test('an increment on another backup gets none', async () => {
      const volumeId = newUuid<VolumeId>();
      await addTracked(volumeId, 'a');
      const newer = await addTracked(volumeId, 'b');
      await catalog.backups.update(newer.backupId, { status: 'error' });
      assert.equal(await beginIncrement(volumeId), undefined);
    });

    test('a full backup gets none', async () => {
      const volumeId = newUuid<VolumeId>();
      await addTracked(volumeId, 'a');
      const { claim, backupId } = await beginBackup(catalog, projectId, { volumeId, isIncremental: false });
      const attempt = { backupId, volumeId, attemptId: newUuid<AttemptId>(), isIncremental: false };
      assert.deepEqual(await catalog.ledger.beginBackup(claim, attempt), { parent: undefined, baseline: undefined });
    });

    test('a commit replaces the baseline, and the old one goes into the trash with it', async () => {
      await emptyTrash();
      const volumeId = newUuid<VolumeId>();
      await addTracked(volumeId, 'a');
      await addTracked(volumeId, 'b');
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['a']);
      await addBackup(catalog, projectId, { volumeId });
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['a', 'b']);
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(1)), ['a']);
      assert.equal(await catalog.baselines.get(volumeId), undefined);
    });

    test('a commit that is refused changes nothing', async () => {
      await emptyTrash();
      const volumeId = newUuid<VolumeId>();
      await addTracked(volumeId, 'a');
      const writing = await beginBackup(catalog, projectId, { volumeId, isIncremental: false });
      const baseline = { driver: 'file', state: { mark: 'b' } };
      const commit = commitOf(writing, { baseline, usedPackIds: [newUuid()] });
      await assert.rejects(catalog.ledger.commitBackup(writing.claim, commit, tick()), { code: 'COMMIT_CHECK_FAILED' });
      assert.equal((await catalog.baselines.get(volumeId))?.state.mark, 'a');
      assert.deepEqual(await catalog.baselines.listTrash(10), []);
    });

    test('deleting the backup of a baseline ends it', async () => {
      await emptyTrash();
      const volumeId = newUuid<VolumeId>();
      const { backupId } = await addTracked(volumeId, 'a');
      const deletion = await beginDeletion(catalog, projectId, backupId);
      await catalog.ledger.takeForDeletion(deletion, backupId);
      await catalog.ledger.confirmTrash(await catalog.ledger.listTrash(projectId, 10, START_AT), START_AT);
      assert.equal(await catalog.ledger.finishDeletion(deletion, backupId, tick()), true);
      assert.equal(await catalog.baselines.get(volumeId), undefined);
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['a']);
    });

    test('dropping it, and removing the volume, end it; a transaction that fails does not', async () => {
      await emptyTrash();
      const volume = volumeRow(projectId);
      await catalog.volumes.insert(volume);
      await addTracked(volume.volumeId, 'a');
      const failing = catalog.transact(projectId, async ({ baselines }) => {
        await baselines.drop(volume.volumeId);
        throw new Error('no');
      });
      await assert.rejects(failing, /no/);
      assert.deepEqual(await catalog.baselines.listTrash(10), []);
      await catalog.transact(projectId, ({ baselines }) => baselines.drop(volume.volumeId));
      await catalog.transact(projectId, ({ baselines }) => baselines.drop(volume.volumeId));
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['a']);
      await addTracked(volume.volumeId, 'b');
      await catalog.transact(projectId, ({ volumes }) => volumes.delete(volume.volumeId));
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['a', 'b']);
      const [first] = await catalog.baselines.listTrash(1);
      await catalog.baselines.confirmTrash(first?.trashId ?? assert.fail());
      await catalog.baselines.confirmTrash(first?.trashId ?? assert.fail());
      assert.deepEqual(marksOf(await catalog.baselines.listTrash(10)), ['b']);
    });

    test('packs with bad slots are told, those of other projects and retired ones are not', async () => {
      const { pack } = await addBackup(catalog, projectId);
      const otherId = await addProject(catalog);
      const other = await addBackup(catalog, otherId);
      await catalog.ledger.distrustPack(otherId, other.pack.packId);
      assert.deepEqual(await catalog.ledger.listDamagedPacks(projectId), []);
      await catalog.ledger.distrustPack(projectId, pack.packId);
      assert.deepEqual(await catalog.ledger.listDamagedPacks(projectId), [pack.packId]);
    });
  });
}

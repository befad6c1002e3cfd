// Snapshots, and the questions about jobs that concern them, as every database must answer them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GIB } from '../../src/core/bytes.ts';
import { type JobId, newHexId, newUuid, type ProjectId, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import type { JobKind, Volume } from '../../src/core/model.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import type { NewSnapshot, SnapshotChanges, SnapshotFilter } from '../../src/db/record-types.ts';
import { addProject, tick, volumeRow } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const PAGE = { limit: 1000, withTotalCount: true };

export function defineSnapshotSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`snapshots on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    let volumeId: VolumeId;
    before(async () => {
      database = await make();
      catalog = await database.open();
      projectId = await addProject(catalog);
      volumeId = await addVolume();
    });
    after(() => database[Symbol.asyncDispose]());

    async function addVolume(changes: Partial<Volume> = {}): Promise<VolumeId> {
      const volume = volumeRow(projectId, changes);
      await catalog.volumes.insert(volume);
      return volume.volumeId;
    }

    async function addSnapshot(changes: Partial<NewSnapshot> = {}): Promise<NewSnapshot> {
      const { volumeType } = volumeRow(projectId);
      const snapshot: NewSnapshot = {
        snapshotId: newUuid<SnapshotId>(),
        projectId,
        userId: newHexId(),
        volumeId,
        name: 'before',
        description: null,
        sizeBytes: GIB,
        driver: 'file',
        isBootable: true,
        volumeType,
        availabilityZone: 'az-1',
        metadata: { tier: 'gold' },
        createdAt: tick(),
        ...changes,
      };
      await catalog.snapshots.insert(snapshot);
      return snapshot;
    }

    async function addJob(kind: JobKind, changes: { volumeId?: VolumeId; snapshotId?: SnapshotId }): Promise<JobId> {
      const jobId = newUuid<JobId>();
      await catalog.jobs.insert({ jobId, projectId, kind, createdAt: tick(), ...changes });
      return jobId;
    }

    async function endJob(jobId: JobId): Promise<void> {
      const job = await catalog.jobs.get(projectId, jobId);
      assert(job !== undefined);
      const taken = await catalog.jobs.take(job, { runnerId: 'r', leaseUntil: tick() + 1e6 }, tick());
      assert(taken !== undefined);
      await catalog.jobs.end(taken.claim, { status: 'SUCCESS' }, tick());
    }

    test('a snapshot begins as one that is being made, changes, and goes', async () => {
      const row = await addSnapshot();
      const { snapshotId } = row;
      const made = { ...row, status: 'creating', source: '', consistency: null, frozenAt: null, progressPercent: 0 };
      assert.deepEqual(await catalog.snapshots.get(projectId, snapshotId), { ...made, updatedAt: null });
      const whole: SnapshotChanges = {
        ...({ status: 'available', source: 'x.raw', consistency: 'fuzzy' } as const),
        ...{ frozenAt: tick(), progressPercent: 100, name: null, description: 'text', metadata: {}, updatedAt: tick() },
      };
      await catalog.snapshots.update(snapshotId, whole);
      await catalog.snapshots.update(snapshotId, {});
      assert.deepEqual(await catalog.snapshots.find(snapshotId), { ...row, ...whole });
      assert.equal(await catalog.snapshots.get(newHexId<ProjectId>(), snapshotId), undefined);
      await catalog.snapshots.delete(snapshotId);
      assert.equal(await catalog.snapshots.find(snapshotId), undefined);
    });

    test('lists filter by each column and by metadata, and count', async () => {
      const ownVolumeId = await addVolume();
      const titles = ['a%b', 'A_b', 'c'];
      for (const title of titles) {
        await addSnapshot({ volumeId: ownVolumeId, name: title, metadata: { title }, sizeBytes: title.length * GIB });
      }
      const names = async (filter: SnapshotFilter) => {
        const listed = await catalog.snapshots.list({ projectId, volumeId: ownVolumeId, ...filter }, PAGE);
        assert.equal(listed.totalCount, listed.items.length);
        return listed.items.map((snapshot) => snapshot.name).toSorted();
      };
      assert.deepEqual(await names({}), ['A_b', 'a%b', 'c']);
      assert.deepEqual(await names({ name: 'c' }), ['c']);
      assert.deepEqual(await names({ nameLike: '%' }), ['a%b']);
      assert.deepEqual(await names({ nameLike: '_' }), ['A_b']);
      assert.deepEqual(await names({ statusLike: 'creat', status: 'creating', metadata: { title: 'c' } }), ['c']);
      assert.deepEqual(await names({ volumeIdLike: ownVolumeId.slice(3, 20), availabilityZone: 'az-1' }), [
        ...['A_b', 'a%b', 'c'],
      ]);
      assert.deepEqual(await names({ availabilityZone: 'az-2' }), []);
      const bySize = { ...PAGE, sort: [{ key: 'size', direction: 'asc' }] } as const;
      const sorted = await catalog.snapshots.list({ projectId, volumeId: ownVolumeId }, bySize);
      assert.equal(sorted.items[0]?.name, 'c');
      await assert.rejects(catalog.snapshots.list({ projectId }, { ...PAGE, markerId: newUuid() }), {
        code: 'MARKER_NOT_FOUND',
      });
    });

    test('those of a volume come newest first, and keep the volume from going before them', async () => {
      const ownVolumeId = await addVolume();
      const older = await addSnapshot({ volumeId: ownVolumeId });
      const newer = await addSnapshot({ volumeId: ownVolumeId });
      const listed = await catalog.snapshots.listOfVolume(projectId, ownVolumeId);
      assert.deepEqual(
        listed.map(({ snapshotId }) => snapshotId),
        [newer.snapshotId, older.snapshotId],
      );
      await assert.rejects(catalog.volumes.delete(ownVolumeId));
      for (const { snapshotId } of listed) await catalog.snapshots.delete(snapshotId);
      await catalog.volumes.delete(ownVolumeId);
    });

    test('a volume is being copied while a job for a snapshot or a clone of it, or a revert, is open', async () => {
      const isCopied = (id: VolumeId) => catalog.jobs.isVolumeBeingCopied(projectId, id);
      for (const kind of ['create-snapshot', 'revert-volume'] as const) {
        const ownVolumeId = await addVolume();
        assert.equal(await isCopied(ownVolumeId), false);
        const jobId = await addJob(kind, { volumeId: ownVolumeId });
        assert.equal(await isCopied(ownVolumeId), true);
        await endJob(jobId);
        assert.equal(await isCopied(ownVolumeId), false);
      }
      const sourceVolumeId = await addVolume();
      const cloneId = await addVolume({ sourceVolumeId, status: 'creating' });
      assert.equal(await isCopied(sourceVolumeId), false);
      const jobId = await addJob('copy-volume', { volumeId: cloneId });
      assert.equal(await isCopied(sourceVolumeId), true);
      assert.equal(await isCopied(cloneId), false);
      await endJob(jobId);
      assert.equal(await isCopied(sourceVolumeId), false);
    });

    test('an open job is found by its snapshot', async () => {
      const { snapshotId } = await addSnapshot();
      const kinds = ['delete-snapshot', 'copy-volume'] as const;
      assert.equal(await catalog.jobs.findOpen({ projectId, snapshotId, kinds }), undefined);
      const jobId = await addJob('copy-volume', { snapshotId });
      assert.equal((await catalog.jobs.findOpen({ projectId, snapshotId, kinds }))?.jobId, jobId);
      await endJob(jobId);
      assert.equal(await catalog.jobs.findOpen({ projectId, snapshotId, kinds }), undefined);
    });
  });
}

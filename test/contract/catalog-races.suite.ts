// Two connections at once: what one decides must be seen by the other (write skew), and whoever
// comes second loses. On SQLite the connections are two writers of one file.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { VbsError } from '../../src/core/errors.ts';
import { newUuid, type ProjectId, type VolumeId, type VolumeTypeId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import {
  addBackup,
  addProject,
  backupRow,
  beginBackup,
  beginDeletion,
  commitOf,
  packLocation,
  queueJob,
  START_AT,
  takeJob,
  tick,
  volumeRow,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const ROUNDS = 8;

export function defineRaceSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog races on ${name}`, () => {
    let database: TestDatabase;
    let one: Catalog;
    let two: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      // Both migrate the empty database at the same time: one of them does it, the other finds it done.
      [one, two] = await Promise.all([database.open(), database.open()]);
      projectId = await addProject(one);
    });
    after(() => database[Symbol.asyncDispose]());

    test('a commit is seen by the other connection as soon as it is answered', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const jobId = await queueJob(one, projectId, 'restore');
        assert.notEqual(await one.jobs.get(projectId, jobId), undefined);
        assert.notEqual(await two.jobs.get(projectId, jobId), undefined);
      }
    });

    test('both learn the same catalog id, drawn once', async () => {
      const [idOne, idTwo] = await Promise.all([one.meta.catalogId(), two.meta.catalogId()]);
      assert.equal(idOne, idTwo);
    });

    test('of two takers of a job one gets it', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const jobId = await queueJob(one, projectId, 'backup');
        const job = await one.jobs.get(projectId, jobId);
        assert(job !== undefined);
        const lease = { runnerId: 'test', leaseUntil: START_AT * 2 };
        const taken = await Promise.all([one.jobs.take(job, lease, START_AT), two.jobs.take(job, lease, START_AT)]);
        assert.equal(taken.filter((each) => each !== undefined).length, 1);
      }
    });

    test('of a pin and a deletion one gives way', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const volumeId = newUuid<VolumeId>();
        const { backupId } = await addBackup(one, projectId, { volumeId });
        const deleting = await takeJob(one, projectId, await queueJob(one, projectId, 'delete-backup', { backupId }));
        const reading = await takeJob(one, projectId, await queueJob(one, projectId, 'restore', { backupId }));
        const [state, pinned] = await Promise.all([
          one.ledger.takeForDeletion(deleting, backupId),
          two.ledger.pinBackup(reading, backupId),
        ]);
        const expected = pinned === undefined ? 'trashed' : 'pinned';
        assert.equal(state, expected);
      }
    });

    test('of a parent’s choice and its deletion one gives way', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const volumeId = newUuid<VolumeId>();
        const parent = await addBackup(one, projectId, { volumeId });
        const claim = await takeJob(one, projectId, await queueJob(one, projectId, 'delete-backup'));
        const [state, writing] = await Promise.all([
          one.ledger.takeForDeletion(claim, parent.backupId),
          beginBackup(two, projectId, { volumeId }),
        ]);
        assert.equal(state, writing.parentId === undefined ? 'trashed' : 'pinned');
      }
    });

    test('of a commit and a failure of the same job one takes place', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const writing = await beginBackup(one, projectId);
        const pack = packLocation();
        await one.ledger.reservePacks(writing.claim, [pack]);
        const packs = [{ packId: pack.packId, slotCount: 1, storedBytes: 1 }];
        const failure = { errorCode: 'INTERNAL', failReason: 'gave up' };
        const [committed, failed] = await Promise.allSettled([
          one.ledger.commitBackup(writing.claim, commitOf(writing, { packs }), tick()),
          two.ledger.failBackup(writing.claim, failure, tick()),
        ]);
        const backup = await two.backups.get(projectId, writing.backupId);
        const isKept = (await two.ledger.locatePacks(projectId, [pack.packId])).length === 1;
        assert.equal(failed.status, 'fulfilled');
        assert.equal(backup?.status, committed.status === 'fulfilled' ? 'available' : 'error');
        assert.equal(isKept, committed.status === 'fulfilled');
        assert.equal(failed.value.isCommitted, committed.status === 'fulfilled');
      }
    });

    test('of a volume and the deletion of its type one gives way, and says so', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const type = { typeId: newUuid<VolumeTypeId>(), name: `type-${round}` };
        const rest = { description: null, isPublic: true, extraSpecs: {}, createdAt: tick() };
        await one.administer(({ volumeTypes }) => volumeTypes.insert({ ...type, ...rest }));
        const volume = volumeRow(projectId, { volumeType: type.name });
        // Each looks before it writes, as the services do; what the other does in between the database has to notice.
        const [made, deleted] = await Promise.allSettled([
          one.transact(projectId, async ({ volumes, volumeTypes }) => {
            if ((await volumeTypes.findByName(type.name)) === undefined) throw new VbsError('VOLUME_TYPE_NOT_FOUND');
            await volumes.insert(volume);
          }),
          two.administer(async ({ volumeTypes }) => {
            if (await volumeTypes.isInUse(type.name)) throw new VbsError('VOLUME_TYPE_IN_USE');
            await volumeTypes.delete(type);
          }),
        ]);
        const codes = [made, deleted].map((each) => (each.status === 'rejected' ? each.reason.code : undefined));
        const expected =
          codes[0] === undefined ? [undefined, 'VOLUME_TYPE_IN_USE'] : ['VOLUME_TYPE_NOT_FOUND', undefined];
        assert.deepEqual(codes, expected);
        assert.equal((await two.volumes.get(projectId, volume.volumeId)) !== undefined, made.status === 'fulfilled');
      }
    });

    test('rules that count rows hold against each other', async () => {
      const ownId = await addProject(one);
      const admitOne = (catalog: Catalog) =>
        catalog.transact(ownId, async (records) => {
          const { reservedCount } = await records.quotas.usage(ownId);
          if (reservedCount < 1) {
            await records.backups.insert(backupRow(ownId));
          }
        });
      await Promise.all([one, two, one, two].map(admitOne));
      assert.equal((await one.quotas.usage(ownId)).reservedCount, 1);
    });

    test('projects do not wait for each other for ever, and a failed transaction leaves the writer free', async () => {
      const otherId = await addProject(one);
      const failing = one.transact(projectId, async () => {
        throw new Error('on purpose');
      });
      await assert.rejects(failing, /on purpose/);
      const ids = await Promise.all([
        one.transact(projectId, (records) => records.quotas.usage(projectId)),
        two.transact(otherId, (records) => records.quotas.usage(otherId)),
        one.transact(otherId, (records) => records.quotas.usage(otherId)),
      ]);
      assert.equal(ids.length, 3);
    });

    test('a deletion and the next backup of the volume end well together', async () => {
      const volumeId = newUuid<VolumeId>();
      const parent = await addBackup(one, projectId, { volumeId });
      const writing = await beginBackup(two, projectId, { volumeId });
      const claim = await beginDeletion(one, projectId, parent.backupId);
      assert.equal(await one.ledger.takeForDeletion(claim, parent.backupId), 'pinned');
      await two.ledger.commitBackup(writing.claim, commitOf(writing, { parentId: parent.backupId }), tick());
      assert.equal(await one.ledger.takeForDeletion(claim, parent.backupId), 'trashed');
    });
  });
}

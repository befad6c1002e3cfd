// The records around volumes on every database: types, attachments, quotas, states of services, messages.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GIB } from '../../src/core/bytes.ts';
import { type AttachmentId, newUuid, type VolumeTypeId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import type { AttachmentChanges, NewAttachment } from '../../src/db/record-types.ts';
import { addProject, queueJob, START_AT, takeJob, tick, volumeRow } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const ALL = { limit: 1000 };

export function defineStockSuite(name: string, makeDatabase: () => Promise<TestDatabase>): void {
  describe(`catalog records around volumes on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    before(async () => {
      database = await makeDatabase();
      catalog = await database.open();
    });
    after(() => database[Symbol.asyncDispose]());

    async function addType(typeName: string, isPublic = true): Promise<VolumeTypeId> {
      const typeId = newUuid<VolumeTypeId>();
      const type = { typeId, name: typeName, description: null, isPublic, extraSpecs: { a: 'b' }, createdAt: tick() };
      await catalog.administer(({ volumeTypes }) => volumeTypes.insert(type));
      assert.deepEqual(await catalog.volumeTypes.get(typeId), { ...type, updatedAt: null });
      return typeId;
    }

    test('the name of a type is its own; volumes follow it and keep the type alive', async () => {
      const projectId = await addProject(catalog);
      const typeId = await addType('first');
      await assert.rejects(addType('first'), { code: 'VOLUME_TYPE_EXISTS' });
      for (const text of ['a\0b', 'a\ud800']) assert.equal(await catalog.volumeTypes.findByName(text), undefined);
      const volume = volumeRow(projectId, { volumeType: 'first' });
      await catalog.volumes.insert(volume);
      await catalog.administer(({ volumeTypes }) => volumeTypes.update(typeId, { name: 'renamed', updatedAt: 5 }));
      assert.equal((await catalog.volumes.get(projectId, volume.volumeId))?.volumeType, 'renamed');
      assert.equal((await catalog.volumeTypes.findByName('renamed'))?.typeId, typeId);
      assert.equal(await catalog.volumeTypes.isInUse('renamed'), true);
      await assert.rejects(
        catalog.administer(({ volumeTypes }) => volumeTypes.delete({ typeId, name: 'renamed' })),
        { code: 'VOLUME_TYPE_IN_USE' },
        'the database itself refuses what would leave a volume without its type',
      );
      const lost = { code: 'VOLUME_TYPE_NOT_FOUND' };
      await assert.rejects(catalog.volumes.insert(volumeRow(projectId, { volumeType: 'none' })), lost);
      await assert.rejects(catalog.volumes.update(volume.volumeId, { volumeType: 'first' }), lost);
      await catalog.volumes.delete(volume.volumeId);
      assert.equal(await catalog.volumeTypes.isInUse('renamed'), false);
      await catalog.administer(({ volumeTypes }) => volumeTypes.delete({ typeId, name: 'renamed' }));
      assert.equal(await catalog.volumeTypes.get(typeId), undefined);
    });

    test('a type that is not public is listed for those with access', async () => {
      const [one, other] = [await addProject(catalog), await addProject(catalog)];
      const typeId = await addType('hidden', false);
      const names = async (filter: Parameters<Catalog['volumeTypes']['list']>[0]) =>
        (await catalog.volumeTypes.list(filter, ALL)).items.map((type) => type.name);
      await catalog.administer(({ volumeTypes }) => volumeTypes.grant(typeId, one));
      assert.ok((await names({ visibleTo: one })).includes('hidden'));
      assert.ok(!(await names({ visibleTo: other })).includes('hidden'));
      assert.ok((await names({ visibleTo: other })).includes('__DEFAULT__'));
      assert.deepEqual(await names({ isPublic: false }), ['hidden']);
      assert.deepEqual(await catalog.volumeTypes.listAccess(typeId), [one]);
      await catalog.administer(({ volumeTypes }) => volumeTypes.revoke(typeId, one));
      assert.deepEqual(await catalog.volumeTypes.listAccess(typeId), []);
    });

    test('attachments keep every field, and go with their volume', async () => {
      const projectId = await addProject(catalog);
      const volume = volumeRow(projectId);
      await catalog.volumes.insert(volume);
      const attachment: NewAttachment = {
        ...{ attachmentId: newUuid<AttachmentId>(), volumeId: volume.volumeId, projectId, serverId: newUuid() },
        ...{ hostName: null, device: null, mode: 'ro', status: 'reserved', connector: null, attachedAt: null },
        createdAt: tick(),
      };
      await catalog.attachments.insert(attachment);
      const { attachmentId } = attachment;
      assert.deepEqual(await catalog.attachments.get(projectId, attachmentId), { ...attachment, updatedAt: null });
      assert.equal(await catalog.attachments.get(await addProject(catalog), attachmentId), undefined);
      const changes: AttachmentChanges = {
        ...{ hostName: 'node', device: '/dev/vdb', status: 'attached', connector: { host: 'node', a: [1] } },
        ...{ attachedAt: 7, updatedAt: 8 },
      };
      await catalog.attachments.update(attachmentId, changes);
      const changed = { ...attachment, ...changes };
      assert.deepEqual(await catalog.attachments.listOfVolumes([volume.volumeId]), [changed]);
      assert.deepEqual((await catalog.attachments.list({ projectId, status: 'attached' }, ALL)).items, [changed]);
      assert.deepEqual((await catalog.attachments.list({ projectId, serverId: newUuid() }, ALL)).items, []);
      await catalog.volumes.delete(volume.volumeId);
      assert.deepEqual(await catalog.attachments.listOfVolumes([volume.volumeId]), []);
    });

    test('stock is counted from the rows, by type too; limits are kept for a project and for all', async () => {
      const projectId = await addProject(catalog);
      const typeId = await addType('counted');
      const none = { used: 0, reserved: 0 };
      assert.deepEqual(await catalog.quotas.stock(projectId), { volumes: none, snapshots: none, gigabytes: none });
      await catalog.volumes.insert(volumeRow(projectId, { sizeBytes: GIB + 1 }));
      await catalog.volumes.insert(volumeRow(projectId, { status: 'creating', sizeBytes: GIB, volumeType: 'counted' }));
      const stock = await catalog.quotas.stock(projectId);
      assert.deepEqual(stock.volumes, { used: 1, reserved: 1 });
      assert.deepEqual(stock.gigabytes, { used: 2, reserved: 1 });
      assert.deepEqual((await catalog.quotas.stock(projectId, 'counted')).gigabytes, { used: 0, reserved: 1 });
      const limit = { resource: 'volumes', typeId: '', limit: 5 } as const;
      const ofType = { resource: 'gigabytes', typeId, limit: -1 } as const;
      await catalog.quotas.saveLimit(projectId, { ...limit, limit: 4 });
      await catalog.quotas.saveLimit(projectId, limit);
      await catalog.quotas.saveLimit(projectId, ofType);
      assert.equal((await catalog.quotas.listLimits(projectId)).length, 2);
      await catalog.quotas.saveDefault({ ...limit, limit: 8 });
      await catalog.quotas.saveDefault({ ...limit, limit: 9 });
      assert.deepEqual(await catalog.quotas.listDefaults(), [{ ...limit, limit: 9 }]);
      await catalog.quotas.dropLimits(projectId);
      assert.deepEqual(await catalog.quotas.listLimits(projectId), []);
    });

    test('a service is off where somebody switched it off', async () => {
      const state = {
        service: 'cinder-backup',
        host: 'a',
        isDisabled: true,
        disabledReason: 'why',
        updatedAt: 1,
      } as const;
      await catalog.administer(({ serviceStates }) => serviceStates.save(state));
      assert.deepEqual(await catalog.serviceStates.list(), [state]);
      const on = { ...state, isDisabled: false, disabledReason: null, updatedAt: 2 };
      await catalog.administer(({ serviceStates }) => serviceStates.save(on));
      assert.deepEqual(await catalog.serviceStates.list(), [on]);
    });

    test('a job that fails for good leaves a message, an internal one or a success none', async () => {
      const projectId = await addProject(catalog);
      const list = async (filter: Record<string, string> = {}) =>
        (await catalog.messages.list({ projectId, ...filter }, ALL)).items;
      const failure = { status: 'FAIL', errorCode: 'STORAGE_FULL', failReason: 'no room' } as const;
      const volumeId = volumeRow(projectId).volumeId;
      const end = async (
        kind: 'restore' | 'export' | 'delete-volume',
        outcome: Parameters<typeof catalog.jobs.end>[1],
      ) => {
        const jobId = kind === 'delete-volume' ? newUuid<never>() : await queueJob(catalog, projectId, kind);
        if (kind === 'delete-volume')
          await catalog.jobs.insert({ jobId, projectId, kind, volumeId, requestId: 'req-1', createdAt: tick() });
        await catalog.jobs.end(await takeJob(catalog, projectId, jobId), outcome, START_AT);
        return jobId;
      };
      await end('export', failure);
      await end('delete-volume', { status: 'SUCCESS' });
      assert.deepEqual(await list(), []);
      const jobId = await end('delete-volume', failure);
      const [message, ...others] = await list();
      assert.ok(message !== undefined && others.length === 0);
      const { messageId } = message;
      assert.deepEqual(message, {
        ...{ messageId, projectId, event: 'delete-volume', resourceType: 'VOLUME', resourceId: volumeId },
        ...{ errorCode: 'STORAGE_FULL', detail: 'no room', jobId, requestId: 'req-1', createdAt: START_AT },
      });
      assert.deepEqual(await list({ resourceId: newUuid() }), []);
      assert.deepEqual(await list({ event: 'delete-volume', resourceType: 'VOLUME' }), [message]);
      assert.equal(await catalog.messages.get(await addProject(catalog), messageId), undefined);
      assert.equal(await catalog.messages.deleteBefore(START_AT), 0);
      await catalog.messages.delete(messageId);
      assert.deepEqual(await list(), []);
    });
  });
}

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
  type PolicyId,
  type ProjectId,
  type SnapshotId,
  type UserId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import type { Backup } from '../../src/core/model.ts';
import { labelName, packObjectName } from '../../src/core/object-names.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { openDatabase } from '../../src/db/database.ts';
import { labelAllBackups } from '../../src/db/migrations/0015-label-origins.ts';
import { addBackup, addProject, beginBackup, beginDeletion } from '../support/catalog-rows.ts';
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

/** Of a record that does not say it. */
const NO_ORIGIN = {
  ...{ userId: '', policyId: null, dialect: 'vbs', container: null, availabilityZone: null, snapshotId: null },
} as const;

function makeOrigin() {
  return {
    ...{ userId: newUuid<UserId>(), policyId: newUuid<PolicyId>(), dialect: 'native' as const, container: 'vault' },
    ...{ availabilityZone: 'zone-b', snapshotId: newUuid<SnapshotId>(), isIncrementalRequested: true },
  };
}

function originOf(backup: Backup | undefined) {
  assert(backup !== undefined);
  const { userId, policyId, dialect, container, availabilityZone, snapshotId, isIncrementalRequested } = backup;
  return { userId, policyId, dialect, container, availabilityZone, snapshotId, isIncrementalRequested };
}

/** Its record is in the trash, and deleted for the first time. */
async function deleteRecord(catalog: Catalog, projectId: ProjectId, backupId: BackupId): Promise<JobClaim> {
  const claim = await beginDeletion(catalog, projectId, backupId);
  assert.equal(await catalog.ledger.takeForDeletion(claim, backupId), 'trashed');
  const taken = await catalog.ledger.takeTrash(projectId, await catalog.ledger.listTrash(projectId, 100, 1));
  await catalog.ledger.confirmTrash(taken, 1);
  return claim;
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
      const expected = { backupId, revision: 2, name: 'n', description: null, metadata: {}, updatedAt: 1 };
      const origin = { ...NO_ORIGIN, isIncrementalRequested: false };
      assert.deepEqual(label, { ...expected, tags: [{ key: 'q', value: '' }], origin, imported: undefined });
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

    test('who asked for a backup and how comes from its record, or else from its label', async () => {
      const projectId = await addProject(catalog);
      const said = { ...makeBackup(), origin: makeOrigin(), metadata: { owner: 'me' }, recordedAt: 7 };
      const old = makeBackup();
      await catalog.ledger.enterBackups(projectId, [said, old]);
      const row = await catalog.backups.get(projectId, said.backupId);
      assert.deepEqual([originOf(row), row?.metadata, row?.updatedAt], [said.origin, said.metadata, 7]);
      const { backupId } = old;
      assert.equal(originOf(await catalog.backups.get(projectId, backupId)).userId, '');
      const origin = makeOrigin();
      const label = { ...makeLabel(backupId, 1, 'n'), origin, updatedAt: 9 };
      assert.equal(await catalog.ledger.applyLabels(projectId, [label]), 1);
      const labelled = await catalog.backups.get(projectId, backupId);
      assert.deepEqual([originOf(labelled), labelled?.updatedAt], [origin, 9]);
      // A label of an earlier version says nothing of it.
      assert.equal(await catalog.ledger.applyLabels(projectId, [makeLabel(backupId, 2, 'two')]), 1);
      assert.deepEqual(originOf(await catalog.backups.get(projectId, backupId)), origin);
      await catalog.backups.update(backupId, { name: 'three', updatedAt: 11 });
      const next = await catalog.ledger.readUnsavedLabel(projectId, backupId);
      assert.deepEqual([next?.origin, next?.updatedAt, next?.imported], [origin, 11, undefined]);
    });

    test('an upgrade has a label written of every committed backup, whatever labels there were', async () => {
      const projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      const changed = await addBackup(catalog, projectId);
      const running = await beginBackup(catalog, projectId);
      await catalog.backups.update(changed.backupId, { name: 'n' });
      await catalog.ledger.confirmLabel(projectId, changed.backupId, 1);
      const database = await openDatabase(made.config);
      await database.transact((transaction) => labelAllBackups(transaction));
      await database.close();
      const revisionOf = async (id: BackupId) => (await catalog.ledger.readUnsavedLabel(projectId, id))?.revision;
      assert.deepEqual([await revisionOf(backupId), await revisionOf(changed.backupId)], [1, 2]);
      assert.equal(await revisionOf(running.backupId), undefined);
    });

    test('an imported backup is entered on the record of another one, and its label tells which', async () => {
      const projectId = await addProject(catalog);
      const owner = makeBackup();
      const backupId = newUuid<BackupId>();
      const { attemptId } = owner;
      const entry = { ...owner, backupId, recordBackupId: owner.backupId, createdAt: 50 };
      await catalog.ledger.enterBackups(projectId, [owner]);
      for (let i = 0; i < 2; i += 1) await catalog.ledger.enterBackups(projectId, [entry]);
      assert.equal((await catalog.ledger.listRoots(projectId)).length, 2);
      const imported = { recordBackupId: owner.backupId, attemptId, createdAt: 50 };
      assert.equal(
        await catalog.ledger.applyLabels(projectId, [{ ...makeLabel(backupId, 4, 'imported'), imported }]),
        1,
      );
      const row = await catalog.backups.get(projectId, backupId);
      assert.deepEqual([row?.recordBackupId, row?.createdAt, row?.name], [owner.backupId, 50, 'imported']);
      await catalog.backups.update(backupId, { name: 'again' });
      assert.deepEqual((await catalog.ledger.readUnsavedLabel(projectId, backupId))?.imported, imported);
      // A label that an earlier backup of the same id has left.
      const stale = { ...imported, attemptId: newUuid<AttemptId>() };
      const label = { ...makeLabel(backupId, 9, 'stale'), imported: stale };
      assert.equal(await catalog.ledger.applyLabels(projectId, [label]), 0);
    });

    test('a backup is adopted on the record of another one unless that is being deleted', async () => {
      const projectId = await addProject(catalog);
      const owner = await addBackup(catalog, projectId);
      const found = { ...makeBackup(), attemptId: owner.attemptId, recordBackupId: owner.backupId, packs: [] };
      const options = { isSetBack: false, nowAt: 1 };
      assert.equal(await catalog.ledger.adoptBackup(projectId, found, options), undefined);
      assert.match(String(await catalog.ledger.adoptBackup(projectId, found, options)), /has a backup of this id/);
      assert.equal((await catalog.backups.get(projectId, found.backupId))?.recordBackupId, owner.backupId);
      const other = await addBackup(catalog, projectId);
      await deleteRecord(catalog, projectId, other.backupId);
      const late = { ...makeBackup(), attemptId: other.attemptId, recordBackupId: other.backupId, packs: [] };
      assert.match(String(await catalog.ledger.adoptBackup(projectId, late, options)), /is being deleted/);
      assert.equal(await catalog.backups.get(projectId, late.backupId), undefined);
    });

    test('the label of a backup that was imported under the id of a deleted one is not swept with that', async () => {
      const projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      const claim = await deleteRecord(catalog, projectId, backupId);
      const name = labelName(projectId, backupId);
      const names = async () =>
        (await catalog.ledger.listTrash(projectId, 100, Number.MAX_SAFE_INTEGER)).map((item) => item.objectName);
      assert(await catalog.ledger.finishDeletion(claim, backupId, 1));
      assert((await names()).includes(name));
      const unknown = { recordBackupId: newUuid<BackupId>(), attemptId: newUuid<AttemptId>() };
      assert.equal(await catalog.ledger.prepareImport(projectId, backupId, unknown), 'ready');
      assert(!(await names()).includes(name));
    });

    test('a spare version of a pack is given up only when the current one was read and is sound', async () => {
      const projectId = await addProject(catalog);
      const pack = makePack();
      const { packId, kind, objectId } = pack;
      await catalog.ledger.enterPacks(projectId, [pack]);
      const spare = { packId, kind, objectId: newUuid<ObjectId>() };
      const retire = (version = spare, current = objectId) =>
        catalog.ledger.retireSpare(projectId, version, current, 100);
      const read = (bad: Uint8Array, verifiedAt?: number) =>
        catalog.ledger.noteFinding(projectId, { packId, objectId, sound: new Uint8Array(), bad, verifiedAt });
      assert.equal(await retire(), false, 'nobody has read it');
      await read(Uint8Array.of(1), 50);
      assert.equal(await retire(), false, 'a slot is bad');
      await read(new Uint8Array(), 60);
      assert.equal(await retire(pack), false, 'it is the current version');
      assert.equal(await retire(spare, newUuid<ObjectId>()), false, 'another version is current by now');
      await catalog.ledger.beginCompaction(projectId, packId, spare.objectId);
      assert.equal(await retire(), false, 'it is being written');
      await catalog.ledger.beginCompaction(projectId, packId, newUuid<ObjectId>());
      await catalog.ledger.quarantine(projectId, 101);
      const other = { ...spare, objectId: newUuid<ObjectId>() };
      assert.equal(await retire(other), false, 'the quarantine is not over');
      assert.equal(await catalog.ledger.retireSpare(projectId, other, objectId, 101), true);
      const trash = await catalog.ledger.listTrash(projectId, 10, 1);
      assert(trash.some(({ objectName }) => objectName === packObjectName(projectId, other)));
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

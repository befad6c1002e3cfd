// The records apart from the ledger, on every database: identity, quotas, lists, jobs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { GIB } from '../../src/core/bytes.ts';
import {
  type ApplicationCredentialId,
  type BackupId,
  type JobId,
  newHexId,
  newUuid,
  type ProjectId,
  type UserId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { BackupSortKey, ListPage } from '../../src/db/record-types.ts';
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
  volumeRow,
} from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const ALL: ListPage<'createdAt'> = { limit: 1000 };

export function defineRecordSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog records on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    before(async () => {
      database = await make();
      catalog = await database.open();
    });
    after(() => database[Symbol.asyncDispose]());

    test('opening again keeps what is there, a newer catalog is refused', async () => {
      const id = await catalog.meta.catalogId();
      const again = await database.open();
      assert.equal(await again.meta.catalogId(), id);
      const raw = await openDatabase(database.config);
      await raw.kysely.insertInto('migrations').values({ name: '9999-from-the-future' }).execute();
      await assert.rejects(openDatabase(database.config), { code: 'CATALOG_UNKNOWN_FORMAT' });
      await raw.kysely.deleteFrom('migrations').where('name', '=', '9999-from-the-future').execute();
      await raw.close();
    });

    test('users, projects, roles and revoked tokens', async () => {
      const userId = newHexId<UserId>();
      const newUser = { userId, name: 'ada', domainId: 'default', passwordHash: 'h', isEnabled: true };
      const user = { ...newUser, description: '', email: null, defaultProjectId: null, tokenGeneration: 0 };
      const projectId = newHexId<ProjectId>();
      const newProject = { projectId, name: 'ops', domainId: 'default', description: 'd', createdAt: START_AT };
      const project = { ...newProject, isEnabled: true, tokenGeneration: 0 };
      await catalog.administer(async (records) => {
        await records.users.insert(newUser);
        await records.projects.insert(newProject);
        await records.users.assignRole(userId, projectId, 'admin');
        await records.users.assignRole(userId, projectId, 'admin');
        await records.users.assignRole(userId, projectId, 'member');
      });
      assert.deepEqual(await catalog.users.findByName('default', 'ada'), user);
      assert.equal(await catalog.users.findByName('other', 'ada'), undefined);
      assert.equal(await catalog.users.count(), 1);
      assert.deepEqual(await catalog.projects.get(projectId), project);
      assert.deepEqual(await catalog.projects.findByName('default', 'ops'), project);
      assert.deepEqual(await catalog.projects.listByUser(userId), [project]);
      assert.deepEqual(await catalog.projects.listByUser(newHexId<UserId>()), []);
      assert.deepEqual(await catalog.users.listRoles(userId, projectId), ['admin', 'member']);
      await catalog.users.removeRole(userId, projectId, 'admin');
      assert.deepEqual(await catalog.users.listRoleAssignments(userId), [{ projectId, role: 'member' }]);
      await catalog.users.update(userId, { isEnabled: false });
      assert.equal((await catalog.users.get(userId))?.isEnabled, false);
      await catalog.users.update(userId, { email: 'a@b', defaultProjectId: projectId, endsTokens: true });
      await catalog.users.update(userId, { endsTokens: true });
      const changed = { email: 'a@b', defaultProjectId: projectId, isEnabled: false, tokenGeneration: 2 };
      assert.deepEqual(await catalog.users.list(), [{ ...user, ...changed }]);
      await catalog.projects.update(projectId, { isEnabled: false, endsTokens: true });
      assert.deepEqual(await catalog.projects.get(projectId), { ...project, isEnabled: false, tokenGeneration: 1 });
      await catalog.projects.update(projectId, { isEnabled: true });
      await catalog.users.revokeToken('t1', 100);
      await catalog.users.revokeToken('t1', 100);
      assert.equal(await catalog.users.isTokenRevoked('t1'), true);
      await catalog.users.dropExpiredRevocations(101);
      assert.equal(await catalog.users.isTokenRevoked('t1'), false);
      await catalog.meta.set('greeting', 'a');
      await catalog.meta.set('greeting', 'b');
      assert.equal(await catalog.meta.get('greeting'), 'b');
    });

    test('who may act as admin, roles by user and project, and users that go', async () => {
      const projectId = await addProject(catalog);
      const [ada, bob] = [newHexId<UserId>(), newHexId<UserId>()];
      for (const userId of [ada, bob]) {
        await catalog.users.insert({ userId, name: userId, domainId: 'default', passwordHash: '', isEnabled: true });
        await catalog.users.assignRole(userId, projectId, 'admin');
      }
      await catalog.users.assignRole(ada, projectId, 'reader');
      assert.equal(await catalog.users.countAdmins(), 2);
      await catalog.users.update(bob, { isEnabled: false });
      assert.equal(await catalog.users.countAdmins(), 1);
      await catalog.projects.update(projectId, { isEnabled: false });
      assert.equal(await catalog.users.countAdmins(), 0);
      const grant = (userId: UserId, role: 'admin' | 'reader') => ({ userId, projectId, role });
      const [first, second] = [ada, bob].sort();
      const all = await catalog.users.listGrants({ projectId });
      assert.equal(all.length, 3);
      assert.deepEqual(await catalog.users.listGrants({ projectId, role: 'admin' }), [
        grant(first ?? ada, 'admin'),
        grant(second ?? bob, 'admin'),
      ]);
      assert.deepEqual(await catalog.users.listGrants({ userId: ada }), [grant(ada, 'admin'), grant(ada, 'reader')]);
      await catalog.users.removeGrants({ userId: ada });
      assert.deepEqual(await catalog.users.listGrants({ projectId }), [grant(bob, 'admin')]);
      await catalog.users.removeGrants({ projectId });
      for (const userId of [ada, bob]) await catalog.users.delete(userId);
      assert.equal(await catalog.users.get(ada), undefined);
    });

    test('application credentials and keys of tokens', async () => {
      const projectId = await addProject(catalog);
      const userId = newHexId<UserId>();
      await catalog.users.insert({ userId, name: userId, domainId: 'default', passwordHash: '', isEnabled: true });
      const credential = {
        ...{ credentialId: newHexId<ApplicationCredentialId>(), userId, projectId, name: 'nightly', description: null },
        ...{ secretHash: 's', roles: ['member', 'reader'] as const, isUnrestricted: true, expiresAt: 5, createdAt: 1 },
      };
      const { applicationCredentials, tokenKeys } = catalog;
      await applicationCredentials.insert(credential);
      const copy = { ...credential, credentialId: newHexId<ApplicationCredentialId>() };
      await assert.rejects(applicationCredentials.insert(copy));
      assert.deepEqual(await applicationCredentials.get(credential.credentialId), credential);
      assert.deepEqual(await applicationCredentials.findByName(userId, 'nightly'), credential);
      assert.deepEqual(await applicationCredentials.listByUser(userId, newHexId<ProjectId>()), []);
      assert.deepEqual(await applicationCredentials.listByUser(userId, projectId), [credential]);
      await applicationCredentials.deleteAll({ projectId: newHexId<ProjectId>() });
      await applicationCredentials.deleteAll({ userId });
      assert.equal(await applicationCredentials.get(credential.credentialId), undefined);
      const keyOf = (keyId: string, createdAt: number) => ({
        keyId,
        secret: randomBytes(32),
        createdAt,
        keepUntil: 10,
      });
      const [old, young] = [keyOf('a', 1), keyOf('b', 2)];
      for (const key of [old, young]) await tokenKeys.insert(key);
      assert.deepEqual(
        (await tokenKeys.list()).map(({ keyId, secret }) => [keyId, Buffer.from(secret).toString('hex')]),
        [young, old].map(({ keyId, secret }) => [keyId, secret.toString('hex')]),
      );
      assert.equal(await tokenKeys.keepUntil('a', 20), true);
      assert.equal(await tokenKeys.keepUntil('a', 15), true);
      assert.equal(await tokenKeys.keepUntil('gone', 20), false);
      await tokenKeys.deleteOthers('b', 20);
      assert.equal((await tokenKeys.list()).length, 2);
      await tokenKeys.deleteOthers('b', 21);
      assert.deepEqual(
        (await tokenKeys.list()).map(({ keyId }) => keyId),
        ['b'],
      );
    });

    test('a project that is buried is found by nobody, takes nothing, and frees its name', async () => {
      const projectId = await addProject(catalog, 'grave');
      await catalog.volumes.insert(volumeRow(projectId));
      assert.deepEqual(await catalog.projects.countContent(projectId), {
        ...{ volumeCount: 1, backupCount: 0, openJobCount: 0 },
      });
      await catalog.administer(({ projects }) => projects.bury(projectId, START_AT));
      assert.equal(await catalog.projects.get(projectId), undefined);
      assert.equal(await catalog.projects.findByName('default', 'grave'), undefined);
      assert.ok((await catalog.projects.list()).every((project) => project.projectId !== projectId));
      await assert.rejects(
        catalog.transact(projectId, async () => undefined),
        { code: 'PROJECT_NOT_FOUND' },
      );
      assert.notEqual(await addProject(catalog, 'grave'), projectId);
      // The ledger cleans up after it.
      await catalog.ledger.startEpoch(projectId);
    });

    test('volumes keep every field, and no two have one disk', async () => {
      const projectId = await addProject(catalog);
      const volume = volumeRow(projectId, {
        sizeBytes: 16 * 1024 * GIB,
        source: '/srv/disks/a.raw',
        isAdopted: true,
        isFresh: false,
        isBootable: true,
        metadata: { 'a"b.$[0]': "it's", purpose: 'test', empty: '' },
        description: 'Müller — “x” \u{1F4BE}',
        sourceBackupId: newUuid<BackupId>(),
      });
      await catalog.volumes.insert(volume);
      const plain = { ...volume, updatedAt: null, isReadonly: null, imageMetadata: {} };
      assert.deepEqual(await catalog.volumes.get(projectId, volume.volumeId), plain);
      assert.equal(await catalog.volumes.get(await addProject(catalog), volume.volumeId), undefined);
      assert.equal((await catalog.volumes.findBySource(volume.source))?.volumeId, volume.volumeId);
      assert.equal(await catalog.volumes.findBySource(''), undefined);
      const twin = volumeRow(projectId, { source: volume.source });
      await assert.rejects(catalog.volumes.insert(twin), { code: 'VOLUME_ALREADY_MANAGED' });
      await catalog.volumes.insert({ ...twin, source: '' });
      await catalog.volumes.insert(volumeRow(projectId));
      const change = catalog.volumes.update(twin.volumeId, { source: volume.source });
      await assert.rejects(change, { code: 'VOLUME_ALREADY_MANAGED' });
      const marks = { isReadonly: true, imageMetadata: { image_name: 'deb"' } };
      const changes = { name: null, status: 'error', isFresh: true, updatedAt: 5, ...marks } as const;
      await catalog.volumes.update(volume.volumeId, changes);
      const changed = await catalog.volumes.get(projectId, volume.volumeId);
      assert.deepEqual(changed, { ...volume, ...changes });
      await catalog.volumes.delete(volume.volumeId);
      assert.equal(await catalog.volumes.get(projectId, volume.volumeId), undefined);
    });

    test('volumes are found by every filter', async () => {
      const projectId = await addProject(catalog);
      const big = volumeRow(projectId, { name: 'big%one', sizeBytes: 2 * GIB, metadata: { tier: 'gold', x: 'y' } });
      const odd = volumeRow(projectId, { name: 'odd', sizeBytes: GIB + 1, availabilityZone: 'az-2', isBootable: true });
      await catalog.volumes.insert(big);
      await catalog.volumes.insert({ ...odd, status: 'error' });
      await catalog.volumes.insert(volumeRow(await addProject(catalog), { name: 'odd' }));
      const find = async (filter: Parameters<Catalog['volumes']['list']>[0]) => {
        const { items } = await catalog.volumes.list({ projectId, ...filter }, ALL);
        return items.map((item) => item.name);
      };
      assert.deepEqual(await find({}), ['odd', 'big%one']);
      assert.deepEqual(await find({ name: 'odd' }), ['odd']);
      assert.deepEqual(await find({ nameLike: 'g%o' }), ['big%one']);
      assert.deepEqual(await find({ nameLike: 'G%' }), []);
      assert.deepEqual(await find({ status: 'error' }), ['odd']);
      assert.deepEqual(await find({ sizeGib: 2 }), ['odd', 'big%one']);
      assert.deepEqual(await find({ sizeGib: 1 }), []);
      assert.deepEqual(await find({ availabilityZone: 'az-2', isBootable: true }), ['odd']);
      assert.deepEqual(await find({ isBootable: false }), ['big%one']);
      assert.deepEqual(await find({ metadata: { tier: 'gold', x: 'y' } }), ['big%one']);
      assert.deepEqual(await find({ metadata: { tier: 'silver' } }), []);
      assert.deepEqual(await find({ createdAt: [{ comparison: 'eq', at: big.createdAt }] }), ['big%one']);
      assert.deepEqual(await find({ createdAt: [{ comparison: 'gt', at: big.createdAt }] }), ['odd']);
      const between = [
        { comparison: 'gte', at: big.createdAt },
        { comparison: 'lt', at: odd.createdAt },
      ] as const;
      assert.deepEqual(await find({ createdAt: between }), ['big%one']);
      assert.deepEqual(
        await find({ updatedAt: [{ comparison: 'neq', at: 1 }] }),
        [],
        'what is null compares with nothing',
      );
      assert.deepEqual(await find({ descriptionLike: 'x' }), []);
      assert.deepEqual(await find({ statusLike: 'rro' }), ['odd']);
      assert.deepEqual(await catalog.volumes.sum({ projectId }), { count: 2, sizeGib: 4 });
      assert.deepEqual(await catalog.volumes.sum({ projectId: await addProject(catalog) }), { count: 0, sizeGib: 0 });
      assert.deepEqual(await catalog.volumes.listMetadata(projectId), [{ tier: 'gold', x: 'y' }]);
      const { items } = await catalog.volumes.list({ name: 'odd' }, ALL);
      assert.equal(items.length, 2, 'every project without a project filter');
    });

    test('backups keep every field and their tags in order', async () => {
      const projectId = await addProject(catalog);
      const tags = [
        { key: 'z', value: '' },
        { key: 'a', value: 'ключ' },
      ];
      const row = backupRow(projectId, { tags, metadata: { k: 'v' }, name: null, dialect: 'native' });
      await catalog.backups.insert(row);
      const backup = await catalog.backups.get(projectId, row.backupId);
      assert.deepEqual(backup?.tags, tags);
      assert.equal(backup.status, 'creating');
      assert.deepEqual(backup.metadata, { k: 'v' });
      assert.equal(backup.hasDependents, false);
      assert.equal(backup.createdAt, row.createdAt);
      assert.deepEqual(await catalog.backups.find(row.backupId), backup);
      assert.equal(await catalog.backups.get(await addProject(catalog), row.backupId), undefined);
      assert.equal(await catalog.backups.isBeingCreated(projectId, row.volumeId), true);
      await catalog.backups.update(row.backupId, { status: 'error', failReason: 'x', name: 'n', updatedAt: 9 });
      assert.equal(await catalog.backups.isBeingCreated(projectId, row.volumeId), false);
      const changed = await catalog.backups.get(projectId, row.backupId);
      assert.deepEqual(changed, { ...backup, status: 'error', failReason: 'x', name: 'n', updatedAt: 9 });
      assert.equal(await catalog.backups.countByVolume(projectId, row.volumeId), 1);
    });

    test('a deletion forced while the backup is made: the job goes on, its end changes no state', async () => {
      const projectId = await addProject(catalog);
      for (const isCommitted of [true, false]) {
        const writing = await beginBackup(catalog, projectId, { isIncremental: false });
        const { backupId, volumeId, claim } = writing;
        const find = () => catalog.jobs.findOpen({ projectId, backupId, kinds: ['backup', 'restore'] });
        await catalog.backups.update(backupId, { status: 'deleting' });
        assert.equal(await catalog.backups.isBeingCreated(projectId, volumeId), true);
        assert.equal((await find())?.jobId, claim.jobId);
        assert.equal(await catalog.jobs.findOpen({ projectId, volumeId, kinds: ['restore'] }), undefined);
        if (isCommitted) await catalog.ledger.commitBackup(claim, commitOf(writing), tick());
        else await catalog.ledger.failBackup(claim, { errorCode: 'INTERNAL', failReason: 'x' }, tick());
        assert.equal((await catalog.backups.find(backupId))?.status, 'deleting');
        assert.equal(await catalog.backups.isBeingCreated(projectId, volumeId), false);
        assert.equal(await find(), undefined);
        assert.equal(await catalog.backups.isRecordTrashed(backupId), false);
        await catalog.ledger.takeForDeletion(await beginDeletion(catalog, projectId, backupId), backupId);
        assert.equal(await catalog.backups.isRecordTrashed(backupId), true);
      }
    });

    test('what a job carries can be replaced by whoever holds it', async () => {
      const projectId = await addProject(catalog);
      const claim = await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'restore'));
      await catalog.jobs.savePayload(claim, { isTargetUntouched: false });
      assert.deepEqual((await catalog.jobs.get(projectId, claim.jobId))?.payload, { isTargetUntouched: false });
      await assert.rejects(catalog.jobs.savePayload({ ...claim, attempt: 9 }, {}), { code: 'JOB_FENCED' });
    });

    test('a list is paged by marker and offset, sorted by several keys, the same pages in any size', async () => {
      const projectId = await addProject(catalog);
      const names = ['b', 'a', null, 'b', 'a', 'B', 'ä', null, 'b'];
      for (const [index, each] of names.entries()) {
        await catalog.backups.insert(backupRow(projectId, { name: each, sizeBytes: (index % 2) * GIB }));
      }
      const sorts: ListPage<BackupSortKey>['sort'][] = [
        undefined,
        [{ key: 'name', direction: 'asc' }],
        [
          { key: 'name', direction: 'desc' },
          { key: 'size', direction: 'asc' },
        ],
        [
          { key: 'updatedAt', direction: 'desc' },
          { key: 'container', direction: 'asc' },
        ],
        [
          { key: 'size', direction: 'asc' },
          { key: 'id', direction: 'desc' },
        ],
      ];
      for (const sort of sorts) {
        const whole = await catalog.backups.list({ projectId }, { limit: 1000, sort, withTotalCount: true });
        assert.equal(whole.totalCount, names.length);
        const ids = whole.items.map((item) => item.backupId);
        assert.equal(new Set(ids).size, names.length);
        const collected: BackupId[] = [];
        for (let markerId: string | undefined; ; markerId = collected.at(-1)) {
          const { items } = await catalog.backups.list({ projectId }, { limit: 2, sort, markerId });
          collected.push(...items.map((item) => item.backupId));
          if (items.length === 0) {
            break;
          }
        }
        assert.deepEqual(collected, ids);
        const skipped = await catalog.backups.list({ projectId }, { limit: 3, offset: 2, sort, markerId: ids[0] });
        assert.deepEqual(
          skipped.items.map((item) => item.backupId),
          ids.slice(3, 6),
        );
      }
      const byName = await catalog.backups.list({ projectId }, { limit: 9, sort: [{ key: 'name', direction: 'asc' }] });
      // By bytes, whatever the locale of the server; what has no name comes first.
      assert.deepEqual(
        byName.items.map((item) => item.name),
        [null, null, 'B', 'a', 'a', 'b', 'b', 'b', 'ä'],
      );
      const none = await catalog.backups.list({ projectId }, { limit: 0, withTotalCount: true });
      assert.deepEqual(none, { items: [], totalCount: names.length });
    });

    test('a marker must be something that the caller may list', async () => {
      const projectId = await addProject(catalog);
      const foreign = backupRow(await addProject(catalog));
      await catalog.backups.insert(foreign);
      const unknown = { code: 'MARKER_NOT_FOUND' };
      const from = (markerId: string) => catalog.backups.list({ projectId }, { limit: 5, markerId });
      await assert.rejects(from(newUuid()), unknown);
      await assert.rejects(from(foreign.backupId), unknown);
      await assert.rejects(catalog.jobs.list({ projectId }, { limit: 5, markerId: newUuid() }), unknown);
      await catalog.backups.list({}, { limit: 5, markerId: foreign.backupId });
    });

    test('backups are found by exact and by partial filters', async () => {
      const projectId = await addProject(catalog);
      const volumeId = 'abcdef00-0000-4000-8000-000000000001' as VolumeId;
      const one = backupRow(projectId, { name: 'web_root', volumeId });
      const two = backupRow(projectId, { name: 'webXroot' });
      await catalog.backups.insert(one);
      await catalog.backups.insert(two);
      await catalog.backups.update(two.backupId, { status: 'error_restoring' });
      const find = async (filter: Parameters<Catalog['backups']['list']>[0]) => {
        const { items } = await catalog.backups.list({ projectId, ...filter }, ALL);
        return items.map((item) => item.name);
      };
      assert.deepEqual(await find({ name: 'web_root' }), ['web_root']);
      assert.deepEqual(await find({ nameLike: 'b_r' }), ['web_root'], 'no wildcard');
      assert.deepEqual(await find({ nameLike: 'web' }), ['webXroot', 'web_root']);
      assert.deepEqual(await find({ statusLike: 'error' }), ['webXroot']);
      assert.deepEqual(await find({ status: 'error' }), []);
      assert.deepEqual(await find({ volumeId }), ['web_root']);
      assert.deepEqual(await find({ volumeIdLike: 'cdef00' }), ['web_root']);
    });

    test('quotas are counted from the rows', async () => {
      const projectId = await addProject(catalog);
      assert.deepEqual(await catalog.quotas.usage(projectId), {
        usedCount: 0,
        usedGib: 0,
        reservedCount: 0,
        reservedGib: 0,
      });
      await catalog.backups.insert(backupRow(projectId, { sizeBytes: GIB + 1 }));
      const done = await addBackup(catalog, projectId);
      const failed = backupRow(projectId, { sizeBytes: 3 * GIB });
      await catalog.backups.insert(failed);
      await catalog.backups.update(failed.backupId, { status: 'error' });
      const usage = { usedCount: 2, usedGib: 4, reservedCount: 1, reservedGib: 2 };
      assert.deepEqual(await catalog.quotas.usage(projectId), usage);
      await catalog.backups.update(done.backupId, { status: 'deleting' });
      assert.deepEqual(await catalog.quotas.usage(projectId), usage);
      const claim = await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'delete-backup'));
      await catalog.ledger.takeForDeletion(claim, done.backupId);
      await catalog.ledger.confirmTrash(await catalog.ledger.listTrash(projectId, 9, START_AT), START_AT);
      await catalog.ledger.finishDeletion(claim, done.backupId, tick());
      assert.deepEqual(await catalog.quotas.usage(projectId), { ...usage, usedCount: 1, usedGib: 3 });
    });

    test('jobs are listed without internal kinds, forgotten after their time', async () => {
      const projectId = await addProject(catalog);
      const backup = await queueJob(catalog, projectId, 'backup');
      const hidden = await queueJob(catalog, projectId, 'export');
      const restore = await queueJob(catalog, projectId, 'restore');
      const ids = async (filter: Parameters<Catalog['jobs']['list']>[0]) => {
        const { items } = await catalog.jobs.list({ projectId, ...filter }, ALL);
        return items.map((item) => item.jobId);
      };
      assert.deepEqual(await ids({}), [restore, backup]);
      assert.deepEqual(await ids({ includeInternal: true }), [restore, hidden, backup]);
      assert.deepEqual(await ids({ kind: 'export' }), [hidden]);
      assert.deepEqual(await ids({ status: 'RUNNING' }), []);
      const claim = await takeJob(catalog, projectId, restore);
      assert.deepEqual(await ids({ status: 'RUNNING' }), [restore]);
      await catalog.jobs.end(claim, { status: 'FAIL', errorCode: 'INTERNAL', failReason: 'why' }, START_AT);
      const job = await catalog.jobs.get(projectId, restore);
      assert.equal(job?.failReason, 'why');
      assert.equal(await catalog.jobs.deleteEndedBefore(START_AT), 0);
      assert.equal(await catalog.jobs.deleteEndedBefore(START_AT + 1), 1);
      assert.deepEqual(await ids({}), [backup]);
    });

    test('runnable jobs: the oldest of each project, of the kinds asked for, when they are due', async () => {
      const nowAt = START_AT + 10_000;
      const first = await addProject(catalog);
      const second = await addProject(catalog);
      const oldest = await queueJob(catalog, first, 'restore');
      const next = await queueJob(catalog, first, 'restore');
      const other = await queueJob(catalog, second, 'restore');
      const kinds = ['restore'] as const;
      const listed = async (excludedIds: readonly JobId[] = [], at = nowAt) => {
        const jobs = await catalog.jobs.listRunnable({ kinds, excludedIds, nowAt: at });
        return jobs.filter((job) => [first, second].includes(job.projectId)).map((job) => job.jobId);
      };
      assert.deepEqual(await listed(), [oldest, other]);
      assert.deepEqual(await listed([oldest]), [next, other]);
      assert.deepEqual(await catalog.jobs.listRunnable({ kinds: [], excludedIds: [], nowAt }), []);
      const job = await catalog.jobs.get(first, oldest);
      assert(job !== undefined);
      const taken = await catalog.jobs.take(job, { runnerId: 'r', leaseUntil: nowAt + 30_000 }, nowAt);
      assert.equal(taken?.claim.attempt, 1);
      assert.deepEqual(await listed(), [next, other]);
      assert.deepEqual(await listed([], nowAt + 30_000), [oldest, other], 'its lease is over');
      assert.equal(await catalog.jobs.heartbeat(taken.claim, nowAt + 60_000), true);
      assert.deepEqual(await listed([], nowAt + 30_000), [next, other]);
      assert.equal(await catalog.jobs.putBack(taken.claim, nowAt + 5000, 'trouble'), true);
      assert.deepEqual(await listed(), [next, other]);
      assert.deepEqual(await listed([], nowAt + 5000), [oldest, other]);
    });
  });
}

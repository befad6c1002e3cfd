// The rules of users, projects and roles; how they look on the wire is in test/contract/api-directory.test.ts.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type JobId, newHexId, newUuid, type ProjectId, type UserId } from '../../../src/core/ids.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { Catalog } from '../../../src/db/catalog.ts';
import type { Caller } from '../../../src/services/caller.ts';
import { type Directory, openDirectory } from '../../../src/services/directory.ts';
import type { IdentityService } from '../../../src/services/identity-service.ts';
import type { AuthRequest } from '../../../src/services/identity-types.ts';
import { backupRow, volumeRow } from '../../support/catalog-rows.ts';
import { makeSqlite, type TestDatabase } from '../../support/test-catalog.ts';

const domain = { name: 'Default' };
const clock = { nowAt: Date.UTC(2026, 0, 5), now: () => clock.nowAt };
const user = { password: 'pw', description: '', email: null, defaultProjectId: null, isEnabled: true };
const project = { description: '', isEnabled: true };

let database: TestDatabase;
let catalog: Catalog;
let identity: IdentityService;
let directory: Directory;
let admin: Caller;
let adminProjectId: ProjectId;

before(async () => {
  database = await makeSqlite();
  catalog = await database.open();
  ({ identity, directory } = openDirectory({
    ...{ catalog, clock, logger: silentLogger, tokenLifeMs: 3_600_000, keyRotationMs: 0 },
    loginLimits: { perUser: 3, perAddress: 0, windowMs: 60_000 },
    passwordCost: { logN: 4, r: 1, p: 1 },
  }));
  await identity.ensureBuiltIns({ adminPassword: 'pw' });
  admin = await identity.authenticate(await logIn('admin', 'admin'));
  assert(admin.projectId !== null);
  adminProjectId = admin.projectId;
});
after(() => database[Symbol.asyncDispose]());

async function logIn(name: string, projectName?: string, password = 'pw'): Promise<string> {
  const identities: AuthRequest['identities'] = [{ method: 'password', user: { name, domain }, password }];
  const scope: AuthRequest['scope'] =
    projectName === undefined ? { kind: 'unscoped' } : { kind: 'project', project: { name: projectName, domain } };
  return (await identity.issueToken({ identities, scope })).tokenId;
}

/** A user with a role in a project of its own. */
async function addMember(name: string, role: 'admin' | 'member' | 'reader' = 'member') {
  const { userId } = await directory.users.create(admin, { ...user, name });
  const { projectId } = await directory.projects.create(admin, { ...project, name: `${name}s` });
  await directory.roles.grant(admin, { userId, projectId, role });
  const tokenId = await logIn(name, `${name}s`);
  return { userId, projectId, tokenId, caller: await identity.authenticate(tokenId) };
}

const isDead = (tokenId: string) => assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });

describe('users', () => {
  it('have names of their own, and can have no password', async () => {
    await directory.users.create(admin, { ...user, name: 'ada', password: null });
    await assert.rejects(directory.users.create(admin, { ...user, name: 'ada' }), { code: 'USER_EXISTS' });
    await assert.rejects(logIn('ada', undefined, ''), { code: 'CREDENTIALS_INVALID' });
    await directory.users.create(admin, { ...user, name: 'bob' });
    const [ada] = await directory.users.list(admin, { name: 'ada' });
    assert(ada !== undefined);
    await assert.rejects(directory.users.update(admin, ada.userId, { name: 'bob' }), { code: 'USER_EXISTS' });
    const renamed = await directory.users.update(admin, ada.userId, { name: 'ada', email: 'a@example.net' });
    assert.deepEqual([renamed.name, renamed.email, renamed.isEnabled], ['ada', 'a@example.net', true]);
    await directory.users.update(admin, ada.userId, { password: 'new' });
    await logIn('ada', undefined, 'new');
    await directory.users.update(admin, ada.userId, { password: null });
    await assert.rejects(logIn('ada', undefined, 'new'), { code: 'CREDENTIALS_INVALID' });
  });

  it('see themselves only, and change nothing but their own password', async () => {
    const { caller, userId } = await addMember('carl');
    assert.equal((await directory.users.get(caller, userId)).name, 'carl');
    for (const other of [admin.userId, newHexId<UserId>()]) {
      await assert.rejects(directory.users.get(caller, other), { code: 'ROLE_DENIED' });
    }
    await assert.rejects(directory.users.list(caller, {}), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.users.create(caller, { ...user, name: 'x' }), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.users.update(caller, userId, { isEnabled: true }), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.users.delete(caller, userId), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.users.get(admin, newHexId()), { code: 'USER_NOT_FOUND' });
  });

  it('change their password with the old one, and all their tokens end', async () => {
    const { caller, userId, tokenId } = await addMember('dora');
    const change = (original: string, next = 'newer') =>
      directory.users.changePassword(caller, userId, { original, next, address: '10.1.1.1' });
    await assert.rejects(change('wrong'), { code: 'CREDENTIALS_INVALID' });
    await identity.authenticate(tokenId);
    const otherUser = directory.users.changePassword(admin, userId, { original: 'pw', next: 'x', address: '' });
    await assert.rejects(otherUser, { code: 'ROLE_DENIED' });
    await change('pw');
    await isDead(tokenId);
    await assert.rejects(logIn('dora', 'doras'), { code: 'CREDENTIALS_INVALID' });
    await logIn('dora', 'doras', 'newer');
  });

  it('that are disabled, or removed, are out at once', async () => {
    const { userId, tokenId } = await addMember('emil');
    await directory.users.update(admin, userId, { isEnabled: false });
    await isDead(tokenId);
    await directory.users.update(admin, userId, { isEnabled: true });
    const again = await logIn('emil', 'emils');
    await directory.users.delete(admin, userId);
    await isDead(again);
    await assert.rejects(logIn('emil'), { code: 'CREDENTIALS_INVALID' });
    assert.deepEqual(await directory.roles.listGrants(admin, { userId }), []);
    await directory.users.create(admin, { ...user, name: 'emil' });
    await assert.rejects(logIn('emil', 'emils'), { code: 'CREDENTIALS_INVALID' });
  });
});

describe('the last admin', () => {
  it('can be removed in no way; with another one, in every way', async () => {
    const role = { userId: admin.userId, projectId: adminProjectId, role: 'admin' } as const;
    const attempts = [
      () => directory.users.delete(admin, admin.userId),
      () => directory.users.update(admin, admin.userId, { isEnabled: false }),
      () => directory.roles.revoke(admin, role),
      () => directory.projects.update(admin, adminProjectId, { isEnabled: false }),
      () => directory.projects.delete(admin, adminProjectId),
    ];
    const tokenId = await logIn('admin', 'admin');
    for (const attempt of attempts) await assert.rejects(attempt(), { code: 'LAST_ADMIN' });
    // Nothing of the attempts is left.
    assert.deepEqual((await identity.authenticate(tokenId)).roles, ['admin', 'member']);
    const other = await addMember('frieda', 'admin');
    await directory.roles.revoke(other.caller, role);
    assert.deepEqual((await identity.authenticate(tokenId)).roles, ['member']);
    await assert.rejects(directory.users.delete(other.caller, other.userId), { code: 'LAST_ADMIN' });
    await directory.roles.grant(other.caller, role);
    await directory.users.update(admin, other.userId, { isEnabled: false });
    await assert.rejects(directory.users.update(admin, admin.userId, { isEnabled: false }), { code: 'LAST_ADMIN' });
  });
});

describe('projects', () => {
  it('cannot be removed while they own something', async () => {
    const { projectId } = await directory.projects.create(admin, { ...project, name: 'full' });
    const code = 'PROJECT_NOT_EMPTY';
    const volume = volumeRow(projectId);
    await catalog.volumes.insert(volume);
    await assert.rejects(directory.projects.delete(admin, projectId), { code, message: /1 volumes/ });
    await catalog.volumes.delete(volume.volumeId);
    const jobId = newUuid<JobId>();
    await catalog.jobs.insert({ jobId, projectId, kind: 'delete-volume', createdAt: 0 });
    await assert.rejects(directory.projects.delete(admin, projectId), { code, message: /jobs/ });
    const backup = backupRow(projectId, { volumeId: volume.volumeId });
    await catalog.backups.insert(backup);
    await assert.rejects(directory.projects.delete(admin, projectId), { code, message: /1 backups/ });
    assert.equal((await directory.projects.get(admin, projectId)).name, 'full');
  });

  it('that are removed are gone for everybody, with their name free and nothing to be added', async () => {
    const { projectId, tokenId, caller } = await addMember('gustav');
    await directory.projects.delete(admin, projectId);
    await isDead(tokenId);
    await assert.rejects(directory.projects.get(admin, projectId), { code: 'PROJECT_NOT_FOUND' });
    await assert.rejects(directory.projects.delete(admin, projectId), { code: 'PROJECT_NOT_FOUND' });
    assert.deepEqual(await directory.projects.listOwn(caller), []);
    const add = catalog.transact(projectId, ({ volumes }) => volumes.insert(volumeRow(projectId)));
    await assert.rejects(add, { code: 'PROJECT_NOT_FOUND' });
    const again = await directory.projects.create(admin, { ...project, name: 'gustavs' });
    assert.notEqual(again.projectId, projectId);
    await assert.rejects(logIn('gustav', 'gustavs'), { code: 'CREDENTIALS_INVALID' });
  });

  it('are shown to those who have a role in them, and to admins', async () => {
    const { caller, projectId } = await addMember('hans');
    assert.deepEqual(
      (await directory.projects.list(caller, {})).map(({ name }) => name),
      ['hanss'],
    );
    assert.equal((await directory.projects.get(caller, projectId)).name, 'hanss');
    await assert.rejects(directory.projects.get(caller, adminProjectId), { code: 'PROJECT_NOT_FOUND' });
    assert.ok((await directory.projects.list(admin, {})).some(({ name }) => name === 'hanss'));
    assert.equal((await directory.projects.list(admin, { name: 'admin' })).length, 1);
    await assert.rejects(directory.projects.create(caller, { ...project, name: 'x' }), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.projects.update(caller, projectId, {}), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.projects.delete(caller, projectId), { code: 'ROLE_DENIED' });
    const taken = directory.projects.update(admin, projectId, { name: 'admin' });
    await assert.rejects(taken, { code: 'PROJECT_EXISTS' });
    const renamed = await directory.projects.update(admin, projectId, { name: 'hansa', description: 'sea' });
    assert.deepEqual([renamed.name, renamed.description], ['hansa', 'sea']);
  });
});

describe('roles', () => {
  it('are three; giving one twice is harmless, taking away what is not there is not found', async () => {
    const { userId, projectId, tokenId, caller } = await addMember('ida', 'reader');
    const grant = { userId, projectId, role: 'member' } as const;
    await directory.roles.grant(admin, grant);
    await directory.roles.grant(admin, grant);
    assert.deepEqual((await identity.authenticate(tokenId)).roles, ['member', 'reader']);
    await directory.roles.requireGrant(admin, grant);
    await directory.roles.revoke(admin, grant);
    await assert.rejects(directory.roles.revoke(admin, grant), { code: 'ROLE_ASSIGNMENT_NOT_FOUND' });
    await assert.rejects(directory.roles.requireGrant(admin, grant), { code: 'ROLE_ASSIGNMENT_NOT_FOUND' });
    await assert.rejects(directory.roles.grant(caller, grant), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.roles.listGrants(caller, {}), { code: 'ROLE_DENIED' });
    await assert.rejects(directory.roles.grant(admin, { ...grant, userId: newHexId() }), { code: 'USER_NOT_FOUND' });
    const nowhere = directory.roles.grant(admin, { ...grant, projectId: newHexId() });
    await assert.rejects(nowhere, { code: 'PROJECT_NOT_FOUND' });
    assert.throws(() => directory.roles.getRole('nonsense'), { code: 'ROLE_NOT_FOUND' });
    const [shown] = await directory.roles.listGrants(admin, { userId });
    assert.deepEqual(shown, { userId, projectId, role: 'reader', userName: 'ida', projectName: 'idas' });
  });
});

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { newHexId, type ProjectId, type UserId } from '../../../src/core/ids.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { Catalog } from '../../../src/db/catalog.ts';
import { openDirectory } from '../../../src/services/directory.ts';
import type { AuthIdentity, AuthRequest, AuthScope } from '../../../src/services/identity-types.ts';
import { hashPassword } from '../../../src/services/password.ts';
import { makeSqlite } from '../../support/test-catalog.ts';

const HOUR_MS = 3_600_000;
const database = await makeSqlite();
after(() => database[Symbol.asyncDispose]());
const catalog = await database.open();
const clock = { nowAt: Date.UTC(2026, 0, 5), now: () => clock.nowAt };
/** Cheap: what the real one costs is tested in password.test.ts. */
const passwordCost = { logN: 4, r: 1, p: 1 };
const loginLimits = { perUser: 3, perAddress: 5, windowMs: HOUR_MS / 4 };
const settings = { clock, logger: silentLogger, tokenLifeMs: HOUR_MS, keyRotationMs: 0, loginLimits, passwordCost };
const open = (on: Catalog) => openDirectory({ catalog: on, ...settings });
const { identity, directory } = open(catalog);
const { generatedPassword = '' } = await identity.ensureBuiltIns({});

const domain = { name: 'Default' };
const adminProject: AuthScope = { kind: 'project', project: { name: 'admin', domain } };

function passwordOf(password: string, name = 'admin'): AuthIdentity {
  return { method: 'password', user: { name, domain }, password };
}

function byPassword(scope: AuthScope = adminProject, password = generatedPassword): AuthRequest {
  return { identities: [passwordOf(password)], scope };
}

async function assertRefused(request: AuthRequest, code = 'CREDENTIALS_INVALID'): Promise<void> {
  await assert.rejects(identity.issueToken(request), { name: 'VbsError', code });
}

describe('ensureBuiltIns', () => {
  it('draws a password once', async () => {
    assert.match(generatedPassword, /^[\w-]{16}$/);
    assert.deepEqual(await identity.ensureBuiltIns({}), {});
    await identity.issueToken(byPassword());
  });

  it('lets a given password replace the stored one, and ends the tokens of the old', async () => {
    await using other = await makeSqlite();
    const otherCatalog = await other.open();
    const { identity: service } = open(otherCatalog);
    assert.deepEqual(await service.ensureBuiltIns({ adminPassword: 'first' }), {});
    const { tokenId } = await service.issueToken(byPassword(adminProject, 'first'));
    await service.ensureBuiltIns({ adminPassword: 'first' });
    await service.authenticate(tokenId);
    await service.ensureBuiltIns({ adminPassword: 'second' });
    await assert.rejects(service.authenticate(tokenId), { code: 'TOKEN_INVALID' });
    await assert.rejects(service.issueToken(byPassword(adminProject, 'first')), { code: 'CREDENTIALS_INVALID' });
    await service.issueToken(byPassword(adminProject, 'second'));
    const user = await otherCatalog.users.findByName('default', 'admin');
    assert(user !== undefined);
    await otherCatalog.users.update(user.userId, { isEnabled: false });
    await service.ensureBuiltIns({ adminPassword: 'second' });
    await service.issueToken(byPassword(adminProject, 'second'));
  });
});

describe('issueToken', () => {
  it('scopes by name and domain, or by id', async () => {
    const { token } = await identity.issueToken(byPassword());
    assert.equal(token.user.name, 'admin');
    assert.equal(token.project?.name, 'admin');
    assert.deepEqual(token.project?.domain, { id: 'default', name: 'Default' });
    assert.deepEqual(token.roles.map((role) => role.name).sort(), ['admin', 'member']);
    assert.equal(token.expiresAt - token.issuedAt, HOUR_MS);
    assert.match(token.user.id, /^[0-9a-f]{32}$/);
    const again = await identity.issueToken({
      identities: [{ method: 'password', user: { id: token.user.id }, password: generatedPassword }],
      scope: { kind: 'project', project: { id: token.project?.id ?? '' } },
    });
    assert.deepEqual(again.token.project, token.project);
    assert.deepEqual(again.token.methods, ['password']);
  });

  it('issues unscoped and domain-scoped tokens', async () => {
    const unscoped = await identity.issueToken(byPassword({ kind: 'unscoped' }));
    assert.deepEqual([unscoped.token.project, unscoped.token.domain, unscoped.token.roles], [null, null, []]);
    const scoped = await identity.issueToken(byPassword({ kind: 'domain', domain: { id: 'default' } }));
    assert.deepEqual([scoped.token.project, scoped.token.domain?.id], [null, 'default']);
    assert.deepEqual((await identity.authenticate(scoped.tokenId)).roles, ['admin']);
  });

  it('answers every failure in the same way', async () => {
    await assertRefused(byPassword(adminProject, 'wrong'));
    await assertRefused({ identities: [passwordOf(generatedPassword, 'nobody')], scope: adminProject });
    const elsewhere = { name: 'Elsewhere' };
    const stranger: AuthIdentity = { method: 'password', user: { name: 'admin', domain: elsewhere }, password: 'x' };
    await assertRefused({ identities: [stranger], scope: adminProject });
    await assertRefused(byPassword({ kind: 'project', project: { name: 'nothing', domain } }));
    await assertRefused(byPassword({ kind: 'project', project: { id: newHexId<ProjectId>() } }));
    await assertRefused(byPassword({ kind: 'project', project: { id: 'no id at all' } }));
    await assertRefused(byPassword({ kind: 'domain', domain: elsewhere }));
    await assertRefused({ identities: [], scope: adminProject });
    await assertRefused({ identities: [{ method: 'token', tokenId: 'forged' }], scope: adminProject });
  });

  it('refuses methods that are not configured before it looks at a password', async () => {
    const other: AuthIdentity = { method: 'other', name: 'totp' };
    await assertRefused({ identities: [passwordOf('wrong'), other], scope: adminProject }, 'AUTH_METHOD_UNSUPPORTED');
  });

  it('refuses disabled users and projects without a role', async () => {
    const userId = newHexId<UserId>();
    const passwordHash = await hashPassword('pw', passwordCost);
    await catalog.users.insert({ userId, name: 'ops', domainId: 'default', passwordHash, isEnabled: true });
    const request: AuthRequest = { identities: [passwordOf('pw', 'ops')], scope: { kind: 'unscoped' } };
    const { tokenId } = await identity.issueToken(request);
    await assertRefused({ ...request, scope: adminProject });
    await assertRefused({ ...request, scope: { kind: 'domain', domain } });
    await catalog.users.update(userId, { isEnabled: false });
    await assertRefused(request);
    await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
  });

  it('makes a token from a token, with its expiry', async () => {
    const first = await identity.issueToken(byPassword({ kind: 'unscoped' }));
    clock.nowAt += HOUR_MS / 2;
    const identities: AuthIdentity[] = [{ method: 'token', tokenId: first.tokenId }];
    const second = await identity.issueToken({ identities, scope: adminProject });
    assert.equal(second.token.expiresAt, first.token.expiresAt);
    assert.deepEqual(second.token.methods, ['password', 'token']);
    assert.equal(second.token.auditIds[1], first.token.auditIds[0]);
    assert.equal(second.token.project?.name, 'admin');
  });
});

describe('authenticate', () => {
  it('tells who calls', async () => {
    const { tokenId, token } = await identity.issueToken(byPassword());
    const caller = await identity.authenticate(tokenId);
    assert.deepEqual(
      { ...caller, roles: [...caller.roles].sort() },
      {
        userId: token.user.id,
        userName: 'admin',
        projectId: token.project?.id,
        projectName: 'admin',
        roles: ['admin', 'member'],
        issuedAt: token.issuedAt,
        expiresAt: token.expiresAt,
      },
    );
  });

  it('refuses expired, revoked and foreign tokens', async () => {
    const { tokenId } = await identity.issueToken(byPassword());
    const other = await identity.issueToken(byPassword());
    const caller = await identity.authenticate(tokenId);
    await identity.revokeToken(caller, other.tokenId);
    await assert.rejects(identity.authenticate(other.tokenId), { code: 'TOKEN_INVALID' });
    await identity.authenticate(tokenId);
    await assert.rejects(identity.authenticate('abc.def'), { code: 'TOKEN_INVALID' });
    clock.nowAt += HOUR_MS;
    await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
  });

  it('sees a role that was taken away', async () => {
    const { tokenId } = await identity.issueToken(byPassword());
    const { userId, projectId } = await identity.authenticate(tokenId);
    assert(projectId !== null);
    await catalog.users.removeRole(userId, projectId, 'admin');
    assert.deepEqual((await identity.authenticate(tokenId)).roles, ['member']);
    await catalog.users.assignRole(userId, projectId, 'admin');
  });
});

describe('describeToken', () => {
  it('shows what was issued, and nothing of tokens that are not the caller’s', async () => {
    const { tokenId, token } = await identity.issueToken(byPassword());
    const caller = await identity.authenticate(tokenId);
    assert.deepEqual(await identity.describeToken(caller, tokenId), token);
    const stranger = { ...caller, userId: newHexId<UserId>(), roles: ['member'] } as const;
    await assert.rejects(identity.describeToken(stranger, tokenId), { code: 'SUBJECT_TOKEN_NOT_FOUND' });
    await assert.rejects(identity.revokeToken(stranger, tokenId), { code: 'SUBJECT_TOKEN_NOT_FOUND' });
    await assert.rejects(identity.describeToken(caller, 'unknown'), { code: 'SUBJECT_TOKEN_NOT_FOUND' });
  });
});

describe('a leak that is closed', () => {
  const userId = newHexId<UserId>();
  const projectId = newHexId<ProjectId>();
  const scope: AuthScope = { kind: 'project', project: { id: projectId } };
  const request: AuthRequest = { identities: [passwordOf('pw', 'eve')], scope };

  it('stays closed when user or project are enabled again', async () => {
    const passwordHash = await hashPassword('pw', passwordCost);
    await catalog.users.insert({ userId, name: 'eve', domainId: 'default', passwordHash, isEnabled: true });
    await catalog.projects.insert({ projectId, name: 'eden', domainId: 'default', description: '', createdAt: 0 });
    await catalog.users.assignRole(userId, projectId, 'member');
    const caller = await identity.authenticate((await identity.issueToken(byPassword())).tokenId);
    for (const { set } of [
      { set: (isEnabled: boolean) => directory.users.update(caller, userId, { isEnabled }) },
      { set: (isEnabled: boolean) => directory.projects.update(caller, projectId, { isEnabled }) },
    ]) {
      const { tokenId } = await identity.issueToken(request);
      await identity.authenticate(tokenId);
      await set(false);
      await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
      await assertRefused(request);
      await set(true);
      await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
      await identity.authenticate((await identity.issueToken(request)).tokenId);
    }
  });

  it('a project that is disabled does not touch tokens for others', async () => {
    const admin = await identity.issueToken(byPassword());
    const caller = await identity.authenticate(admin.tokenId);
    const unscoped = await identity.issueToken({ ...request, scope: { kind: 'unscoped' } });
    await directory.projects.update(caller, projectId, { isEnabled: false });
    await identity.authenticate(admin.tokenId);
    await identity.authenticate(unscoped.tokenId);
    assert.deepEqual(await directory.projects.listOwn(await identity.authenticate(unscoped.tokenId)), []);
  });
});

describe('failed logins', () => {
  const user = { name: 'target', domain };
  const scope: AuthScope = { kind: 'unscoped' };
  const attempt = (password: string, address: string) =>
    identity.issueToken({ identities: [{ method: 'password', user, password }], scope }, address);
  const refused = { code: 'CREDENTIALS_INVALID' };

  it('beyond the limit are refused untried until the window is over; who was in before stays in', async () => {
    const passwordHash = await hashPassword('right', passwordCost);
    const userId = newHexId<UserId>();
    await catalog.users.insert({ userId, name: 'target', domainId: 'default', passwordHash, isEnabled: true });
    await attempt('right', '10.0.0.1');
    for (let index = 0; index < 3; index++) await assert.rejects(attempt(`wrong ${index}`, '10.0.0.9'), refused);
    // A service that knows no right password yet: what the limit does is not hidden by what is remembered.
    const fresh = open(catalog).identity;
    const tryFresh = (password: string) =>
      fresh.issueToken({ identities: [{ method: 'password', user, password }], scope }, '10.0.0.9');
    for (let index = 0; index < 3; index++) await assert.rejects(tryFresh('wrong'), refused);
    await assert.rejects(tryFresh('right'), refused);
    clock.nowAt += HOUR_MS / 4;
    await tryFresh('right');
    for (let index = 0; index < 20; index++) await attempt('right', '10.0.0.1');
    await attempt('right', '10.0.0.7');
  });

  it('right passwords are never counted, however many come at once', async () => {
    const fresh = open(catalog).identity;
    const request: AuthRequest = { identities: [{ method: 'password', user, password: 'right' }], scope };
    const logins = Array.from({ length: 30 }, () => fresh.issueToken(request, '10.0.0.2'));
    assert.equal((await Promise.all(logins)).length, 30);
  });

  it('from one address count together, whoever is tried', async () => {
    const { identity: fresh } = open(catalog);
    const tryName = (name: string, password: string) =>
      fresh.issueToken({ identities: [{ method: 'password', user: { name, domain }, password }], scope }, '10.0.0.3');
    for (let index = 0; index < 5; index++) await assert.rejects(tryName(`nobody ${index}`, 'x'), refused);
    await assert.rejects(tryName('target', 'right'), refused);
    await fresh.issueToken({ identities: [{ method: 'password', user, password: 'right' }], scope }, '10.0.0.4');
  });
});

describe('application credentials', () => {
  const passwordHashOf = () => hashPassword('pw', passwordCost);
  const owner = newHexId<UserId>();
  const projectId = newHexId<ProjectId>();
  const scope: AuthScope = { kind: 'project', project: { id: projectId } };
  const unscoped: AuthScope = { kind: 'unscoped' };
  const input = {
    name: 'nightly',
    description: null,
    secret: null,
    roles: null,
    expiresAt: null,
    isUnrestricted: false,
  };

  const callerOf = async () => {
    const { tokenId } = await identity.issueToken({ identities: [passwordOf('pw', 'owner')], scope });
    return await identity.authenticate(tokenId);
  };
  const logIn = (id: string, secret: string, target: AuthScope = unscoped) =>
    identity.issueToken({
      identities: [{ method: 'application_credential', credential: { id }, secret }],
      scope: target,
    });
  const refused = { code: 'CREDENTIALS_INVALID' };

  it('log in to their project with the roles that they pass on', async () => {
    const passwordHash = await passwordHashOf();
    await catalog.users.insert({ userId: owner, name: 'owner', domainId: 'default', passwordHash, isEnabled: true });
    await catalog.projects.insert({ projectId, name: 'owned', domainId: 'default', description: '', createdAt: 0 });
    for (const role of ['member', 'reader'] as const) await catalog.users.assignRole(owner, projectId, role);
    const { credential, secret } = await directory.applicationCredentials.create(await callerOf(), owner, {
      ...input,
      roles: ['reader'],
    });
    assert(!credential.secretHash.includes(secret));
    for (const reference of [{ id: credential.credentialId }, { name: 'nightly', user: { name: 'owner', domain } }]) {
      const { token, tokenId } = await identity.issueToken({
        identities: [{ method: 'application_credential', credential: reference, secret }],
        scope: unscoped,
      });
      assert.equal(token.project?.id, projectId);
      assert.deepEqual(token.methods, ['application_credential']);
      assert.deepEqual(
        token.roles.map(({ name }) => name),
        ['reader'],
      );
      assert.deepEqual(token.applicationCredential, {
        id: credential.credentialId,
        name: 'nightly',
        isRestricted: true,
      });
      assert.deepEqual((await identity.authenticate(tokenId)).roles, ['reader']);
      assert.deepEqual(await identity.describeToken(await identity.authenticate(tokenId), tokenId), token);
    }
    await logIn(credential.credentialId, secret, scope);
    await assert.rejects(logIn(credential.credentialId, `${secret}x`), refused);
    await assert.rejects(logIn(credential.credentialId, secret, adminProject), refused);
    await assert.rejects(logIn(credential.credentialId, secret, { kind: 'domain', domain }), refused);
    await assert.rejects(logIn(newHexId(), secret), refused);
  });

  it('a token of a restricted one makes and deletes none, nor can it be widened', async () => {
    const caller = await callerOf();
    const { credential, secret } = await directory.applicationCredentials.create(caller, owner, {
      ...input,
      name: 'narrow',
      roles: ['reader'],
    });
    const { tokenId } = await logIn(credential.credentialId, secret);
    const narrow = await identity.authenticate(tokenId);
    const code = 'APPLICATION_CREDENTIAL_RESTRICTED';
    await assert.rejects(directory.applicationCredentials.create(narrow, owner, { ...input, name: 'more' }), { code });
    await assert.rejects(directory.applicationCredentials.delete(narrow, owner, credential.credentialId), { code });
    const again = await identity.issueToken({ identities: [{ method: 'token', tokenId }], scope });
    assert.deepEqual(
      again.token.roles.map(({ name }) => name),
      ['reader'],
    );
    assert.equal((await identity.authenticate(again.tokenId)).isRestricted, true);
    const elsewhere = { identities: [{ method: 'token', tokenId }], scope: { kind: 'domain', domain } } as const;
    await assert.rejects(identity.issueToken(elsewhere), refused);
  });

  it('an unrestricted one may make others, with no more than its own roles', async () => {
    const { credential, secret } = await directory.applicationCredentials.create(await callerOf(), owner, {
      ...input,
      name: 'maker',
      roles: ['reader'],
      isUnrestricted: true,
    });
    const maker = await identity.authenticate((await logIn(credential.credentialId, secret)).tokenId);
    const made = await directory.applicationCredentials.create(maker, owner, { ...input, name: 'made' });
    assert.deepEqual(made.credential.roles, ['reader']);
    const wider = directory.applicationCredentials.create(maker, owner, { ...input, name: 'wider', roles: ['member'] });
    await assert.rejects(wider, { code: 'REQUEST_FIELD_INVALID' });
  });

  it('expire, and their tokens with them', async () => {
    const expiresAt = clock.nowAt + 1000;
    const applicationCredentials = directory.applicationCredentials;
    const caller = await callerOf();
    const made = await applicationCredentials.create(caller, owner, { ...input, name: 'short', expiresAt });
    const { token, tokenId } = await logIn(made.credential.credentialId, made.secret);
    assert.equal(token.expiresAt, expiresAt);
    const past = applicationCredentials.create(caller, owner, { ...input, name: 'past', expiresAt: clock.nowAt });
    await assert.rejects(past, { code: 'REQUEST_FIELD_INVALID' });
    clock.nowAt += 1000;
    await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
    await assert.rejects(logIn(made.credential.credentialId, made.secret), refused);
  });

  it('end with the role that they pass on, with themselves, and with their owner', async () => {
    const { applicationCredentials, roles, users } = directory;
    const admin = await identity.authenticate((await identity.issueToken(byPassword())).tokenId);
    const make = async (name: string, role: 'member' | 'reader') =>
      await applicationCredentials.create(await callerOf(), owner, { ...input, name, roles: [role] });
    const byRole = await make('by role', 'member');
    const kept = await make('kept', 'reader');
    const tokens = await Promise.all(
      [byRole, kept].map(({ credential, secret }) => logIn(credential.credentialId, secret)),
    );
    await roles.revoke(admin, { userId: owner, projectId, role: 'member' });
    await assert.rejects(identity.authenticate(tokens[0]?.tokenId ?? ''), { code: 'TOKEN_INVALID' });
    await identity.authenticate(tokens[1]?.tokenId ?? '');
    await roles.grant(admin, { userId: owner, projectId, role: 'member' });
    await assert.rejects(logIn(byRole.credential.credentialId, byRole.secret), refused);
    await applicationCredentials.delete(await callerOf(), owner, kept.credential.credentialId);
    await assert.rejects(identity.authenticate(tokens[1]?.tokenId ?? ''), { code: 'TOKEN_INVALID' });
    const last = await make('last', 'reader');
    const { tokenId } = await logIn(last.credential.credentialId, last.secret);
    await users.delete(admin, owner);
    await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
    await assert.rejects(logIn(last.credential.credentialId, last.secret), refused);
  });
});

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { newHexId, type ProjectId, type UserId } from '../../../src/core/ids.ts';
import {
  type AuthIdentity,
  type AuthRequest,
  type AuthScope,
  IdentityService,
} from '../../../src/services/identity-service.ts';
import { hashPassword } from '../../../src/services/password.ts';
import { makeSqlite } from '../../support/test-catalog.ts';

const HOUR_MS = 3_600_000;
const database = await makeSqlite();
after(() => database[Symbol.asyncDispose]());
const catalog = await database.open();
const clock = { nowAt: Date.UTC(2026, 0, 5), now: () => clock.nowAt };
/** Cheap: what the real one costs is tested in password.test.ts. */
const passwordCost = { logN: 4, r: 1, p: 1 };
const settings = { clock, tokenLifeMs: HOUR_MS, passwordCost };
const identity = new IdentityService({ catalog, ...settings });
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
    const service = new IdentityService({ catalog: await other.open(), ...settings });
    assert.deepEqual(await service.ensureBuiltIns({ adminPassword: 'first' }), {});
    const { tokenId } = await service.issueToken(byPassword(adminProject, 'first'));
    await service.ensureBuiltIns({ adminPassword: 'first' });
    await service.authenticate(tokenId);
    await service.ensureBuiltIns({ adminPassword: 'second' });
    await assert.rejects(service.authenticate(tokenId), { code: 'TOKEN_INVALID' });
    await assert.rejects(service.issueToken(byPassword(adminProject, 'first')), { code: 'CREDENTIALS_INVALID' });
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
    const other: AuthIdentity = { method: 'other', name: 'application_credential' };
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

describe('projects', () => {
  it('are the caller’s own; an admin may read any', async () => {
    const { tokenId } = await identity.issueToken(byPassword());
    const caller = await identity.authenticate(tokenId);
    const names = (await identity.listProjects(caller)).map((project) => project.name);
    assert.deepEqual(names, ['admin']);
    const projectId = newHexId<ProjectId>();
    await catalog.projects.insert({ projectId, name: 'lab', domainId: 'default', description: '', createdAt: 0 });
    assert.equal((await identity.getProject(caller, projectId)).name, 'lab');
    const member = { ...caller, roles: ['member'] } as const;
    await assert.rejects(identity.getProject(member, projectId), { code: 'PROJECT_NOT_FOUND' });
    await assert.rejects(identity.getProject(caller, newHexId()), { code: 'PROJECT_NOT_FOUND' });
  });
});

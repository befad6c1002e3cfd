// What is believed of an external Keystone, and for how long. The HTTP side is in test/contract/keystone.test.ts.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { VbsError } from '../../../src/core/errors.ts';
import { newHexId, type ProjectId } from '../../../src/core/ids.ts';
import type { KeystoneToken } from '../../../src/core/keystone.ts';
import { KEYSTONE_WAITING_MAX } from '../../../src/core/limits.ts';
import type { Role } from '../../../src/core/model.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import { ExternalIdentity } from '../../../src/services/external-identity.ts';
import { makeSqlite } from '../../support/test-catalog.ts';

const CACHE_MS = 60_000;
const database = await makeSqlite();
after(() => database[Symbol.asyncDispose]());
const catalog = await database.open();
const ROLES = new Map<string, Role>([
  ['admin', 'admin'],
  ['member', 'member'],
  ['_member_', 'member'],
  ['auditor', 'reader'],
]);

function makeToken(changes: Partial<KeystoneToken> = {}): KeystoneToken {
  return {
    userId: 'f'.repeat(64),
    userName: 'ada',
    project: { id: newHexId<ProjectId>(), name: `p-${newHexId<ProjectId>()}`, domainId: 'default' },
    isSystemScoped: false,
    roleNames: ['member'],
    issuedAt: 0,
    expiresAt: 10 * CACHE_MS,
    ...changes,
  };
}

function makeIdentity(answer: (tokenId: string) => Promise<KeystoneToken | undefined>, cacheMs = CACHE_MS) {
  const clock = { nowAt: 0, now: () => clock.nowAt };
  const asked: string[] = [];
  const validate = async (tokenId: string) => {
    asked.push(tokenId);
    return await answer(tokenId);
  };
  const url = 'https://keystone.example.net/v3';
  const deps = { catalog, clock, logger: silentLogger, keystone: { validate }, url, cacheMs, roles: ROLES };
  return { identity: new ExternalIdentity(deps), clock, asked };
}

test('a token is asked about once, until the answer is too old or the token has expired', async () => {
  const token = makeToken({ expiresAt: 90_000 });
  const { identity, clock, asked } = makeIdentity(async () => token);
  const caller = await identity.authenticate('t');
  assert.deepEqual(caller, {
    userId: token.userId,
    userName: 'ada',
    projectId: token.project?.id,
    projectName: token.project?.name,
    roles: ['member'],
    issuedAt: 0,
    expiresAt: 90_000,
  });
  clock.nowAt = CACHE_MS - 1;
  await identity.authenticate('t');
  assert.equal(asked.length, 1);
  clock.nowAt = CACHE_MS;
  await identity.authenticate('t');
  assert.equal(asked.length, 2);
  clock.nowAt = 90_000;
  await assert.rejects(identity.authenticate('t'), { code: 'TOKEN_INVALID' });
});

test('without a cache every request asks', async () => {
  const { identity, asked } = makeIdentity(async () => makeToken({ project: null }), 0);
  await identity.authenticate('t');
  await identity.authenticate('t');
  assert.equal(asked.length, 2);
});

test('a token that was revoked in Keystone is dead when the answer is too old', async () => {
  let answer: KeystoneToken | undefined = makeToken();
  const { identity, clock } = makeIdentity(async () => answer);
  await identity.authenticate('t');
  answer = undefined;
  await identity.authenticate('t');
  clock.nowAt = CACHE_MS;
  await assert.rejects(identity.authenticate('t'), { code: 'TOKEN_INVALID' });
});

test('requests that come together share one question, and its failure is not remembered', async () => {
  let fails = true;
  const { identity, asked } = makeIdentity(async () => {
    if (fails) throw new VbsError('KEYSTONE_UNAVAILABLE', { reason: 'down' });
    return makeToken();
  });
  const together = await Promise.allSettled([1, 2, 3].map(() => identity.authenticate('t')));
  assert.ok(together.every(({ status }) => status === 'rejected'));
  assert.equal(asked.length, 1);
  fails = false;
  await Promise.all([1, 2, 3].map(() => identity.authenticate('t')));
  assert.equal(asked.length, 2);
});

test('questions do not pile up while Keystone does not answer', async () => {
  const { promise, resolve } = Promise.withResolvers<KeystoneToken>();
  const { identity, asked } = makeIdentity(() => promise);
  const waiting = Array.from({ length: KEYSTONE_WAITING_MAX }, (_, index) => identity.authenticate(`t${index}`));
  await assert.rejects(identity.authenticate('one more'), { code: 'SERVICE_BUSY' });
  assert.ok(asked.length <= 16, String(asked.length));
  resolve(makeToken());
  await Promise.all(waiting);
});

test('roles are mapped by name, unknown ones are none, and a domain has no admin of this service', async () => {
  const rolesOf = async (changes: Partial<KeystoneToken>) =>
    (await makeIdentity(async () => makeToken(changes)).identity.authenticate('t')).roles;
  assert.deepEqual(await rolesOf({ roleNames: ['Admin', '_member_', 'member'] }), ['admin', 'member']);
  assert.deepEqual(await rolesOf({ roleNames: ['auditor'] }), ['reader']);
  assert.deepEqual(await rolesOf({ roleNames: ['heat_stack_owner'] }), []);
  assert.deepEqual(await rolesOf({ project: null, roleNames: ['admin'] }), ['reader']);
  assert.deepEqual(await rolesOf({ project: null, isSystemScoped: true, roleNames: ['admin'] }), ['admin']);
  assert.deepEqual(await rolesOf({ project: null, roleNames: [] }), []);
});

test('projects enter the catalog when first seen, follow new names, and give up those of others', async () => {
  const first = { id: newHexId<ProjectId>(), name: 'lab', domainId: 'd1' };
  const { identity } = makeIdentity(async (tokenId) => makeToken({ project: JSON.parse(tokenId) }), 0);
  const see = (project: typeof first) => identity.authenticate(JSON.stringify(project));
  await see(first);
  assert.equal((await catalog.projects.get(first.id))?.name, 'lab');
  await see({ ...first, name: 'laboratory' });
  assert.equal((await catalog.projects.get(first.id))?.name, 'laboratory');
  const second = { id: newHexId<ProjectId>(), name: 'laboratory', domainId: 'd1' };
  await see(second);
  assert.equal((await catalog.projects.get(second.id))?.name, 'laboratory');
  assert.equal((await catalog.projects.get(first.id))?.name, `laboratory ${first.id}`);
  const sameElsewhere = { id: newHexId<ProjectId>(), name: 'laboratory', domainId: 'd2' };
  await see(sameElsewhere);
  assert.equal((await catalog.projects.get(second.id))?.name, 'laboratory');
  const dashed = first.id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  assert.equal((await see({ ...first, id: dashed as ProjectId })).projectId, first.id);
  await assert.rejects(see({ ...first, id: 'no id' as ProjectId }), { code: 'TOKEN_INVALID' });
});

test('nothing is issued, shown or revoked here', async () => {
  const { identity } = makeIdentity(async () => makeToken());
  for (const call of [identity.issueToken(), identity.describeToken(), identity.revokeToken()]) {
    await assert.rejects(call, { code: 'IDENTITY_EXTERNAL', message: /keystone\.example\.net/ });
  }
});

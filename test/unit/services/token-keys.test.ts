import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHexId, type UserId } from '../../../src/core/ids.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { Catalog } from '../../../src/db/catalog.ts';
import type { Caller } from '../../../src/services/caller.ts';
import { openDirectory } from '../../../src/services/directory.ts';
import type { AuthRequest } from '../../../src/services/identity-types.ts';
import { TokenKeys } from '../../../src/services/token-keys.ts';
import { makeSqlite } from '../../support/test-catalog.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ROTATION_MS = 30 * DAY_MS;
const domain = { name: 'Default' };

class Bench {
  readonly clock = { nowAt: Date.UTC(2026, 0, 5), now: () => this.clock.nowAt };
  readonly catalog: Catalog;

  constructor(catalog: Catalog) {
    this.catalog = catalog;
  }

  /** As after a start: nothing is remembered but what is in the catalog. */
  open() {
    return openDirectory({
      ...{ catalog: this.catalog, clock: this.clock, logger: silentLogger, tokenLifeMs: DAY_MS },
      keyRotationMs: ROTATION_MS,
      loginLimits: { perUser: 0, perAddress: 0, windowMs: 1 },
      passwordCost: { logN: 4, r: 1, p: 1 },
    });
  }
}

async function startBench(catalog: Catalog) {
  const bench = new Bench(catalog);
  const opened = bench.open();
  await opened.identity.ensureBuiltIns({ adminPassword: 'pw' });
  const identities: AuthRequest['identities'] = [
    { method: 'password', user: { name: 'admin', domain }, password: 'pw' },
  ];
  const request: AuthRequest = { identities, scope: { kind: 'project', project: { name: 'admin', domain } } };
  const logIn = async () => (await opened.identity.issueToken(request)).tokenId;
  return { bench, ...opened, logIn };
}

test('tokens survive a start of the service', async () => {
  await using database = await makeSqlite();
  const { bench, logIn } = await startBench(await database.open());
  const tokenId = await logIn();
  await bench.open().identity.authenticate(tokenId);
});

test('a new key takes over at its time, and tokens of the old one live on to their end', async () => {
  await using database = await makeSqlite();
  const { bench, identity, directory, logIn } = await startBench(await database.open());
  const { tokenKeys } = directory;
  const { clock, catalog } = bench;
  await logIn();
  clock.nowAt += ROTATION_MS - 1;
  await tokenKeys.tidyUp();
  const old = await logIn();
  clock.nowAt += 1;
  await tokenKeys.tidyUp();
  const young = await logIn();
  assert.notEqual(young.split('.')[0], old.split('.')[0]);
  await identity.authenticate(old);
  assert.equal((await catalog.tokenKeys.list()).length, 2);
  clock.nowAt += DAY_MS - 2;
  await tokenKeys.tidyUp();
  await identity.authenticate(old);
  clock.nowAt += 1;
  await assert.rejects(identity.authenticate(old), { code: 'TOKEN_INVALID' });
  await identity.authenticate(young);
  // What a key is kept for is written ahead of its tokens.
  clock.nowAt += 2 * DAY_MS;
  await tokenKeys.tidyUp();
  assert.equal((await catalog.tokenKeys.list()).length, 1);
});

test('a key is kept for its last token also when tokens live longer than they do now', async () => {
  await using database = await makeSqlite();
  const { bench, identity, logIn } = await startBench(await database.open());
  const tokenId = await logIn();
  const shortLived = new TokenKeys({ catalog: bench.catalog, clock: bench.clock, rotationMs: HOUR_MS });
  bench.clock.nowAt += HOUR_MS;
  await shortLived.tidyUp();
  bench.clock.nowAt += 20 * HOUR_MS;
  await shortLived.tidyUp();
  await identity.authenticate(tokenId);
});

test('an admin rotates by hand: tokens live on, or all end at once, also in another process', async () => {
  await using database = await makeSqlite();
  const { bench, identity, directory, logIn } = await startBench(await database.open());
  const before = await logIn();
  const caller = await identity.authenticate(before);
  const other = bench.open();
  await other.identity.authenticate(before);
  const key = await directory.tokenKeys.rotate(caller, { endsTokens: false });
  await identity.authenticate(before);
  const between = await logIn();
  assert.equal(between.split('.')[0], key.keyId);
  bench.clock.nowAt += 1000;
  await other.identity.authenticate(between);
  const listed = await directory.tokenKeys.list(caller);
  assert.deepEqual(
    listed.map(({ isSigning }) => isSigning),
    [true, false],
  );
  await directory.tokenKeys.rotate(caller, { endsTokens: true });
  for (const tokenId of [before, between]) {
    await assert.rejects(identity.authenticate(tokenId), { code: 'TOKEN_INVALID' });
  }
  await identity.authenticate(await logIn());
  bench.clock.nowAt += 60_000;
  await assert.rejects(other.identity.authenticate(between), { code: 'TOKEN_INVALID' });
});

test('only admins see keys and rotate them', async () => {
  await using database = await makeSqlite();
  const { bench, directory } = await startBench(await database.open());
  const now = bench.clock.nowAt;
  const caller: Caller = {
    ...{ userId: newHexId<UserId>(), userName: 'ops', projectId: null, projectName: null },
    ...{ roles: ['member'], issuedAt: now, expiresAt: now },
  };
  await assert.rejects(directory.tokenKeys.list(caller), { code: 'ROLE_DENIED' });
  await assert.rejects(directory.tokenKeys.rotate(caller, { endsTokens: true }), { code: 'ROLE_DENIED' });
});

test('a flood of forged tokens does not read the catalog for each', async () => {
  await using database = await makeSqlite();
  const { bench, logIn } = await startBench(await database.open());
  await logIn();
  let readCount = 0;
  const catalog = new Proxy(bench.catalog, {
    get: (target, key) => {
      if (key === 'tokenKeys') readCount += 1;
      return Reflect.get(target, key, target);
    },
  });
  const tokenKeys = new TokenKeys({ catalog, clock: bench.clock, rotationMs: 0 });
  for (let index = 0; index < 100; index++) await tokenKeys.find(index.toString(16).padStart(8, '0'));
  assert.equal(readCount, 1);
});

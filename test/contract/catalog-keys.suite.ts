// Wrapped keys in the catalog, and what is left of a project whose keys are destroyed.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isVbsError } from '../../src/core/errors.ts';
import { type KeyId, newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import type { WrappedKeyRow } from '../../src/core/ledger.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { addBackup, addProject, queueJob, takeJob, tick } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

function masterRow(): WrappedKeyRow {
  return { keyId: newUuid<KeyId>(), projectId: null, wrapped: Buffer.from('wrapped') };
}

export function defineKeySuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`keys in the catalog on ${name}`, () => {
    let made: TestDatabase;
    let catalog: Catalog;
    before(async () => {
      made = await make();
      catalog = await made.open();
    });
    after(() => made[Symbol.asyncDispose]());

    test('of two creations of a repository at once the catalog takes one', async () => {
      const other = await made.open();
      const claims = [catalog, other].map(({ ledger }) => ledger.claimRepository(masterRow()));
      const outcomes = await Promise.all(claims);
      assert.equal(outcomes.filter(({ isFirst }) => isFirst).length, 1);
      assert.equal((await catalog.ledger.listKeys()).length, 1);
    });

    test('keys are listed in the order in which they were first saved, wrapped anew or not', async () => {
      const projectId = await addProject(catalog);
      const keyIds = Array.from({ length: 8 }, () => newUuid<KeyId>());
      for (const keyId of keyIds) await catalog.ledger.saveKey({ keyId, projectId, wrapped: Buffer.from('a') });
      for (const keyId of keyIds.toReversed()) {
        await catalog.ledger.saveKey({ keyId, projectId, wrapped: Buffer.from('b') });
      }
      const listed = (await catalog.ledger.listKeys()).filter((row) => row.projectId === projectId);
      assert.deepEqual(
        listed.map(({ keyId }) => keyId),
        keyIds,
      );
      await catalog.ledger.deleteKeys(keyIds.slice(1));
      const left = (await catalog.ledger.listKeys()).filter((row) => row.projectId === projectId);
      assert.deepEqual(
        left.map(({ keyId, wrapped }) => [keyId, Buffer.from(wrapped).toString()]),
        [[keyIds[0], 'b']],
      );
    });

    test('a project that is forgotten has no backup, pack, key or epoch; others keep theirs', async () => {
      const [projectId, otherId] = [await addProject(catalog), await addProject(catalog)];
      for (const id of [projectId, otherId]) {
        await addBackup(catalog, id);
        await catalog.ledger.saveKey({ keyId: newUuid<KeyId>(), projectId: id, wrapped: Buffer.from('k') });
        await catalog.ledger.startEpoch(id);
      }
      assert.deepEqual(await catalog.ledger.forgetProject(projectId, tick()), { backupCount: 1 });
      assert.deepEqual(await catalog.ledger.forgetProject(projectId, tick()), { backupCount: 0 });
      const count = async (id: typeof projectId) => {
        const { items } = await catalog.backups.list({ projectId: id }, { limit: 10 });
        const keys = (await catalog.ledger.listKeys()).filter((row) => row.projectId === id);
        return [items.length, keys.length, await catalog.ledger.readEpoch(id)];
      };
      assert.deepEqual(await count(projectId), [0, 0, undefined]);
      const [backups, keys, epoch] = await count(otherId);
      assert.deepEqual([backups, keys], [1, 1]);
      assert.notEqual(epoch, undefined);
    });

    test('a project with a job that has not ended is not forgotten', async () => {
      const projectId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, projectId);
      await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'export'));
      assert.deepEqual(await catalog.ledger.forgetProject(projectId, tick()), { openJobCount: 1 });
      assert.notEqual(await catalog.backups.get(projectId, backupId), undefined);
      await assert.rejects(catalog.ledger.forgetProject(newHexId<ProjectId>(), tick()), (error) =>
        isVbsError(error, 'PROJECT_NOT_FOUND'),
      );
    });
  });
}

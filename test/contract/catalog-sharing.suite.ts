// Sharings, audit traces and searches by tags, as every database must keep and find them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { type BackupId, newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import type { Sharing, Tag } from '../../src/core/model.ts';
import type { TagMatch, TagSearch } from '../../src/core/tag-search.ts';
import type { Trace } from '../../src/core/trace.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { addBackup, addProject, backupRow, beginDeletion, tick } from '../support/catalog-rows.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const PAGE = { limit: 1000, withTotalCount: true };

export function defineSharingSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`sharings, traces and tags on ${name}`, () => {
    let database: TestDatabase;
    let catalog: Catalog;
    let projectId: ProjectId;
    before(async () => {
      database = await make();
      catalog = await database.open();
      projectId = await addProject(catalog);
    });
    after(() => database[Symbol.asyncDispose]());

    const draft = (backupId: BackupId, toProjectId = newHexId<ProjectId>()): Sharing => ({
      sharingId: newUuid(),
      backupId,
      fromProjectId: projectId,
      toProjectId,
      createdAt: tick(),
      updatedAt: null,
    });

    test('a sharing is found by both sides, by its backup and as a grant, and by nobody else', async () => {
      const backup = backupRow(projectId);
      await catalog.backups.insert(backup);
      const { backupId } = backup;
      const sharings = [draft(backupId), draft(backupId)] as const;
      await catalog.sharings.insert(sharings);
      const [first] = sharings;
      const { sharingId, toProjectId } = first;
      assert.deepEqual(await catalog.sharings.get(projectId, sharingId), first);
      assert.deepEqual(await catalog.sharings.get(toProjectId, sharingId), first);
      assert.equal(await catalog.sharings.get(newHexId<ProjectId>(), sharingId), undefined);
      assert.deepEqual(await catalog.sharings.listByBackup(backupId), sharings);
      assert.deepEqual(await catalog.sharings.findGrant(toProjectId, backupId), first);
      assert.equal(await catalog.sharings.findGrant(projectId, backupId), undefined);
      const again = draft(backupId, toProjectId);
      await assert.rejects(catalog.sharings.insert([again]), (error) => catalog.capabilities.isUniqueViolation(error));
      await catalog.sharings.delete(sharingId);
      assert.equal(await catalog.sharings.get(projectId, sharingId), undefined);
    });

    test('lists filter and sort by what the backup is', async () => {
      const ownerId = await addProject(catalog);
      const receiverId = newHexId<ProjectId>();
      const rows = ['a%b', 'A_b', 'c'].map((title) => backupRow(ownerId, { name: title }));
      for (const row of rows) {
        await catalog.backups.insert(row);
        await catalog.sharings.insert([{ ...draft(row.backupId, receiverId), fromProjectId: ownerId }]);
      }
      const find = async (filter: object, page: object = {}) => {
        const list = { projectId: receiverId, isReceived: true, ...filter };
        const { items, totalCount } = await catalog.sharings.list(list, { ...PAGE, ...page });
        assert.equal(items.length, totalCount);
        return items.map(({ backupId }) => rows.find((row) => row.backupId === backupId)?.name);
      };
      assert.deepEqual(await find({}), ['c', 'A_b', 'a%b']);
      assert.deepEqual(await find({}, { sort: [{ key: 'name', direction: 'asc' }] }), ['A_b', 'a%b', 'c']);
      assert.deepEqual(await find({ nameLike: 'b' }), ['A_b', 'a%b']);
      assert.deepEqual(await find({ nameLike: '%' }), ['a%b']);
      assert.deepEqual(await find({ volumeId: rows[2]?.volumeId }), ['c']);
      assert.deepEqual(await find({ status: 'available' }), []);
      assert.deepEqual(await find({ isReceived: false }), []);
      assert.equal((await find({ projectId: ownerId, isReceived: false, toProjectId: receiverId })).length, 3);
    });

    test('sharings and tags end with the deletion of their backup', async () => {
      const { backupId } = await addBackup(catalog, projectId);
      const sharing = draft(backupId);
      await catalog.sharings.insert([sharing]);
      await catalog.backups.replaceTags(backupId, [{ key: 'gone', value: 'soon' }]);
      const claim = await beginDeletion(catalog, projectId, backupId);
      await catalog.ledger.takeForDeletion(claim, backupId);
      assert.deepEqual(await catalog.sharings.get(projectId, sharing.sharingId), sharing);
      const trash = await catalog.ledger.listTrash(projectId, 100, tick());
      await catalog.ledger.confirmTrash(trash, tick());
      assert.equal(await catalog.ledger.finishDeletion(claim, backupId, tick()), true);
      assert.equal(await catalog.sharings.get(projectId, sharing.sharingId), undefined);
      assert.deepEqual(await catalog.sharings.listByBackup(backupId), []);
      assert.equal(
        (await catalog.backups.listTagValues(projectId)).some(({ key }) => key === 'gone'),
        false,
      );
    });

    test('a transaction across projects holds all their locks; a pin for a queued job counts at once', async () => {
      const ownerId = await addProject(catalog);
      const { backupId } = await addBackup(catalog, ownerId);
      const jobId = newUuid<Trace['jobId'] & string>();
      await catalog.transactAcross([projectId, ownerId, projectId], async (records) => {
        await records.jobs.insert({ jobId, projectId, kind: 'restore', backupId, createdAt: tick() });
        await records.ledger.pinForJob(jobId, { backupId, projectId: ownerId });
      });
      const claim = await beginDeletion(catalog, ownerId, backupId);
      assert.equal(await catalog.ledger.takeForDeletion(claim, backupId), 'pinned');
      const foreign = catalog.transact(projectId, (records) =>
        records.ledger.pinForJob(jobId, { backupId, projectId: ownerId }),
      );
      await assert.rejects(foreign, /locks it holds/);
    });

    test('traces are listed newest first, by what they are about, and forgotten by age', async () => {
      const base = { projectId, userId: newHexId<Trace['userId'] & string>(), userName: 'ops', jobId: null };
      const resource = { resourceType: 'vbs', resourceName: null, details: { volume_id: 'x', count: 2 } } as const;
      const traces: Trace[] = (['bksCreateBackup', 'bksShareBackup', 'bksDeleteBackup'] as const).map((traceName) => ({
        ...{ ...base, ...resource, traceName },
        traceId: newUuid(),
        resourceId: newUuid(),
        createdAt: tick(),
      }));
      for (const trace of traces) await catalog.traces.insert(trace);
      const list = async (filter: object) => (await catalog.traces.list({ projectId, ...filter }, PAGE)).items;
      assert.deepEqual(await list({}), [...traces].reverse());
      assert.deepEqual(await list({ traceName: 'bksShareBackup' }), [traces[1]]);
      assert.deepEqual(await list({ resourceId: traces[0]?.resourceId, userId: base.userId }), [traces[0]]);
      assert.deepEqual(await list({ resourceType: 'autobackup' }), []);
      assert.deepEqual((await catalog.traces.list({ projectId: newHexId() }, PAGE)).items, []);
      assert.equal(await catalog.traces.deleteBefore(traces[2]?.createdAt ?? 0), 2);
      assert.deepEqual(await list({}), [traces[2]]);
    });

    test('a search by tags finds what a comparison of all backups finds', async () => {
      const ownerId = await addProject(catalog);
      const backups = sampleTagged(ownerId);
      for (const backup of backups) await catalog.backups.insert(backup);
      await fc.assert(
        fc.asyncProperty(anySearch, async (search) => {
          const { items, totalCount } = await catalog.backups.list({ projectId: ownerId, tags: search }, PAGE);
          const expected = backups.filter(({ name: title, tags }) => isMatch(search, title ?? '', tags));
          assert.deepEqual(
            items.map(({ backupId }) => backupId).sort(),
            expected.map(({ backupId }) => backupId).sort(),
          );
          assert.equal(totalCount, expected.length);
        }),
        { numRuns: 150 },
      );
      const values = await catalog.backups.listTagValues(ownerId);
      assert.deepEqual(
        values.map(({ key }) => key),
        [...new Set(backups.flatMap(({ tags }) => tags.map(({ key }) => key)))].sort(),
      );
      for (const { values: list } of values) assert.deepEqual(list, [...new Set(list)].sort());
    });
  });
}

const KEYS = ['tier', 'Tier', 'env', 'größe', 'a%_'];
const VALUES = ['', 'gold', 'Gold', 'x_%'];
const NAMES = ['Nightly_a', 'nightly%b', 'WEB'];

/** Every name with every choice of two keys, and values by turns. */
function sampleTagged(projectId: ProjectId) {
  let turn = 0;
  return NAMES.flatMap((title) =>
    KEYS.flatMap((first) =>
      [undefined, ...KEYS].map((second) => {
        const keys = second === undefined || second === first ? [first] : [first, second];
        const tags = keys.map((key) => {
          turn += 1;
          return { key, value: VALUES[turn % VALUES.length] ?? '' };
        });
        return backupRow(projectId, { name: title, tags });
      }),
    ),
  );
}

const anyList = fc.uniqueArray(
  fc.record(
    {
      key: fc.constantFrom(...KEYS, 'unknown'),
      values: fc.uniqueArray(fc.constantFrom(...VALUES, 'other'), { maxLength: 3 }),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 3, selector: ({ key }) => key },
);
const anySearch: fc.Arbitrary<TagSearch> = fc.record(
  {
    tags: anyList,
    tagsAny: anyList,
    notTags: anyList,
    notTagsAny: anyList,
    nameLike: fc.constantFrom('night', 'NIGHT', '%', '_', 'web', '', 'none', 'ß'),
  },
  { requiredKeys: [], noNullPrototype: true },
);

function isMatch(search: TagSearch, title: string, tags: readonly Tag[]): boolean {
  const has = ({ key, values }: TagMatch): boolean =>
    tags.some((tag) => tag.key === key && (values.length === 0 || values.includes(tag.value)));
  const { tags: all, tagsAny, notTags, notTagsAny, nameLike } = search;
  return (
    (all ?? []).every(has) &&
    (tagsAny === undefined || tagsAny.some(has)) &&
    (notTags === undefined || !notTags.every(has)) &&
    (notTagsAny === undefined || !notTagsAny.some(has)) &&
    (nameLike === undefined || title.toLowerCase().includes(nameLike.toLowerCase()))
  );
}

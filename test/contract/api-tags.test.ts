// Tags of policies and of backups, one by one, in batches, and the search by them: each success against its documented
// example, each violation with its code and status (contract 3.2, 3.16, 3.17; endpoints 18 to 23 and 29 to 33).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid } from '../../src/core/ids.ts';
import { ApiBench } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

type Tag = { key: string; value: string };
type Found = { total_count: number; resources?: Record<string, unknown>[] };

const many = (count: number): Tag[] => Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: '' }));

async function createPolicy(name: string, tags: Tag[] = []): Promise<string> {
  const scheduled_policy = { start_time: '02:00', frequency: 1, rentention_num: 5, status: 'OFF' };
  const body = { backup_policy_name: name, scheduled_policy, tags };
  const { backup_policy_id } = await bench.ask(200, 'POST', `${bench.v2}/backuppolicy`, { body });
  return String(backup_policy_id);
}

/** A backup that stays in state `creating`: nothing here starts the runner. */
async function createBackup(name: string, tags: Tag[] = []): Promise<string> {
  const volume = { volume: { size: 1, name: 'disk' } };
  const made = (await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: volume })) as { volume: { id: string } };
  const body = { backup: { volume_id: made.volume.id, name, tags } };
  const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
  const job = (await bench.ask(200, 'GET', `${bench.v1}/jobs/${job_id}`)) as { entities: { backup_id: string } };
  return job.entities.backup_id;
}

/** What differs between the two kinds. */
const kinds = {
  policies: {
    base: () => `${bench.v2}/backuppolicy`,
    create: createPolicy,
    code: { invalid: 'AutoBackup.0214', tooMany: 'AutoBackup.0215', noTag: 'AutoBackup.0216' },
    unknown: { read: 'AutoBackup.1100', change: 'AutoBackup.0205' },
    form: {
      empty: 'AutoBackup.0000',
      broken: 'AutoBackup.0008',
      envelope: 'AutoBackup.0001',
      action: 'AutoBackup.0222',
    },
    page: 'AutoBackup.0008',
  },
  backups: {
    base: () => `${bench.v2}/cloudbackups`,
    create: createBackup,
    code: { invalid: 'VolumeBackup.0049', tooMany: 'VolumeBackup.0050', noTag: 'VolumeBackup.0110' },
    unknown: { read: 'VolumeBackup.0110', change: 'VolumeBackup.0110' },
    form: {
      empty: 'VolumeBackup.0002',
      broken: 'VolumeBackup.0002',
      envelope: 'VolumeBackup.0002',
      action: 'VolumeBackup.0002',
    },
    page: 'VolumeBackup.0002',
  },
} as const;

for (const [kind, { base, create, code, unknown, form, page }] of Object.entries(kinds)) {
  const tagsUrl = (id: string) => `${base()}/${id}/tags`;
  const searchUrl = () => `${base()}/resource_instances/action`;
  const read = async (id: string): Promise<Tag[]> => {
    const answer = await bench.ask(200, 'GET', tagsUrl(id));
    assert.deepEqual(Object.keys(answer), ['tags']);
    return answer.tags as Tag[];
  };
  /** Answers 204 without body. */
  const change = async (method: string, url: string, body?: unknown): Promise<void> => {
    const answer = await bench.send(method, url, body === undefined ? {} : { body });
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['content-type']], [204, '', undefined]);
  };
  const act = (id: string, body: unknown) => change('POST', `${tagsUrl(id)}/action`, body);
  const find = async (body: object): Promise<Found> => (await bench.ask(200, 'POST', searchUrl(), { body })) as Found;
  const found = async (body: object): Promise<unknown[]> =>
    ((await find({ action: 'filter', ...body })).resources ?? []).map((entry) => entry.resource_id);
  const fault = (status: number, expected: string, method: string, url: string, body?: unknown) =>
    bench.assertVbsFault(status, expected, method, url, body === undefined ? {} : { body });

  describe(`tags of ${kind}`, () => {
    let id: string;
    before(async () => {
      id = await create('tagged', [{ key: 'tier', value: 'gold' }]);
    });

    test('are read as a list of keys and values', async () => {
      assert.deepEqual(await read(id), [{ key: 'tier', value: 'gold' }]);
    });

    test('one is added, one is overwritten', async () => {
      await change('POST', tagsUrl(id), { tag: { key: 'env', value: 'test' } });
      await change('POST', tagsUrl(id), { tag: { key: 'tier', value: '' } });
      const tags = await read(id);
      assert.deepEqual(new Set(tags.map(({ key, value }) => `${key}=${value}`)), new Set(['env=test', 'tier=']));
      await change('POST', tagsUrl(id), { tag: { key: 'tier', value: 'gold' } });
    });

    test('one is removed; keys in paths are percent-encoded', async () => {
      const key = 'a b#%?.é';
      await act(id, { action: 'create', tags: [{ key, value: '' }] });
      await change('DELETE', `${tagsUrl(id)}/${encodeURIComponent(key)}`);
      await fault(404, code.noTag, 'DELETE', `${tagsUrl(id)}/${encodeURIComponent(key)}`);
      await fault(404, code.noTag, 'DELETE', `${tagsUrl(id)}/TIER`);
      await fault(404, code.noTag, 'DELETE', `${tagsUrl(id)}/x%00`);
    });

    test('batches insert, overwrite and remove; without tags they do nothing', async () => {
      await act(id, {
        action: 'create',
        tags: [
          { key: 'a', value: '1' },
          { key: 'tier', value: 'tin' },
        ],
      });
      await act(id, {
        action: 'update',
        tags: [
          { key: 'a', value: '2' },
          { key: 'b', value: '' },
        ],
      });
      const sorted = async () => (await read(id)).map(({ key, value }) => `${key}=${value}`).sort();
      assert.deepEqual(await sorted(), ['a=2', 'b=', 'env=test', 'tier=tin']);
      const rest = await sorted();
      for (const body of [{ action: 'delete' }, { action: 'delete', tags: [] }, { action: 'create', tags: null }]) {
        await act(id, body);
      }
      // Another value, and a key that is not there: skipped.
      await act(id, { action: 'delete', tags: [{ key: 'a', value: '1' }, { key: 'none' }] });
      assert.deepEqual(await sorted(), rest);
      await act(id, { action: 'delete', tags: [{ key: 'a', value: '2' }, { key: 'b' }] });
      await act(id, { action: 'create', tags: [{ key: 'tier', value: 'gold' }] });
      assert.deepEqual(await sorted(), ['env=test', 'tier=gold']);
    });

    test('ten are the limit, whichever way they come, and all or nothing', async () => {
      const full = await create('full', many(9));
      await fault(400, code.tooMany, 'POST', `${tagsUrl(full)}/action`, {
        action: 'create',
        tags: [
          { key: 'x', value: '' },
          { key: 'y', value: '' },
        ],
      });
      await change('POST', tagsUrl(full), { tag: { key: 'x', value: '' } });
      await fault(400, code.tooMany, 'POST', tagsUrl(full), { tag: { key: 'y', value: '' } });
      await change('POST', tagsUrl(full), { tag: { key: 'x', value: 'z' } });
      await act(full, { action: 'update', tags: many(9) });
      await fault(400, code.tooMany, 'POST', `${tagsUrl(full)}/action`, { action: 'update', tags: many(11) });
      assert.equal((await read(full)).length, 10);
    });

    test('violations', async () => {
      const one = (tag: unknown) => fault(400, code.invalid, 'POST', tagsUrl(id), { tag });
      for (const tag of [
        { value: 'a' },
        { key: 'a' },
        { key: '', value: '' },
        { key: 'k'.repeat(37), value: '' },
        { key: 'a', value: 'v'.repeat(44) },
        { key: 'a=', value: '' },
        { key: 'a', value: 'b|c' },
      ]) {
        await one(tag);
      }
      const url = `${tagsUrl(id)}/action`;
      for (const action of ['create', 'update']) {
        await fault(400, code.invalid, 'POST', url, { action, tags: [{ key: 'a' }] });
        await fault(400, code.invalid, 'POST', url, { action, tags: [...many(1), ...many(1)] });
        await fault(400, code.invalid, 'POST', url, { action, tags: [{ key: 'a<b', value: '' }] });
        await fault(400, code.invalid, 'POST', url, { action, tags: 'x' });
      }
      await fault(400, code.invalid, 'POST', url, { action: 'delete', tags: [{ value: 'a' }] });
      await fault(400, code.invalid, 'POST', url, { action: 'delete', tags: [{ key: 'a' }, { key: 'a' }] });
      for (const action of ['Create', 'remove', undefined]) await fault(400, form.action, 'POST', url, { action });
      await fault(400, form.envelope, 'POST', tagsUrl(id), {});
      await fault(400, form.envelope, 'POST', tagsUrl(id), { tag: null });
      await fault(400, form.empty, 'POST', tagsUrl(id));
      await fault(400, form.empty, 'POST', url);
      await bench.assertVbsFault(400, form.broken, 'POST', tagsUrl(id), { text: '{' });
      await bench.assertVbsFault(400, form.broken, 'POST', url, { text: '[]' });
    });

    test('unknown ids, malformed ones too', async () => {
      for (const other of [newUuid(), 'x']) {
        await fault(404, unknown.read, 'GET', tagsUrl(other));
        await fault(404, unknown.change, 'POST', tagsUrl(other), { tag: { key: 'a', value: '' } });
        await fault(404, unknown.change, 'DELETE', `${tagsUrl(other)}/a`);
        await fault(404, unknown.change, 'POST', `${tagsUrl(other)}/action`, { action: 'delete' });
      }
    });

    test('all of a project: keys with their distinct values; of no other project', async () => {
      await create('other', [
        { key: 'tier', value: 'tin' },
        { key: 'only', value: '' },
      ]);
      await create('same', [{ key: 'tier', value: 'tin' }]);
      const answer = await bench.ask(200, 'GET', `${base()}/tags`);
      assert.deepEqual(Object.keys(answer), ['tags']);
      const tags = answer.tags as { key: string; values: string[] }[];
      for (const tag of tags) assert.deepEqual(Object.keys(tag), ['key', 'values']);
      assert.deepEqual(tags.find(({ key }) => key === 'tier')?.values.toSorted(), ['gold', 'tin']);
      assert.deepEqual(tags.find(({ key }) => key === 'only')?.values, ['']);
      const { token, projectId } = bench.stranger;
      const foreign = base().replace(bench.member.projectId, projectId);
      assert.deepEqual(await bench.ask(200, 'GET', `${foreign}/tags`, { token }), { tags: [] });
    });

    test('readers read, and change nothing', async () => {
      const { token } = bench.reader;
      await bench.ask(200, 'GET', tagsUrl(id), { token });
      const denied = kind === 'policies' ? 'AutoBackup.0213' : 'VolumeBackup.0042';
      await bench.assertVbsFault(403, denied, 'DELETE', `${tagsUrl(id)}/tier`, { token });
    });
  });

  describe(`search of ${kind} by tags`, () => {
    let gold: string;
    let silver: string;
    let test1: string;
    const scope = { key: 'scope', values: ['search'] };
    before(async () => {
      const own = { key: 'scope', value: 'search' };
      gold = await create('nightly_gold', [own, { key: 'tier', value: 'gold' }]);
      silver = await create('Nightly_silver', [own, { key: 'tier', value: 'silver' }, { key: 'env', value: 'prod' }]);
      test1 = await create('weekly', [own, { key: 'tier', value: 'gold' }, { key: 'env', value: 'test' }]);
    });
    const same = async (body: object, ids: string[]) =>
      assert.deepEqual(
        new Set(await found({ ...body, tags: [scope, ...((body as { tags?: object[] }).tags ?? [])] })),
        new Set(ids),
      );

    test('the documented request and answer, limit and offset as strings', async () => {
      const answer = await find({
        action: 'filter',
        limit: '10',
        offset: '0',
        tags: [{ key: 'tier', values: ['gold', 'silver'] }, scope],
        not_tags_any: [{ key: 'env', values: ['test', 'prod'] }],
      });
      assert.deepEqual(Object.keys(answer), ['total_count', 'resources']);
      assert.equal(answer.total_count, 1);
      const [entry] = answer.resources ?? [];
      assert.deepEqual(Object.keys(entry ?? {}), ['resource_id', 'resource_name', 'resource_detail', 'tags']);
      assert.deepEqual(
        [entry?.resource_id, entry?.resource_name, entry?.resource_detail],
        [gold, 'nightly_gold', null],
      );
      assert.equal(new Set(entry?.tags as Tag[]).size, 2);
    });

    test('tags: all keys, each with any of its values; no values are any', async () => {
      await same({}, [gold, silver, test1]);
      await same({ tags: [{ key: 'tier', values: ['gold'] }] }, [gold, test1]);
      await same(
        {
          tags: [
            { key: 'tier', values: ['gold', 'silver'] },
            { key: 'env', values: [] },
          ],
        },
        [silver, test1],
      );
      await same({ tags: [{ key: 'tier', values: ['GOLD'] }] }, []);
    });

    test('tags_any: any key with any of its values', async () => {
      const body = {
        tags_any: [
          { key: 'tier', values: ['silver'] },
          { key: 'env', values: ['test'] },
        ],
      };
      await same(body, [silver, test1]);
      await same({ tags_any: [{ key: 'none', values: [] }] }, []);
    });

    test('not_tags: excludes what matches all entries; not_tags_any: what matches any', async () => {
      const entries = [
        { key: 'tier', values: ['gold'] },
        { key: 'env', values: [] },
      ];
      await same({ not_tags: entries }, [gold, silver]);
      await same({ not_tags_any: entries }, []);
      await same({ not_tags_any: [{ key: 'env', values: ['test'] }] }, [gold, silver]);
    });

    test('matches: part of the name in any case; everything combines with AND', async () => {
      const named = { matches: [{ key: 'resource_name', value: 'NIGHT' }] };
      await same(named, [gold, silver]);
      await same({ matches: [{ key: 'resource_name', value: '%' }] }, []);
      await same(
        { ...named, tags_any: [{ key: 'tier', values: ['gold'] }], not_tags_any: [{ key: 'env', values: [] }] },
        [gold],
      );
    });

    test('pages are parts of one order, total_count is of all; count tells nothing else', async () => {
      const all = await found({ tags: [scope] });
      const pages = [];
      for (const offset of ['0', '1', '2', '3']) pages.push(...(await found({ tags: [scope], limit: '1', offset })));
      assert.deepEqual(pages, all);
      assert.equal((await find({ action: 'filter', tags: [scope], limit: 1, offset: 99 })).total_count, 3);
      assert.deepEqual(await find({ action: 'count', tags: [scope], limit: 'ignored' }), { total_count: 3 });
      assert.deepEqual(await find({ action: 'count', tags: [{ key: 'none', values: [] }] }), { total_count: 0 });
    });

    test('violations', async () => {
      const list = many(11).map(({ key }) => ({ key, values: [] }));
      const cases: [string, object][] = [
        [form.action, { action: 'Count' }],
        [form.action, { action: null }],
        [code.tooMany, { tags: list }],
        [code.tooMany, { tags: [{ key: 'a', values: many(11).map(({ key }) => key) }] }],
        [
          code.invalid,
          {
            tags: [
              { key: 'a', values: [] },
              { key: 'a', values: ['b'] },
            ],
          },
        ],
        [code.invalid, { tags: [{ key: 'k'.repeat(128), values: [] }] }],
        [code.invalid, { tags: [{ key: 'a', values: ['v'.repeat(256)] }] }],
        [code.invalid, { tags: [{ key: '', values: [] }] }],
        [code.invalid, { tags: [{ values: [] }] }],
        [code.invalid, { tags: [{ key: 'a' }] }],
        [code.invalid, { tags_any: [] }],
        [code.invalid, { not_tags: [] }],
        [code.invalid, { not_tags_any: [] }],
        [code.tooMany, { not_tags_any: list }],
        [code.invalid, { matches: [{ key: 'id', value: 'x' }] }],
        [page, { limit: '0' }],
        [page, { limit: '1001' }],
        [page, { limit: 'x' }],
        [page, { offset: '-1' }],
      ];
      for (const [expected, body] of cases)
        await fault(400, expected, 'POST', searchUrl(), { action: 'filter', ...body });
      await fault(400, form.empty, 'POST', searchUrl());
      await bench.assertVbsFault(400, form.broken, 'POST', searchUrl(), { text: '[1' });
    });

    test('nothing of another project is found', async () => {
      const { token, projectId } = bench.stranger;
      const url = searchUrl().replace(bench.member.projectId, projectId);
      const body = { action: 'filter', tags: [scope] };
      assert.deepEqual(await bench.ask(200, 'POST', url, { token, body }), { total_count: 0, resources: [] });
    });
  });
}

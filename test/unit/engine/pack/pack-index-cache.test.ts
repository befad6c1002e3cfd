import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PackIndex } from '../../../../src/engine/pack/pack-index.ts';
import { PackIndexCache } from '../../../../src/engine/pack/pack-index-cache.ts';

// The cast: the cache looks at nothing else of an index.
const indexOf = (memoryBytes: number) => ({ memoryBytes }) as PackIndex;

test('trailers are loaded once, however many ask, and again after a failure', async () => {
  const cache = new PackIndexCache();
  let loadCount = 0;
  const load = async () => {
    loadCount += 1;
    if (loadCount === 1) throw new Error('away');
    return indexOf(1);
  };
  await assert.rejects(cache.get('a', load), /away/);
  const both = await Promise.all([cache.get('a', load), cache.get('a', load)]);
  assert.equal(loadCount, 2);
  assert.equal(both[0], both[1]);
});

test('the least recently used trailers go first when the budget is spent', async () => {
  const cache = new PackIndexCache(100);
  const loaded: string[] = [];
  const get = (name: string) =>
    cache.get(name, async () => {
      loaded.push(name);
      return indexOf(40);
    });
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b', 'a', 'c']) await get(name);
  assert.deepEqual(loaded, ['a', 'b', 'c', 'b', 'c']);
  // One that is larger than the budget is kept only until the next comes.
  await cache.get('huge', async () => indexOf(1000));
  for (const name of ['a', 'b']) await get(name);
  assert.deepEqual(loaded.slice(5), ['a', 'b']);
  for (const name of ['a', 'b']) await get(name);
  assert.equal(loaded.length, 7);
});

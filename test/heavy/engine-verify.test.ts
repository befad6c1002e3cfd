// A thousand flipped bits and cut objects: each is found by a check, which names the object and exactly the backups
// that cannot be restored, and all is repaired whose content the disk still has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackupId } from '../../src/core/ids.ts';
import { packObjectName } from '../../src/core/object-names.ts';
import { checkProject } from '../../src/engine/verify/check-project.ts';
import { repairProject } from '../../src/engine/verify/repair-project.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { SparseDisk } from '../support/sparse-disk.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 70 * MIB + 777;
const DAMAGE_COUNT = 1000;
const CUT_SHARE = 10;

const pieces = [
  { offsetBytes: MIB, bytes: fixedBytes(1, 1_200_000) },
  { offsetBytes: 40 * MIB, bytes: Buffer.alloc(2 * MIB, 'text that compresses well; ') },
  { offsetBytes: SIZE_BYTES - 5000, bytes: fixedBytes(2, 5000) },
];
const changes = [{ offsetBytes: 3 * MIB, bytes: fixedBytes(3, 300_000) }];

async function canRestore(repository: EngineBench['repository'], made: Made): Promise<boolean> {
  try {
    await made.disk.assertRestores(made.backupId, { repository });
    return true;
  } catch {
    return false;
  }
}

type Made = { readonly disk: SparseDisk; readonly backupId: BackupId };

async function makeAll(bench: EngineBench): Promise<Made[]> {
  const made: Made[] = [];
  for (const [name, content] of [
    ['full', pieces],
    ['increment', [...pieces, ...changes]],
  ] as const) {
    const disk = await SparseDisk.make(bench, name, SIZE_BYTES, content);
    made.push({ disk, backupId: (await disk.backUp()).commit.backupId });
  }
  return made;
}

test('a thousand flipped bits and cuts are found, named and, where the disk has the content, repaired', async (t) => {
  const seed = Date.now() % 1_000_000;
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  const made = await makeAll(bench);
  const newest = made.at(-1);
  assert(newest);
  const signal = new AbortController().signal;
  const { path, sizeBytes } = newest.disk;
  const openVolume = async () => ({ driver: 'file', path, sizeBytes }) as const;
  const draws = fc.sample(fc.nat(), { numRuns: 3 * DAMAGE_COUNT, seed });
  let repairedCount = 0;
  for (let i = 0; i < DAMAGE_COUNT; i += 1) {
    const [a = 0, b = 0] = draws.slice(3 * i);
    const packs = [...bench.ledger.packs.values()].filter(({ state }) => state === 'live');
    const pack = packs[a % packs.length];
    assert(pack);
    const name = packObjectName(bench.projectId, pack);
    const sound = Buffer.from(await store.get(name, 64 * MIB));
    const isCut = i % CUT_SHARE === 0;
    const where = `seed ${seed}, damage ${i}: ${isCut ? 'cut' : 'bit'} of ${pack.kind} pack`;
    if (isCut) await store.replace(name, sound.subarray(0, b % sound.length));
    else await store.flipBit(name, b % (sound.length * 8));
    // As after a restart: nothing in memory hides the damage. The key derivation makes that too slow for each.
    const repository = i % 20 === 0 ? await bench.reopen() : bench.repository;
    const report = await checkProject(repository, bench.projectId, { readShare: 1 }, signal);
    assert.equal(report.isSound, false, where);
    assert(
      report.damage.some(({ objectName }) => objectName === name),
      `${where}: the object is named`,
    );
    if (i % 20 === 0) {
      for (const one of made) {
        const isWhole = await canRestore(repository, one);
        assert.equal(report.damagedBackupIds.includes(one.backupId), !isWhole, `${where}: the backups concerned`);
      }
    }
    const repair = await repairProject(repository, bench.projectId, { openVolume }, signal);
    if (repair.damagedBackupIds.length === 0) {
      repairedCount += 1;
      assert.equal(bench.ledger.damaged.size, 0, where);
      assert.deepEqual(await bench.ledger.listDamagedPacks(bench.projectId), [], where);
      continue;
    }
    // The disk has every chunk. The salt of a header, pages, and the digests that were cut off are nowhere else.
    const byte = Math.floor((b % (sound.length * 8)) / 8);
    const isSalt = byte >= 32 && byte < 64;
    assert(pack.kind === 'page' || isCut || isSalt, `${where}, byte ${byte}: it can be repaired`);
    // Nobody has what was cut off, pages included: put the object back, and everything is as before.
    const current = bench.ledger.packs.get(pack.packId);
    assert(current);
    if (current.objectId === pack.objectId) await store.replace(name, sound);
    else {
      await store.replace(name, sound);
      bench.ledger.packs.set(pack.packId, { ...current, ...pack });
    }
    bench.ledger.bad.delete(pack.packId);
    bench.ledger.damaged.clear();
  }
  t.diagnostic(`seed ${seed}: ${repairedCount} of ${DAMAGE_COUNT} repaired`);
  for (const one of made) assert(await canRestore(await bench.reopen(), one));
  assert(repairedCount > DAMAGE_COUNT / 3, `${repairedCount}`);
});

// A repository whose objects are damaged, one at a time: a restore finds it and names the object, or, when it has no
// need of what is damaged, yields the same bytes. Never anything else.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isVbsError } from '../../src/core/errors.ts';
import type { BackupId, PackId } from '../../src/core/ids.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import { HEADER_SIZE_BYTES } from '../../src/engine/format/object-header.ts';
import { FRAME_HEADER_SIZE_BYTES, TAIL_SIZE_BYTES } from '../../src/engine/format/pack-format.ts';
import type { Repository } from '../../src/engine/repository.ts';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { SparseDisk } from '../support/sparse-disk.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 130 * MIB + 777;

type Region = { readonly what: string; readonly startBytes: number; readonly endBytes: number };
/** An object, the backup that wrote it (and so needs every byte of it), and its parts in the order to damage them. */
type Target = {
  readonly name: string;
  readonly owner: Committed;
  readonly other: Committed;
  readonly regions: Region[];
};
type Committed = { readonly disk: SparseDisk; readonly backupId: BackupId };
type Scene = { readonly bench: EngineBench; readonly store: FaultyStore; readonly targets: Target[] };

async function makeScene(bench: EngineBench, store: FaultyStore): Promise<Scene> {
  const pieces = [
    { offsetBytes: MIB, bytes: fixedBytes(1, 1_200_000) },
    { offsetBytes: 40 * MIB, bytes: Buffer.alloc(2 * MIB, 'text that compresses well; ') },
    { offsetBytes: 100 * MIB, bytes: fixedBytes(2, 300_000) },
  ];
  const changes = [
    { offsetBytes: MIB + 100_000, bytes: fixedBytes(3, 200_000) },
    { offsetBytes: SIZE_BYTES - 5000, bytes: fixedBytes(4, 5000) },
  ];
  const disks = [
    await SparseDisk.make(bench, 'full', SIZE_BYTES, pieces),
    await SparseDisk.make(bench, 'increment', SIZE_BYTES, [...pieces, ...changes]),
  ];
  const committed: Committed[] = [];
  const packIds: PackId[][] = [];
  for (const disk of disks) {
    const { commit } = await disk.backUp();
    committed.push({ disk, backupId: commit.backupId });
    packIds.push(commit.packs.map((pack) => pack.packId));
  }
  const [full, increment] = committed;
  assert(full && increment);
  const targets = [
    ...(await describeObjects(bench, full, increment, packIds[0] ?? [])),
    ...(await describeObjects(bench, increment, full, packIds[1] ?? [])),
  ];
  assert.equal(targets.length, 6, 'each backup has a data pack, a page pack and a record');
  return { bench, store, targets };
}

async function describeObjects(
  { ledger, projectId, repository, store }: EngineBench,
  owner: Committed,
  other: Committed,
  packIds: readonly PackId[],
): Promise<Target[]> {
  const project = await repository.openProject(projectId);
  const targets: Target[] = [];
  for (const packId of packIds) {
    const row = ledger.packs.get(packId);
    assert(row);
    const { frames, storedBytes } = await repository.packIndex(project, row);
    const framesEnd = Math.max(...frames.map((frame) => frame.offsetBytes + frame.storedBytes));
    const regions = [
      // These first: they fail the reading of the trailer, so that it is never kept in memory meanwhile.
      { what: 'header', startBytes: 0, endBytes: HEADER_SIZE_BYTES },
      { what: 'trailer', startBytes: framesEnd, endBytes: storedBytes - TAIL_SIZE_BYTES },
      { what: 'tail', startBytes: storedBytes - TAIL_SIZE_BYTES, endBytes: storedBytes },
      ...frames.flatMap(({ offsetBytes, storedBytes: frameBytes }) => {
        const payloadAt = offsetBytes + FRAME_HEADER_SIZE_BYTES;
        const endBytes = offsetBytes + frameBytes;
        return [
          { what: 'frame header', startBytes: offsetBytes, endBytes: payloadAt },
          { what: 'payload', startBytes: payloadAt, endBytes: endBytes - 16 },
          { what: 'tag', startBytes: endBytes - 16, endBytes },
        ];
      }),
    ];
    targets.push({ name: packObjectName(projectId, row), owner, other, regions });
  }
  const backup = ledger.backups.get(owner.backupId);
  assert(backup);
  const name = recordName(projectId, owner.backupId, backup.attemptId);
  const { sizeBytes } = (await store.head(name)) ?? { sizeBytes: 0 };
  return [...targets, { name, owner, other, regions: [{ what: 'record', startBytes: 0, endBytes: sizeBytes }] }];
}

/** What a restore came to: the object it found damaged, or undefined when the bytes are right. */
async function restoreUnlessCorrupt(
  repository: Repository,
  { disk, backupId }: Committed,
): Promise<string | undefined> {
  try {
    await disk.assertRestores(backupId, { repository });
    return undefined;
  } catch (error) {
    if (isVbsError(error, 'DATA_CORRUPT')) return String(error.details.object);
    throw error;
  }
}

async function checkDamage(repository: Repository, target: Target, what: string): Promise<void> {
  assert.equal(await restoreUnlessCorrupt(repository, target.owner), target.name, `${what} of ${target.name}`);
}

async function checkOther(repository: Repository, target: Target, what: string): Promise<void> {
  const found = await restoreUnlessCorrupt(repository, target.other);
  assert(found === undefined || found === target.name, `${what} of ${target.name}: ${found}`);
}

async function flipEverywhere({ bench, store, targets }: Scene, flipsPerTarget: number, seed: number): Promise<number> {
  let flipCount = 0;
  for (const target of targets) {
    const repository = await bench.reopen();
    const perRegion = Math.max(2, Math.ceil(flipsPerTarget / target.regions.length));
    for (const { what, startBytes, endBytes } of target.regions) {
      const anyBit = fc.integer({ min: startBytes * 8, max: endBytes * 8 - 1 });
      for (const bit of fc.sample(anyBit, { numRuns: perRegion, seed: seed + flipCount })) {
        const where = `seed ${seed}: bit ${bit} (${what})`;
        await store.flipBit(target.name, bit);
        await checkDamage(repository, target, where);
        if (flipCount % 5 === 0) await checkOther(repository, target, where);
        await store.flipBit(target.name, bit);
        flipCount += 1;
      }
    }
    assert.equal(await restoreUnlessCorrupt(repository, target.owner), undefined, 'all bits are back');
  }
  return flipCount;
}

async function cutAndMix({ bench, store, targets }: Scene, seed: number): Promise<void> {
  for (const target of targets) {
    const repository = await bench.reopen();
    const sound = await store.get(target.name, 64 * MIB);
    const lengths = [0, 1, 63, 64, 65, sound.length - 33, sound.length - 32, sound.length - 1];
    for (const length of [...lengths, ...fc.sample(fc.nat(sound.length - 1), { numRuns: 5, seed })]) {
      await store.replace(target.name, sound.subarray(0, length));
      await checkDamage(repository, target, `seed ${seed}: the first ${length} bytes`);
      await checkOther(repository, target, `seed ${seed}: the first ${length} bytes`);
    }
    await store.replace(target.name, Buffer.concat([sound, Buffer.alloc(1)]));
    await checkDamage(repository, target, 'one byte more');
    // Another object's bytes under this name: whole and authentic, but not what belongs here.
    for (const stranger of targets.filter(({ name }) => name !== target.name)) {
      await store.replace(target.name, await store.get(stranger.name, 64 * MIB));
      await checkDamage(repository, target, `the bytes of ${stranger.name} in place`);
    }
    await store.replace(target.name, sound);
    assert.equal(await restoreUnlessCorrupt(repository, target.owner), undefined);
  }
  const [first, , , second] = targets;
  assert(first && second);
  const [bytes, others] = [await store.get(first.name, 64 * MIB), await store.get(second.name, 64 * MIB)];
  await store.replace(first.name, others);
  await store.replace(second.name, bytes);
  const repository = await bench.reopen();
  for (const { owner } of [first, second]) {
    const found = await restoreUnlessCorrupt(repository, owner);
    assert(found === first.name || found === second.name, `${found}`);
  }
}

test('a flipped bit anywhere in a folder store is found and named', async () => {
  await using folder = await makeTemporaryFolder();
  const inner = new FilesystemStore({ root: join(folder.path, 'repository') });
  const store = new FaultyStore(inner);
  await using bench = await EngineBench.start(store);
  const flipCount = await flipEverywhere(await makeScene(bench, store), 60, Date.now() % 1_000_000);
  assert(flipCount >= 300, `${flipCount} bits`);
  await inner.close();
});

test('a flipped bit, a cut or exchanged object in a memory store is found and named', async () => {
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  const scene = await makeScene(bench, store);
  const seed = Date.now() % 1_000_000;
  await flipEverywhere(scene, 20, seed);
  await cutAndMix(scene, seed);
});

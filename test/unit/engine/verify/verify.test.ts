import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitmapHas, listBits } from '../../../../src/core/bitmap.ts';
import { VbsError } from '../../../../src/core/errors.ts';
import { PACK_SLOT_COUNT_MAX } from '../../../../src/core/limits.ts';
import { recordName } from '../../../../src/core/object-names.ts';
import { scrubProject } from '../../../../src/engine/verify/scrub-project.ts';
import { fixedBytes } from '../../../support/fixed-bytes.ts';
import { CHANGES, MIB, PIECES, VerifyBench } from './verify-bench.ts';

test('a backup that is as it was stored is sound, and its holes count as verified', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const verdict = await bench.verify(commit.backupId);
  assert.equal(verdict.isSound, true);
  assert.deepEqual(verdict.damage, []);
  assert.equal(verdict.packCount, 2);
  assert.deepEqual([...bench.engine.ledger.bad.keys()], []);
});

test('damage names its object and marks exactly the backups that need it', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const full = await disk.backUp();
  const changed = await bench.makeDisk('changed', [...PIECES, ...CHANGES]);
  const increment = await changed.backUp();
  const [, second] = bench.packsOf('data');
  assert(second, 'the increment has a data pack of its own');
  const { offsetBytes } = await bench.spoilSlot(second.packId, 0);
  const verdict = await bench.verify(increment.commit.backupId);
  assert.equal(verdict.isSound, false);
  assert.equal(verdict.damage[0]?.objectName, bench.nameOf(second.packId));
  assert.equal(verdict.damage[0]?.offsetBytes, offsetBytes);
  assert.deepEqual(verdict.damagedBackupIds, [increment.commit.backupId]);
  assert.deepEqual([...bench.engine.ledger.damaged.keys()], [increment.commit.backupId]);
  assert.equal((await bench.verify(full.commit.backupId)).isSound, true);
  // What both need damages both, whichever is verified.
  const [first] = bench.packsOf('data');
  assert(first);
  await bench.spoilSlot(first.packId, 0);
  await bench.verify(full.commit.backupId);
  const damaged = [...bench.engine.ledger.damaged.keys()].sort();
  assert.deepEqual(damaged, [full.commit.backupId, increment.commit.backupId].sort());
});

test('a disk that still holds the content repairs the backup, and the mark goes', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const [pack] = bench.packsOf('data');
  assert(pack);
  const before = pack.objectId;
  await bench.spoilSlot(pack.packId, 0);
  // Compressed: nothing of the frame is left to salvage.
  const text = (await bench.indexOf(pack.packId)).frames.find(({ codec }) => codec === 1);
  assert(text);
  await bench.spoilSlot(pack.packId, text.firstSlot, 20);
  assert.equal((await bench.verify(commit.backupId)).isSound, false);
  const report = await bench.repair(disk);
  assert.equal(report.lostCount, 0);
  assert(report.healedCount > 16);
  assert.deepEqual(report.mendedBackupIds, [commit.backupId]);
  assert.notEqual(bench.engine.ledger.packs.get(pack.packId)?.objectId, before);
  assert.deepEqual([...bench.engine.ledger.bad.keys()], []);
  assert.equal(bench.engine.ledger.damaged.size, 0);
  await disk.assertRestores(commit.backupId, { repository: bench.repository });
  assert.equal((await bench.verify(commit.backupId)).isSound, true);
});

test('without a disk, what is left of an uncompressed frame is saved, and the lost chunk stays bad', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const [pack] = bench.packsOf('data');
  assert(pack);
  await bench.spoilSlot(pack.packId, 0);
  await bench.verify(commit.backupId);
  const slotCount = listBits(bench.engine.ledger.bad.get(pack.packId)).length;
  assert(slotCount > 1, 'nobody can read any chunk of the frame');
  const report = await bench.repair();
  assert.deepEqual([report.healedCount, report.lostCount], [slotCount - 1, 1]);
  assert.deepEqual(listBits(bench.engine.ledger.bad.get(pack.packId)), [0]);
  assert.deepEqual(report.damagedBackupIds, [commit.backupId]);
  // Its digest is known still: the disk may turn up later.
  const later = await bench.repair(disk);
  assert.deepEqual([later.healedCount, later.lostCount], [1, 0]);
  await disk.assertRestores(commit.backupId, { repository: bench.repository });
});

test('the next backup stores what is damaged once more, and that heals the older one', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const [pack] = bench.packsOf('data');
  assert(pack);
  await bench.spoilSlot(pack.packId, 0);
  await bench.verify(commit.backupId);
  await disk.backUp({ repository: bench.repository });
  const report = await bench.repair();
  assert.equal(report.lostCount, 0);
  assert.deepEqual(report.mendedBackupIds, [commit.backupId]);
  await disk.assertRestores(commit.backupId, { repository: bench.repository });
});

for (const [what, spoil] of [
  ['trailer', (sizeBytes: number) => sizeBytes - 40],
  ['tail', (sizeBytes: number) => sizeBytes - 10],
  ['header', () => 3],
] as const) {
  test(`a lost ${what} is rebuilt from the frames`, async () => {
    await using bench = await VerifyBench.start();
    const disk = await bench.makeDisk('disk', PIECES);
    const { commit } = await disk.backUp();
    for (const kind of ['data', 'page'] as const) {
      const [pack] = bench.packsOf(kind);
      assert(pack);
      const name = bench.nameOf(pack.packId);
      const { sizeBytes } = (await bench.store.head(name)) ?? { sizeBytes: 0 };
      await bench.store.flipBit(name, spoil(sizeBytes) * 8);
      await bench.forget();
      const verdict = await bench.verify(commit.backupId);
      assert.equal(verdict.isSound, false);
      assert(verdict.damage.some(({ objectName }) => objectName === name));
      const report = await bench.repair();
      assert.deepEqual([report.rebuiltTrailerCount, report.lostCount], [1, 0], kind);
      assert.deepEqual(report.mendedBackupIds, [commit.backupId]);
    }
    await disk.assertRestores(commit.backupId, { repository: bench.repository });
  });
}

test('a pack that was cut off gives back what is left of it, and says what is lost', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const [pack] = bench.packsOf('data');
  assert(pack);
  const name = bench.nameOf(pack.packId);
  const { frames } = await bench.indexOf(pack.packId);
  const cut = frames[1];
  assert(cut && frames[0]);
  await bench.store.replace(name, (await bench.store.get(name, 64 * MIB)).subarray(0, cut.offsetBytes + 50));
  await bench.verify(commit.backupId);
  const report = await bench.repair(disk);
  assert.equal(report.rebuiltTrailerCount, 1);
  const bad = listBits(bench.engine.ledger.bad.get(pack.packId));
  assert.equal(report.lostCount, bad.length);
  assert(!bad.includes(0), 'the first frame is whole');
  assert(bad.includes(cut.firstSlot));
  assert.deepEqual(report.damagedBackupIds, [commit.backupId]);
});

test('a distrusted pack is looked at first, and only its bad slots stay marked', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const { ledger, projectId } = bench.engine;
  const [pack] = bench.packsOf('data');
  assert(pack);
  await bench.spoilSlot(pack.packId, 0);
  ledger.bad.set(pack.packId, Buffer.alloc(Math.ceil(PACK_SLOT_COUNT_MAX / 8), 0xff));
  await bench.forget();
  const report = await scrubProject(bench.repository, projectId, { beforeAt: 1e15, maxBytes: 0 }, bench.signal);
  assert.equal(report.packCount, 1, 'without a budget only what is distrusted is read');
  const bad = ledger.bad.get(pack.packId);
  assert(bitmapHas(bad, 0) && !bitmapHas(bad, 30));
  assert.deepEqual(report.damagedBackupIds, [commit.backupId]);
});

test('a scrub reads what waits longest first and stops at its budget', async () => {
  await using bench = await VerifyBench.start();
  for (let i = 0; i < 3; i += 1) {
    await (await bench.makeDisk(`disk ${i}`, [{ offsetBytes: 0, bytes: fixedBytes(10 + i, MIB) }])).backUp();
  }
  const { ledger, projectId } = bench.engine;
  const packs = [...bench.packsOf('data'), ...bench.packsOf('page')];
  packs.forEach(({ packId }, i) => void ledger.verifiedAt.set(packId, 1000 - i));
  const oldest = packs.at(-1);
  assert(oldest);
  await scrubProject(bench.repository, projectId, { beforeAt: 1000, maxBytes: 1 }, bench.signal);
  const verified = packs.filter(({ packId }) => (ledger.verifiedAt.get(packId) ?? 0) > 1000);
  assert.deepEqual(verified, [oldest]);
  const { packCount } = await scrubProject(
    bench.repository,
    projectId,
    { beforeAt: 1000, maxBytes: 1e9 },
    bench.signal,
  );
  assert.equal(packCount, packs.length - 2, 'the one that was verified at 1000 is left alone');
});

test('a check finds records, packs and keys that are missing, and objects that no row names', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const changed = await bench.makeDisk('changed', [...PIECES, ...CHANGES]);
  const increment = await changed.backUp();
  assert.equal((await bench.check()).isSound, true);
  const whole = await bench.check(1);
  assert.equal(whole.verifiedPackCount, bench.packsOf('data').length + bench.packsOf('page').length);
  const { projectId } = bench.engine;
  const strayId = '00000000-0000-4000-8000-000000000000';
  const stray = `projects/${projectId}/packs/00/${strayId}.${strayId}`;
  await bench.store.put(stray, Buffer.from('?'));
  const { attemptId, backupId } = commit;
  await bench.store.delete([recordName(projectId, backupId, attemptId)]);
  const [, second] = bench.packsOf('data');
  assert(second);
  const lost = bench.nameOf(second.packId);
  await bench.store.delete([lost]);
  const keys = [];
  for await (const { name } of bench.store.list(`projects/${projectId}/keys/`)) keys.push(name);
  await bench.store.delete(keys);
  const report = await bench.check();
  assert.equal(report.isSound, false);
  assert.deepEqual(report.unnamedObjects.names, [stray]);
  assert.deepEqual(
    report.gaps.map(({ objectName }) => objectName),
    [recordName(projectId, backupId, attemptId)],
  );
  assert.deepEqual(
    report.damage.map(({ objectName }) => objectName),
    [lost],
  );
  assert.deepEqual(
    report.keyGaps.map(({ objectName }) => objectName),
    keys,
  );
  assert.deepEqual([...report.damagedBackupIds].sort(), [backupId, increment.commit.backupId].sort());
  assert.equal((await bench.repair()).mendedKeys.length, 1);
  assert.deepEqual((await bench.check()).keyGaps, []);
});

test('a frame that its medium does not give is not written over while its content is missing', async () => {
  await using bench = await VerifyBench.start();
  const disk = await bench.makeDisk('disk', PIECES);
  const { commit } = await disk.backUp();
  const [pack] = bench.packsOf('data');
  assert(pack);
  const name = bench.nameOf(pack.packId);
  const { frames } = await bench.indexOf(pack.packId);
  const [first] = frames;
  assert(first);
  const realRead = bench.store.readRange.bind(bench.store);
  bench.store.readRange = async (object, offsetBytes, lengthBytes, signal) => {
    const end = offsetBytes + lengthBytes;
    const isBroken =
      object === name && offsetBytes < first.offsetBytes + first.storedBytes && end > first.offsetBytes + 200;
    if (!isBroken) return await realRead(object, offsetBytes, lengthBytes, signal);
    throw new VbsError('STORAGE_IO', { object, reason: 'EIO' });
  };
  const verdict = await bench.verify(commit.backupId);
  assert.deepEqual(
    verdict.damage.map(({ offsetBytes }) => offsetBytes),
    [first.offsetBytes],
  );
  const report = await bench.repair();
  assert.equal(report.healedCount, 0);
  assert.equal(bench.engine.ledger.packs.get(pack.packId)?.objectId, pack.objectId, 'the pack is as it was');
  assert.equal((await bench.repair(disk)).lostCount, 0);
  await disk.assertRestores(commit.backupId, { repository: bench.repository });
});

// The schedules that lost data in an earlier draft of the protocol (src/engine/README.md, "What each mechanism is there
// for"), step by step, on the real engine and the real catalog. After every step every committed backup must be whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVbsError } from '../../src/core/errors.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { MUTATIONS } from '../model/mutations.ts';
import { after, before, DATA_PACK, disk, RECORD, Script } from '../model/script.ts';
import { Violation } from '../model/truth.ts';

const never = new AbortController().signal;
const DAY_MS = 24 * 3600 * 1000;

function mutation(name: string) {
  const found = MUTATIONS.find((each) => each.name === name);
  assert(found, name);
  return found;
}

test('1.1 a pack that is in no root yet is passed by, and its backup commits', async () => {
  using script = await Script.start();
  const volume = script.world.addVolume(disk(1, 2, 3));
  const { actor } = await script.startBackup(volume);
  await script.until(actor, before('put', RECORD));
  await script.prune(1);
  await script.finish(actor);
  assert.equal(script.countPacks('live'), 1);
  await script.settle();
});

test('1.2 a use that is entered between mark and condemn keeps the pack, whichever of the two is first', async () => {
  for (const isUseFirst of [true, false]) {
    using script = await Script.start();
    const volume = script.world.addVolume(disk(1, 3, 5));
    const copy = script.world.addVolume(disk(1, 3, 5));
    await script.delete(await script.backUp(volume));
    const prune = await script.startPrune(1);
    await script.until(prune, before('condemnSlots'));
    const writer = await script.startBackup(copy);
    await script.until(writer.actor, before('usePack'));
    if (isUseFirst) await script.until(writer.actor, before('commitBackup'));
    await script.finish(prune);
    await script.finish(writer.actor);
    assert.equal(script.statusOf(writer), 'SUCCESS');
    // The pack was used, or it was retired and everything stored again.
    assert.equal(script.countPacks('retired'), isUseFirst ? 0 : 1);
    await script.settle();
  }
});

test('1.3 a backup that was committed after the mark, became a parent and was deleted keeps its chunks', async () => {
  using script = await Script.start();
  const volume = script.world.addVolume(disk(1, 2, 3));
  await script.backUp(volume);
  const prune = await script.startPrune(1);
  await script.until(prune, before('listLivePacks'));
  volume.contents = disk(4, 2, 3);
  const parentId = await script.backUp(volume);
  const child = await script.startBackup(volume);
  await script.until(child.actor, before('commitBackup'));
  const deletion = await script.startDeletion(parentId);
  await script.finish(deletion.actor);
  assert.notEqual(script.statusOf(deletion), 'SUCCESS', 'it waits for the child');
  await script.finish(prune);
  await script.finish(child.actor);
  assert.equal(script.statusOf(child), 'SUCCESS');
  await script.settle();
});

test('1.4 a parent that is deleted while it is pinned stays a root with its record', async () => {
  using script = await Script.start();
  const volume = script.world.addVolume(disk(1, 2, 3));
  const parentId = await script.backUp(volume);
  const child = await script.startBackup(volume);
  await script.until(child.actor, before('put', RECORD));
  const deletion = await script.startDeletion(parentId, 1);
  await script.finish(deletion.actor);
  await script.prune(1);
  assert.equal(script.countCondemned(), 0);
  await script.finish(child.actor);
  await script.finish(await script.run(deletion.jobId));
  assert.equal(script.statusOf(deletion), 'SUCCESS');
  await script.settle();
});

test('1.5 a slot that was condemned is not taken again from a trailer that is kept in memory', async () => {
  using script = await Script.start();
  const [one, two] = [script.world.addVolume(disk(1, 3, 5, 7, 9)), script.world.addVolume(disk(1))];
  const oldId = await script.backUp(one);
  // Takes one chunk of the pack, and leaves its trailer in the memory of process 0.
  await script.backUp(two);
  await script.delete(oldId);
  await script.prune(1);
  const three = script.world.addVolume(disk(1, 3, 5, 7, 9));
  const again = await script.startBackup(three);
  await script.finish(again.actor);
  assert.equal(script.statusOf(again), 'SUCCESS');
  assert.equal(script.countPacks('live'), 2, 'what was condemned is stored again');
  await script.settle();
});

test('1.6 a catalog from a copy of yesterday keeps the backups of today that it does not know', async () => {
  using script = await Script.start();
  const { world } = script;
  const volume = world.addVolume(disk(1, 2, 3));
  await script.backUp(volume);
  const copy = world.catalog.copy();
  volume.contents = disk(4, 5, 6);
  await script.backUp(volume, { isIncremental: false });
  await world.setBack(copy);
  const names = [...world.store.names].filter((name) => name.includes('/backups/'));
  assert.equal(names.length, 2);
  await script.prune();
  assert.deepEqual(
    [...world.store.names].filter((name) => name.includes('/backups/')),
    names,
  );
});

test('1.7 a catalog that forgot a sweep writes and deletes nothing until the repository is adopted', async () => {
  using script = await Script.start();
  const { world } = script;
  const volume = world.addVolume(disk(1, 3, 5));
  const deletedId = await script.backUp(volume);
  volume.contents = disk(2, 4, 6);
  await script.backUp(volume, { isIncremental: false });
  const copy = world.catalog.copy();
  await script.delete(deletedId);
  await script.prune();
  await world.setBack(copy);
  assert(world.isSetBack);
  const { repository } = await world.startProcess();
  await assert.rejects(
    sweepTrash(repository, world.projectId).then(() => runPrune(repository, world.projectId, {}, never)),
    (error) => isVbsError(error, 'EPOCH_CONFLICT'),
  );
  const writer = await script.startBackup(volume, { on: 2 });
  await script.finish(writer.actor);
  assert.notEqual(script.statusOf(writer), 'SUCCESS');
  await script.finish(await script.startAdoption(2));
  assert(!world.isSetBack);
  await script.finish(await script.run(writer.jobId, 2));
  assert.equal(script.statusOf(writer), 'SUCCESS');
  await script.settle();
});

/** A database fails over and loses the use of a pack, which a prune then condemns; the writer goes on to its commit. */
async function loseUse(script: Script) {
  const { world } = script;
  const volume = world.addVolume(disk(1, 3, 5));
  await script.delete(await script.backUp(volume));
  const copy = world.addVolume(disk(1, 3, 5));
  const writer = await script.startBackup(copy);
  await script.until(writer.actor, before('usePack'));
  const state = world.catalog.copy();
  await script.until(writer.actor, before('raiseEpoch'));
  await world.setBack(state);
  await script.prune(1);
  await script.finish(writer.actor);
  return writer;
}

test('1.8 a commit whose use was lost with the last transactions of a database is refused', async () => {
  using script = await Script.start();
  const writer = await loseUse(script);
  assert.notEqual(script.statusOf(writer), 'SUCCESS');
  await script.settle();
});

test('1.8 the model notices when the commit does not look at its own rows', async () => {
  using script = await Script.start({ mutation: mutation('the commit checks its own rows') });
  await assert.rejects(loseUse(script), Violation);
});

test('1.9 a server whose repository was adopted by another catalog deletes nothing any more', async () => {
  using script = await Script.start();
  const { world } = script;
  const volume = world.addVolume(disk(1, 2, 3));
  const deletedId = await script.backUp(volume);
  volume.contents = disk(4, 5, 6);
  await script.backUp(volume);
  const other = await world.openCatalog();
  other.replaceBy(world.catalog.copy());
  const adopter = await world.startProcess(other);
  await script.finish(await script.startAdoption(adopter.id));
  const names = [...world.store.names];
  await script.delete(deletedId);
  const { repository } = script.process(1);
  await assert.rejects(runPrune(repository, world.projectId, {}, never), (error) =>
    isVbsError(error, 'EPOCH_CONFLICT'),
  );
  assert.deepEqual([...world.store.names], names);
  other.close();
});

test('1.10 of two compactions of a pack one wins, and the other removes only what it wrote itself', async () => {
  using script = await Script.start();
  const { world } = script;
  const one = world.addVolume(disk(1, 3, 5, 7, 9));
  const two = world.addVolume(disk(1));
  const deletedId = await script.backUp(one);
  await script.backUp(two);
  await script.delete(deletedId);
  const zombie = await script.startPrune(0);
  await script.until(zombie, before('finishCompaction'));
  await script.prune(1);
  await script.finish(zombie);
  const [row] = world.catalog.query(
    `select * from packs where kind = 'data' and condemned is not null and state = 'live'`,
  );
  assert(row, 'the pack was compacted');
  await script.settle();
});

test('1.11 a zombie and the retry of its job write records of their own', async () => {
  using script = await Script.start();
  const volume = script.world.addVolume(disk(1, 2, 3));
  const zombie = await script.startBackup(volume);
  await script.until(zombie.actor, before('put', RECORD));
  volume.contents = disk(1, 2, 4);
  await script.finish(await script.run(zombie.jobId, 1));
  await script.finish(zombie.actor);
  assert.equal(script.statusOf(zombie), 'SUCCESS');
  await script.settle();
});

test('1.12 a commit whose answer was lost is found, and nothing of the backup is removed', async () => {
  using script = await Script.start();
  const volume = script.world.addVolume(disk(1, 2, 3));
  const writer = await script.startBackup(volume);
  await script.until(writer.actor, after('commitBackup'));
  await script.fail(writer.actor, 'lost-answer');
  await script.finish(writer.actor);
  assert.equal(script.statusOf(writer), 'SUCCESS');
  await script.settle();
});

test('1.13 what an attempt stored is still there for the next one, whatever ran in between', async () => {
  using script = await Script.start();
  const { world } = script;
  const volume = world.addVolume(disk(1, 3, 5));
  const writer = await script.startBackup(volume);
  await script.until(writer.actor, before('put', RECORD));
  world.killProcess(script.process(0));
  await script.prune(1);
  await script.finish(await script.run(writer.jobId, 1));
  assert.equal(script.statusOf(writer), 'SUCCESS');
  assert.equal(script.countPacks('live'), 1);
  assert.equal(script.countPacks('retired'), 0, 'the pack was taken up');
  await script.settle();
});

test('1.14 a backup that is set to error and back has its chunks', async () => {
  using script = await Script.start();
  const { world } = script;
  const backupId = await script.backUp(world.addVolume(disk(1, 2, 3)));
  await world.catalog.catalog.backups.update(backupId, { status: 'error' });
  await script.prune();
  assert.equal(script.countCondemned(), 0);
  await world.catalog.catalog.backups.update(backupId, { status: 'available' });
  const reader = await script.startReader(backupId);
  await script.finish(reader.actor);
  assert.equal(script.statusOf(reader), 'SUCCESS');
});

test('1.15 a root that cannot be read ends the prune, and nothing is condemned', async () => {
  using script = await Script.start();
  await script.backUp(script.world.addVolume(disk(1, 2, 3)));
  const prune = await script.startPrune();
  await script.until(prune, before('get', RECORD));
  await script.fail(prune, 'refuse');
  await script.finish(prune);
  assert.equal(script.countCondemned(), 0);
  await script.settle();
});

test('1.16 a backup that another project restores is deleted only after that', async () => {
  using script = await Script.start();
  const backupId = await script.backUp(script.world.addVolume(disk(1, 2, 3)));
  const reader = await script.startReader(backupId, { isShared: true });
  const deletion = await script.startDeletion(backupId, 1);
  await script.finish(deletion.actor);
  await script.prune(1);
  await script.finish(reader.actor);
  assert.equal(script.statusOf(reader), 'SUCCESS');
  await script.finish(await script.run(deletion.jobId));
  assert.equal(script.statusOf(deletion), 'SUCCESS');
  await script.settle();
});

test('1.17 a reader that takes weeks keeps its own backup and nothing else', async () => {
  using script = await Script.start();
  const { world } = script;
  const readId = await script.backUp(world.addVolume(disk(1, 2, 3)));
  const deletedId = await script.backUp(world.addVolume(disk(4, 6, 8)));
  const reader = await script.startReader(readId);
  await script.until(reader.actor, before('readRange', DATA_PACK));
  world.pass(14 * DAY_MS);
  await script.delete(deletedId);
  await script.prune(1);
  assert.deepEqual([script.countPacks('live'), script.countPacks('retired')], [1, 1]);
  await script.finish(reader.actor);
  assert.equal(script.statusOf(reader), 'SUCCESS');
  await script.settle();
});

test('1.18 a compaction cuts frames that are dead in part', async () => {
  using script = await Script.start();
  const { world } = script;
  const deletedId = await script.backUp(world.addVolume(disk(1, 3, 5, 7, 9)));
  await script.backUp(world.addVolume(disk(1)));
  const bytesOf = () => world.catalog.query(`select stored_bytes from packs where slot_count = 5`)[0]?.stored_bytes;
  const storedBytes = Number(bytesOf());
  await script.delete(deletedId);
  await script.prune();
  assert(Number(bytesOf()) < storedBytes, 'slots of one frame went, another one of it stayed');
  await script.settle();
});

test('1.19 packs of pages are compacted too', async () => {
  using script = await Script.start();
  const { world } = script;
  const volume = world.addVolume(disk(1, 2, 3, 4, 5, 6, 7, 8));
  const firstId = await script.backUp(volume);
  volume.contents = disk(2, 2, 3, 4, 5, 6, 7, 8);
  await script.backUp(volume);
  await script.delete(firstId);
  await script.prune();
  const [row] = world.catalog.query(`select * from packs where kind = 'page' and dropped_count > 0`);
  assert(row, 'the page that only the deleted backup had went, the other one of its pack stayed');
  await script.settle();
});

test('2.1 the record of a job that failed for good, put after everything was swept, does not stay', async () => {
  using script = await Script.start();
  const { world } = script;
  const writer = await script.startBackup(world.addVolume(disk(1, 2, 3)));
  for (let attempt = 1; script.statusOf(writer) !== 'FAIL'; attempt += 1) {
    const actor = attempt === 1 ? writer.actor : await script.run(writer.jobId);
    await script.until(actor, before('put', RECORD));
    await script.fail(actor, 'timeout');
    await script.finish(actor);
  }
  await script.prune();
  for (const call of world.store.late.splice(0)) await call.land();
  assert([...world.store.names].some((name) => RECORD.test(name)));
  await script.settle();
});

test('2.3 a power cut in the middle of a sweep leaves no record without its chunks', async () => {
  using script = await Script.start();
  const { world } = script;
  const backupId = await script.backUp(world.addVolume(disk(1, 2, 3)));
  const deletion = await script.startDeletion(backupId);
  await script.until(deletion.actor, after('delete', RECORD));
  world.killProcess(script.process(0));
  await world.store.losePower({ oneIn: () => true, below: () => 0 });
  assert(
    [...world.store.names].some((name) => RECORD.test(name)),
    'the record is back',
  );
  await world.check();
  await script.finish(await script.run(deletion.jobId, 1));
  await script.settle();
});

/** Yesterday's copy is put back, and the listing that the adoption relies on lacks a record. */
async function adoptWithLag(script: Script): Promise<void> {
  const { world } = script;
  const known = world.addVolume(disk(1, 3, 5));
  const knownId = await script.backUp(known);
  const copy = world.catalog.copy();
  const fresh = world.addVolume(disk(1, 3, 5));
  const freshId = await script.backUp(fresh);
  await world.setBack(copy);
  assert(world.isSetBack);
  for (const name of world.store.names) if (name.includes(freshId)) world.store.unlisted.add(name);
  const { id } = await world.startProcess();
  await script.finish(await script.startAdoption(id));
  await script.finish((await script.startDeletion(knownId, id)).actor);
  await script.prune(id);
}

test('2.4 a record that a lagging listing hides from the adoption keeps its chunks for a week', async () => {
  using script = await Script.start();
  await adoptWithLag(script);
  assert.equal(script.countCondemned(), 0);
  script.world.store.unlisted.clear();
  await script.settle();
});

test('2.4 the model notices when an adopted project condemns at once', async () => {
  using script = await Script.start({ mutation: mutation('an adopted project condemns nothing for a week') });
  await assert.rejects(adoptWithLag(script), Violation);
});

test('2.5 a pack that is put after its sweep is deleted a day later', async () => {
  using script = await Script.start();
  const { world } = script;
  const writer = await script.startBackup(world.addVolume(disk(1, 2, 3)));
  await script.until(writer.actor, before('commit', DATA_PACK));
  world.killProcess(script.process(0));
  assert.equal(world.store.late.length, 1);
  await script.finish(await script.run(writer.jobId, 1));
  await script.prune(1);
  await world.store.late.splice(0)[0]?.land();
  await script.settle();
});

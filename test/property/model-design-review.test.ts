// The schedules that lost data in an earlier draft of the protocol (src/engine/README.md, "What each mechanism is there
// for"), step by step, on the real engine and the real catalog. After every step every committed backup must be whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVbsError } from '../../src/core/errors.ts';
import { newUuid, type PackId } from '../../src/core/ids.ts';
import { CONDEMN_BATCH_COUNT } from '../../src/core/limits.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { MUTATIONS } from '../model/mutations.ts';
import { after, before, DATA_PACK, disk, RECORD, Script } from '../model/script.ts';
import { Violation } from '../model/truth.ts';

const never = new AbortController().signal;
const DAY_MS = 24 * 3600 * 1000;

const taken = new Set<string>();

function mutation(name: string) {
  const found = MUTATIONS.find((each) => each.name === name);
  assert(found, name);
  taken.add(name);
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

/** Two of five chunks die, too few for a compaction, and are wanted again. */
async function wantCondemned(script: Script): Promise<void> {
  const { world } = script;
  const volume = world.addVolume(disk(1, 3, 5, 7, 9));
  const oldId = await script.backUp(volume);
  await script.backUp(world.addVolume(disk(1, 3, 5)));
  await script.delete(oldId);
  await script.prune(1);
  const again = await script.startBackup(volume, { isIncremental: false });
  await script.finish(again.actor);
  assert.equal(script.statusOf(again), 'SUCCESS');
}

test('1.5 a slot that is condemned and still there is not taken again', async () => {
  using script = await Script.start();
  await wantCondemned(script);
  assert(script.countCondemned() > 0);
  assert.equal(script.countPacks('live'), 2, 'what was condemned is stored again');
  await script.settle();
});

test('1.5 the model notices when a use does not tell what is condemned', async () => {
  using script = await Script.start({ mutation: mutation('condemned slots are returned with the use') });
  await assert.rejects(wantCondemned(script), Violation);
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

/** A writer dies; a prune condemns before the next attempt, and sweeps when that has taken up what was stored. */
async function pruneBetweenAttempts(script: Script) {
  const { world } = script;
  await script.delete(await script.backUp(world.addVolume(disk(2, 4, 6))));
  const writer = await script.startBackup(world.addVolume(disk(1, 3, 5)));
  await script.until(writer.actor, before('put', RECORD));
  world.killProcess(script.process(0));
  const prune = await script.startPrune(1);
  await script.until(prune, after('condemnSlots'));
  const again = await script.run(writer.jobId, (await world.startProcess()).id);
  await script.until(again, before('put', RECORD));
  await script.finish(prune);
  await script.finish(again);
  return writer;
}

test('1.13 what is condemned between two attempts of a job is nothing that it stored', async () => {
  using script = await Script.start();
  const writer = await pruneBetweenAttempts(script);
  assert.equal(script.statusOf(writer), 'SUCCESS');
  await script.settle();
});

test('1.13 the model notices when packs belong to an attempt', async () => {
  using script = await Script.start({
    mutation: mutation('pins, uses and packs belong to the job and outlive an attempt'),
  });
  await assert.rejects(pruneBetweenAttempts(script), Violation);
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

/** A backup is deleted while it is verified. */
async function deleteVerified(script: Script) {
  const backupId = await script.backUp(script.world.addVolume(disk(1, 2, 3)));
  const verification = await script.startReader(backupId, { kind: 'verify' });
  await script.until(verification.actor, before('noteFinding'));
  const deletion = await script.startDeletion(backupId, 1);
  await script.finish(deletion.actor);
  await script.prune(1);
  await script.finish(verification.actor);
  return { verification, deletion };
}

test('1.16 a backup that is verified is deleted only after that', async () => {
  using script = await Script.start();
  const { verification, deletion } = await deleteVerified(script);
  assert.equal(script.statusOf(verification), 'SUCCESS');
  await script.finish(await script.run(deletion.jobId));
  assert.equal(script.statusOf(deletion), 'SUCCESS');
  await script.settle();
});

test('1.16 the model notices when a verification does not pin its backup', async () => {
  using script = await Script.start({ mutation: mutation('a verification pins its backup') });
  await assert.rejects(deleteVerified(script), Violation);
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

test('1.21 slots are condemned in batches, each of which looks at the roots again', async () => {
  const requested: { count: number; status: string }[] = [];
  using script = await Script.start({
    mutation: {
      name: 'none: it tells what is asked for',
      ledger: (real) => ({
        condemnSlots: async (projectId, request, nowAt) => {
          const outcome = await real.condemnSlots(projectId, request, nowAt);
          requested.push({ count: request.packs.length, status: outcome.status });
          return outcome;
        },
      }),
    },
  });
  const { world } = script;
  await script.backUp(world.addVolume(disk(1, 2, 3)));
  // Dead packs, more than one transaction is to look at.
  const { projectId } = world;
  for (let i = 0; i < CONDEMN_BATCH_COUNT + 1; i += 1) {
    world.catalog.query(
      `insert into packs (pack_id, project_id, kind, state, job_id, object_id, is_closed, slot_count, stored_bytes)
       values (?, ?, 'data', 'live', ?, ?, 0, 1, 1)`,
      ...[newUuid(), projectId, newUuid(), newUuid()],
    );
  }
  const prune = await script.startPrune(1);
  await script.until(prune, after('condemnSlots'));
  const laterId = await script.backUp(world.addVolume(disk(4, 5, 6)));
  await script.finish(prune);
  const statuses = requested.map(({ status }) => status);
  assert.deepEqual(
    statuses,
    ['done', 'roots-unmarked', 'done'],
    'the later backup is marked before anything else goes',
  );
  assert(requested.every(({ count }) => count <= CONDEMN_BATCH_COUNT));
  assert.equal(script.countPacks('retired'), CONDEMN_BATCH_COUNT + 1);
  const reader = await script.startReader(laterId);
  await script.finish(reader.actor);
  assert.equal(script.statusOf(reader), 'SUCCESS');
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

test('2.1 a rebuild takes in no record that leads to nothing', async () => {
  using script = await Script.start();
  const { world } = script;
  const keptId = await script.backUp(world.addVolume(disk(2, 4, 6)));
  const writer = await script.startBackup(world.addVolume(disk(1, 3, 5)));
  await script.until(writer.actor, before('put', RECORD));
  world.killProcess(script.process(0));
  const [late] = world.store.late.splice(0);
  // Nobody takes the job again, and what it stored is swept.
  const deletion = await script.startDeletion(writer.backupId, 1);
  world.catalog.query(`update jobs set status = 'FAIL' where job_id = ?`, writer.jobId);
  await script.finish(deletion.actor);
  await script.prune(1);
  assert(late);
  await late.land();
  assert.equal([...world.store.names].filter((name) => RECORD.test(name)).length, 2);
  await script.rebuild();
  const backupIds = world.catalog.query('select backup_id from backups').map((row) => row.backup_id);
  assert.deepEqual(backupIds, [keptId]);
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

/** A rebuild whose listings lack a record; then the only other backup with the same chunks is deleted. */
async function rebuildWithLag(script: Script): Promise<void> {
  const { world } = script;
  const knownId = await script.backUp(world.addVolume(disk(1, 3, 5)));
  const hiddenId = await script.backUp(world.addVolume(disk(1, 3, 5)));
  for (const name of world.store.names) if (name.includes(hiddenId)) world.store.unlisted.add(name);
  await script.rebuild();
  const { id } = await world.startProcess();
  await script.finish((await script.startDeletion(knownId, id)).actor);
  await script.prune(id);
}

test('2.4 a record that a lagging listing hides from a rebuild keeps its chunks for a week', async () => {
  using script = await Script.start();
  await rebuildWithLag(script);
  assert.equal(script.countCondemned(), 0);
  script.world.store.unlisted.clear();
  await script.settle();
  assert.equal(script.world.catalog.query(`select 1 from backups where status = 'available'`).length, 1);
});

test('2.4 the model notices when a rebuilt project condemns at once', async () => {
  using script = await Script.start({ mutation: mutation('an adopted project condemns nothing for a week') });
  await assert.rejects(rebuildWithLag(script), Violation);
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

test('a compaction whose pack another one compacted and swept meanwhile reports no damage', async () => {
  using script = await Script.start();
  const { world } = script;
  const deletedId = await script.backUp(world.addVolume(disk(1, 3, 5, 7, 9)));
  await script.backUp(world.addVolume(disk(1)));
  await script.delete(deletedId);
  const slow = await script.startPrune(0);
  await script.until(slow, after('beginCompaction'));
  // An increment of process 1 has no trailer of it in memory; the slow one reads frames of an object that is gone.
  await script.prune(1);
  await script.finish(slow);
  await script.settle();
});

/** Two backups are deleted after a check has looked at their manifests: one pack goes, the other is compacted. */
async function deleteChecked(script: Script): Promise<void> {
  const { world } = script;
  const goneId = await script.backUp(world.addVolume(disk(2, 4, 6)));
  const deletedId = await script.backUp(world.addVolume(disk(1, 3, 5, 7, 9)));
  await script.backUp(world.addVolume(disk(1)));
  const check = await script.startCheck();
  await script.until(check, before('listLivePacks'));
  for (const backupId of [goneId, deletedId]) await script.delete(backupId);
  await script.prune(1);
  assert.equal(script.countPacks('retired'), 1);
  await script.finish(check);
}

test('a check takes nothing for damaged that was deleted, pruned and compacted since it looked', async () => {
  using script = await Script.start();
  await deleteChecked(script);
  await script.settle();
});

test('the model notices when a check misses what was condemned', async () => {
  using script = await Script.start({ mutation: mutation('what was condemned is not missed by a verification') });
  await assert.rejects(deleteChecked(script), Violation);
});

/** The writer dies when its record is there and not yet sure to stay; the power goes after the catalog took it in. */
async function loseUnsureRecord(script: Script, takeIn: () => Promise<void>): Promise<void> {
  const { world } = script;
  const copy = world.catalog.copy();
  const writer = await script.startBackup(world.addVolume(disk(1, 3, 5)));
  await script.until(writer.actor, after('put', RECORD));
  for (const process of world.processes) world.killProcess(process);
  await world.setBack(copy);
  await takeIn();
  await world.store.losePower({ oneIn: () => true, below: () => 0 });
  await world.check();
  assert.equal(world.violation, undefined);
  const { attempt_id } = world.catalog.query(`select * from backups where status = 'available'`)[0] ?? {};
  assert.notEqual(attempt_id, undefined, 'the record was taken in');
}

test('an adoption makes durable what it takes in', async () => {
  using script = await Script.start();
  await loseUnsureRecord(script, async () => {
    const { id } = await script.world.startProcess();
    await script.finish(await script.startAdoption(id));
  });
  await script.settle();
});

test('a rebuild makes durable what it takes in', async () => {
  using script = await Script.start();
  await loseUnsureRecord(script, () => script.rebuild());
  await script.settle();
});

/**
 * The catalog is set aside and made anew, and that one makes a backup of the disk from what is stored already. Then the
 * first one is put back, adopts and sweeps.
 */
async function comeBack(script: Script, contents: ReturnType<typeof disk>): Promise<void> {
  const { world } = script;
  const copy = world.catalog.copy();
  await script.rebuild();
  const packCount = script.countPacks('live');
  const writer = await script.startBackup(world.addVolume(contents), { on: (await world.startProcess()).id });
  await script.finish(writer.actor);
  assert.equal(script.statusOf(writer), 'SUCCESS');
  assert.equal(script.countPacks('live'), packCount, 'every chunk was there');
  for (const process of world.processes) world.killProcess(process);
  await world.setBack(copy);
  assert(world.isSetBack);
  const { id } = await world.startProcess();
  await script.finish(await script.startAdoption(id));
  assert(!world.isSetBack);
  await script.finish(await script.startSweep(id));
  await script.prune(id);
  const [row] = world.catalog.query('select status from backups where backup_id = ?', writer.backupId);
  assert.equal(row?.status, 'available');
  await script.settle();
}

/** Lets a prune go on until after such a call, and kills it. */
async function breakOff(script: Script, operation: string): Promise<void> {
  const prune = await script.startPrune(0);
  await script.until(prune, after(operation));
  script.world.killProcess(script.process(0));
}

test('a catalog that comes back after a rebuild sweeps no pack that was used meanwhile', async () => {
  using script = await Script.start();
  await script.delete(await script.backUp(script.world.addVolume(disk(1, 3, 5))));
  await breakOff(script, 'condemnSlots');
  assert.equal(script.countPacks('retired'), 1);
  await comeBack(script, disk(1, 3, 5));
});

test('a catalog that comes back after a rebuild sweeps no version of a pack that was used meanwhile', async () => {
  using script = await Script.start();
  const deletedId = await script.backUp(script.world.addVolume(disk(1, 3, 5, 7, 9)));
  await script.backUp(script.world.addVolume(disk(1)));
  await script.delete(deletedId);
  await breakOff(script, 'finishCompaction');
  await comeBack(script, disk(1, 3, 5, 7, 9));
});

test('a catalog that comes back after a rebuild condemns no chunk any more that was used meanwhile', async () => {
  using script = await Script.start();
  const deletedId = await script.backUp(script.world.addVolume(disk(1, 3, 5, 7, 9)));
  await script.backUp(script.world.addVolume(disk(1, 3, 5)));
  await script.delete(deletedId);
  await script.prune(1);
  assert(script.countCondemned() > 0);
  await comeBack(script, disk(1, 3, 5, 7, 9));
});

test('a catalog that is ahead of a copy that was used meanwhile sweeps nothing that the copy has used', async () => {
  using script = await Script.start();
  const { world } = script;
  const deletedId = await script.backUp(world.addVolume(disk(1, 3, 5)));
  const copy = world.catalog.copy();
  await script.delete(deletedId);
  await breakOff(script, 'condemnSlots');
  const ahead = world.catalog.copy();
  await world.setBack(copy);
  const { id } = await world.startProcess();
  await script.finish(await script.startAdoption(id));
  const writer = await script.startBackup(world.addVolume(disk(1, 3, 5)), { on: id });
  await script.finish(writer.actor);
  assert.equal(script.statusOf(writer), 'SUCCESS');
  for (const process of world.processes) world.killProcess(process);
  await world.setBack(ahead);
  const adopter = await world.startProcess();
  await script.finish(await script.startAdoption(adopter.id));
  await script.finish(await script.startSweep(adopter.id));
  await script.settle();
});

test('7.2 a verification of one backup says nothing about the rest of a pack that is distrusted', async () => {
  using script = await Script.start();
  const { world } = script;
  const { catalog } = world;
  await script.backUp(world.addVolume(disk(1, 3, 5, 7, 9)));
  const partId = await script.backUp(world.addVolume(disk(1, 3)));
  // As after a restore that met a wrong bit.
  world.hasMisread = true;
  const [pack] = catalog.query(`select pack_id from packs where kind = 'data'`);
  await catalog.catalog.ledger.distrustPack(world.projectId, pack?.pack_id as PackId);
  const verification = await script.startReader(partId, { kind: 'verify' });
  await script.finish(verification.actor);
  assert.equal(script.statusOf(verification), 'SUCCESS');
  assert.deepEqual(catalog.query('select 1 from backups where is_damaged = 1'), []);
  await script.finish(await script.startRepair());
  assert.deepEqual(catalog.query('select 1 from packs where bad is not null'), []);
  world.hasMisread = false;
  await script.settle();
});

test('a prune whose root is deleted while it is marked goes on, wherever that happens', async () => {
  const page = /\/pages\//;
  let midwayCount = 0;
  for (let readCount = 1; readCount <= 8; readCount += 1) {
    using script = await Script.start();
    const { world } = script;
    const deletedId = await script.backUp(world.addVolume(disk(1, 3, 5, 7, 9, 11, 11, 11, 11)));
    await script.backUp(world.addVolume(disk(1, 3, 5, 7)));
    const slow = await script.startPrune(0);
    let isMarking = true;
    for (let i = 0; i < readCount && isMarking; i += 1) {
      isMarking = await script.passRead(slow, page);
    }
    if (!isMarking) break;
    midwayCount += 1;
    await script.delete(deletedId);
    await script.prune(1);
    await script.finish(slow);
    await script.settle();
  }
  assert(midwayCount > 1, 'deleted at several places');
});

test('a check that is refused a copy of a key once does not call it damaged', async () => {
  using script = await Script.start();
  await script.backUp(script.world.addVolume(disk(1, 2, 3)));
  for (const operation of ['head', 'get']) {
    const check = await script.startCheck();
    await script.until(check, before(operation, /keys\//));
    await script.fail(check, 'refuse');
    await script.finish(check);
  }
  await script.settle();
});

test('every mechanism that is too rare for chance was taken away above', () => {
  const scripted = MUTATIONS.filter(({ isScripted }) => isScripted).map(({ name }) => name);
  assert.deepEqual(
    scripted.filter((name) => !taken.has(name)),
    [],
  );
});

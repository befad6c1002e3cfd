// Brings a world to rest: whoever is under way gets to the end, jobs are run until none is left, the repository is
// adopted where that is needed, and prune and sweep run until they have nothing more to do. What is stored then is
// exactly what the catalog's backups need.
import type { BackupId, ObjectId, PackId } from '../../src/core/ids.ts';
import type { RecordRef } from '../../src/core/ledger.ts';
import { epochName, packObjectName, projectKeyName, recordName } from '../../src/core/object-names.ts';
import { runJob } from './jobs.ts';
import type { Actor } from './scheduler.ts';
import { adopt, check, prune, repair, scrub, sweep } from './upkeep.ts';
import type { Process, World } from './world.ts';

const DAY_MS = 24 * 3600 * 1000;
/** Far more steps than any schedule takes to its end: more means that somebody waits for ever. */
const STEP_MAX = 20_000;
const ROUND_MAX = 30;

type Trace = (line: string) => void;

/** `reads`: every backup that is left is restored or exported too. */
export async function settleWorld(world: World, options: { reads: boolean; trace: Trace }): Promise<void> {
  const { reads, trace } = options;
  for (const call of world.store.late.splice(0)) await call.land();
  await runAll(world, trace);
  const process = await world.startProcess();
  for (let round = 0; !world.violation && round < 2; round += 1) {
    await takeOver(world, process, trace);
    await finishJobs(world, process, trace);
    if (!world.isSetBack) break;
  }
  if (world.isSetBack) world.fail('the repository could not be adopted');
  // Listings may still lag behind: a prune now must know that.
  if (world.store.unlisted.size > 0) await alone(world, trace, 'early prune', () => prune(world, process));
  world.store.unlisted.clear();
  // Prune tells of records that the catalog does not know: the operator has them adopted.
  if (world.hasLostRows || world.isRebuilt) {
    await alone(world, trace, 'adoption', async () => void (await adopt(world, process)));
  }
  // An adoption keeps prune from condemning for a week; every name is deleted a second time a day after the first.
  world.pass(8 * DAY_MS);
  if (world.hasLostRows || world.isRebuilt) {
    await giveUpForgotten(world, process);
    await deleteLost(world);
    await finishJobs(world, process, trace);
  }
  // Of two versions of a pack that a rebuild found, one goes when the other was read as a whole.
  if (world.isRebuilt) await alone(world, trace, 'scrub', () => scrub(world, process));
  // What was called damaged by mistake is looked at again; from here on nothing may be.
  if (world.hasMisread) await alone(world, trace, 'repair', () => repair(world, process));
  world.hasMisread = false;
  for (let round = 0; !world.violation && round < 2; round += 1) {
    await alone(world, trace, 'prune', () => prune(world, process));
    await alone(world, trace, 'sweep', () => sweep(world, process));
    world.pass(2 * DAY_MS);
  }
  await alone(world, trace, 'sweep', () => sweep(world, process));
  if (!world.violation && reads) await alone(world, trace, 'check', () => check(world, process));
  if (!world.violation && reads) await readAll(world, process, trace);
  if (!world.violation) checkRest(world);
}

/** What an adoption refuses is given up by name where it cannot be had; then the next one takes the project over. */
async function takeOver(world: World, process: Process, trace: Trace): Promise<void> {
  const { truth, catalog, scheduler, projectId } = world;
  for (let round = 0; world.isSetBack && !world.violation && round < 2; round += 1) {
    let refused: readonly RecordRef[] = [];
    const run = async () => {
      refused = (await adopt(world, process))?.refused ?? [];
    };
    await alone(world, trace, 'adopt', run);
    for (const record of refused) {
      const attempt = truth.attempts.get(recordName(projectId, record.backupId, record.attemptId));
      // Of several attempts of one backup only one becomes it.
      const [known] = catalog.query('select attempt_id from backups where backup_id = ?', record.backupId);
      const isWhole = attempt?.slots !== undefined && truth.findLost(attempt) === undefined;
      if (isWhole && !known) world.fail(`an adoption refuses the record of backup ${record.backupId}, which is whole`);
      await scheduler.aside(() => process.ledger.giveUpRecord(projectId, record));
    }
  }
}

async function runAll(world: World, trace: Trace): Promise<void> {
  const { scheduler } = world;
  for (let step = 0; scheduler.waiting.length > 0 && !world.violation; step += 1) {
    if (step > STEP_MAX) throw new Error(`schedule did not end: ${scheduler.waiting[0]?.actor.name}`);
    // In turn, so that nobody waits for somebody who is never let go.
    const next = scheduler.waiting[0];
    if (!next) break;
    const { call, actor } = next;
    trace(`${actor.name}: ${call.target} ${call.operation} ${call.name} ${call.phase}`);
    await scheduler.open(next);
    await world.check();
  }
  const stuck = scheduler.actors.find((actor) => !actor.hasEnded);
  if (stuck && !world.violation) throw new Error(`${stuck.name} waits for something that nobody knows of`);
  const failed = scheduler.actors.find((actor) => actor.state === 'failed');
  if (failed && !isLeft(failed)) world.fail(`${failed.name} threw ${describeError(failed.error)}`);
}

/** What a process throws when it cannot even settle a job: the job is taken again. */
function isLeft({ error }: Actor): boolean {
  return error instanceof Error && 'code' in error;
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function alone(world: World, trace: Trace, name: string, work: () => Promise<void>): Promise<void> {
  if (world.violation) return;
  const actor = world.scheduler.spawn(`last ${name}`, -1, work);
  await world.scheduler.settle(actor);
  await runAll(world, trace);
  if (actor.state === 'failed') world.fail(`the last ${name} threw ${describeError(actor.error)}`);
}

async function finishJobs(world: World, process: Process, trace: Trace): Promise<void> {
  for (let round = 0; round < ROUND_MAX && !world.violation; round += 1) {
    const open = world.openJobs();
    if (open.length === 0) return;
    // In every order: a deletion waits for readers.
    for (const { jobId, projectId, kind } of open) {
      await alone(world, trace, `${kind} ${jobId.slice(0, 4)}`, () => runJob(world, process, jobId, projectId));
    }
  }
  if (!world.violation && !world.isSetBack) world.fail(`jobs never end: ${JSON.stringify(world.openJobs())}`);
}

/** What an operator does about records that lead to nothing, and that the catalog does not know. */
async function giveUpForgotten(world: World, { ledger }: Process): Promise<void> {
  const { truth, scheduler, projectId } = world;
  const committedOf = new Map(committed(world).map((row) => [row.backup_id, row.attempt_id]));
  for (const attempt of truth.attempts.values()) {
    // Of several attempts of a backup a rebuild takes the newest; when that was deleted, the others are still refused.
    const isRefused = world.isRebuilt && committedOf.get(attempt.backupId) !== attempt.attemptId;
    const isLost = !attempt.slots || truth.findLost(attempt) !== undefined || isRefused;
    if (truth.hasRecord(attempt) && isLost) await scheduler.aside(() => ledger.giveUpRecord(projectId, attempt));
  }
}

/** What an adoption found to be gone keeps prune from working until it is deleted. */
async function deleteLost(world: World): Promise<void> {
  for (const row of committed(world)) {
    // The cast: the row was entered under a typed id.
    if (row.is_damaged === 1) await world.queueDeletion(row.backup_id as BackupId);
  }
}

/** Every backup that is left restores byte for byte, by the real engine. */
async function readAll(world: World, process: Process, trace: Trace): Promise<void> {
  for (const { backup_id: id } of committed(world)) {
    // The cast: the row was entered under a typed id.
    const jobId = await world.queueReader(id as BackupId);
    await alone(world, trace, 'reader', () => runJob(world, process, jobId, world.projectId));
    const [job] = world.catalog.query('select status, fail_reason from jobs where job_id = ?', jobId);
    if (job?.status !== 'SUCCESS') world.fail(`backup ${id} cannot be read: ${job?.fail_reason}`);
  }
}

function committed(world: World) {
  return world.catalog.query('select * from backups where attempt_id is not null and deleted_at is null');
}

/** Only what is needed is stored, and nothing is left in the trash. */
function checkRest(world: World): void {
  const { catalog, store, truth, projectId } = world;
  const expected = new Set<string>(['config', epochName(projectId)]);
  for (const row of catalog.query('select key_id, project_id from keys')) {
    const keyId = row.key_id as Parameters<typeof projectKeyName>[1];
    expected.add(row.project_id === null ? `keys/${keyId}` : projectKeyName(projectId, keyId));
  }
  const reached = new Set<string>();
  for (const row of committed(world)) {
    const name = recordName(projectId, row.backup_id as BackupId, row.attempt_id as never);
    expected.add(name);
    for (const { packId } of truth.attempts.get(name)?.slots ?? []) reached.add(packId);
  }
  for (const row of catalog.query(`select pack_id, kind, object_id from packs where state = 'live'`)) {
    if (!reached.has(String(row.pack_id))) world.fail(`pack ${row.pack_id} is live, and no backup needs it`);
    const location = { packId: row.pack_id as PackId, objectId: row.object_id as ObjectId };
    expected.add(packObjectName(projectId, { ...location, kind: row.kind === 'data' ? 'data' : 'page' }));
  }
  for (const name of expected) if (!store.has(name)) world.fail(`${name} is missing at the end`);
  // A catalog that lost rows does not know what they named: such objects are reported, never deleted on sight.
  if (world.hasLostRows) return;
  for (const name of store.names) {
    // What cannot be opened gets no row from a rebuild, and is reported too.
    if (expected.has(name) || (world.isRebuilt && truth.isCutShort(name))) continue;
    world.fail(`${name} is left, and nobody needs it`);
  }
  const [trash] = catalog.query('select object_name from trash');
  if (trash) world.fail(`${trash.object_name} is in the trash for ever`);
}

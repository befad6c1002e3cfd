// What processes do with jobs, in the shortest words: the same calls in the same order as src/services/*-handler.ts and
// src/jobs/job-runner.ts, without leases, timers and HTTP.
import { isVbsError, VbsError } from '../../src/core/errors.ts';
import { type BackupId, type JobId, newUuid, type ProjectId, parseUuid, type VolumeId } from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import { JOB_FAILURE_MAX } from '../../src/core/limits.ts';
import { packIdOf } from '../../src/core/object-names.ts';
import type { TakenJob } from '../../src/db/record-types.ts';
import { openBackup } from '../../src/engine/backup-reader.ts';
import { writeBackup } from '../../src/engine/backup-writer.ts';
import { restoreBackup } from '../../src/engine/restore-writer.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { verifyBackup } from '../../src/engine/verify/verify-backup.ts';
import { areSame } from './model-disks.ts';
import { describe } from './truth.ts';
import type { Process, World } from './world.ts';

/** What may go wrong without anybody being to blame: the store or the catalog was away, or others were faster. */
const EXPECTED = [
  'STORAGE_IO',
  'STORAGE_FULL',
  'CATALOG_UNAVAILABLE',
  'JOB_FENCED',
  'BACKUP_NOT_FOUND',
  'EPOCH_CONFLICT',
  'OBJECT_EXISTS',
];

/** And when something was read with a wrong bit: what depends on it is given up. */
const EXPECTED_OF_MISREADS = ['DATA_CORRUPT', 'PRUNE_BLOCKED', 'BACKUP_DAMAGED'];

class Postponed extends Error {}

/** Takes a job, by a process that may already be running it unawares, and carries it out. */
export async function runJob(world: World, process: Process, jobId: JobId, projectId: ProjectId): Promise<void> {
  const { jobs } = process.catalog.catalog;
  const listed = await jobs.get(projectId, jobId);
  if (!listed) return;
  // A lease that has ended already: anybody may take the job while it runs.
  const taken = await jobs.take(listed, { runnerId: `process ${process.id}`, leaseUntil: 0 }, world.clock.now());
  if (!taken) return;
  const actor = world.scheduler.current;
  if (actor) actor.claim = taken.claim;
  try {
    if (taken.job.kind === 'backup') await runBackup(world, process, taken);
    else if (taken.job.kind === 'restore') await runReader(world, process, taken);
    else if (taken.job.kind === 'verify') await runVerification(world, process, taken);
    else await runDeletion(process, taken);
  } catch (error) {
    await settle(world, process, taken, error);
  }
}

async function runBackup(world: World, process: Process, { job, claim }: TakenJob): Promise<void> {
  const { repository, ledger } = process;
  const volume = world.volumes.find(({ volumeId }) => volumeId === job.volumeId);
  if (!volume || job.backupId === null) throw new Error('a backup names its volume');
  const backup = await process.catalog.catalog.backups.get(claim.projectId, job.backupId);
  world.noteReading(claim, new Map(volume.contents));
  const written = await writeBackup(repository, {
    claim,
    backupId: job.backupId,
    volumeId: volume.volumeId as VolumeId,
    isIncremental: backup?.isIncrementalRequested ?? true,
    source: world.disks.source(volume.contents, world.tick()),
    describe: { name: 'model', description: null, tags: [], volumeName: null, driver: 'file', createdAt: 0 },
    report: () => undefined,
    signal: new AbortController().signal,
  });
  await ledger.commitBackup(claim, written.commit, world.tick());
  await ledger.addHooks(claim.projectId, [...written.hooks]);
  if (claim.attempt > 1) await sweepTrash(repository, claim.projectId);
}

/** Restores one half of the readers' backups, and reads the others piece by piece, as an export does. */
async function runReader(world: World, process: Process, { job, claim }: TakenJob): Promise<void> {
  const { backupId } = job;
  if (backupId === null) throw new Error('a reader names its backup');
  if (Number.parseInt(job.jobId.slice(-1), 16) % 2 === 0) {
    const target = world.disks.target();
    await restoreBackup(process.repository, {
      claim,
      backupId,
      volumeId: newUuid<VolumeId>(),
      target,
      zeroBeyond: false,
      report: () => undefined,
      signal: new AbortController().signal,
    });
    if (!world.truth.contentsOf(backupId).some((contents) => areSame(target.read(), contents))) {
      world.fail(`a restore of backup ${backupId} gave other data than its disk had`);
    }
  } else {
    const reader = await openBackup(process.repository, { claim, backupId });
    const read = await world.disks.readAll(reader);
    if (!world.truth.contentsOf(backupId).some((contents) => areSame(read, contents))) {
      world.fail(`an export of backup ${backupId} gave other data than its disk had`);
    }
  }
  await process.catalog.catalog.jobs.end(claim, { status: 'SUCCESS' }, world.tick());
}

async function runVerification(world: World, process: Process, { job, claim }: TakenJob): Promise<void> {
  const { backupId } = job;
  if (backupId === null) throw new Error('a verification names its backup');
  const { isSound, damage, gaps } = await verifyBackup(process.repository, {
    claim,
    backupId,
    report: () => undefined,
    signal: new AbortController().signal,
  });
  const [first] = damage;
  const { reason, objectName: object } = first ?? gaps[0] ?? { reason: 'it leads to bad slots', objectName: '' };
  // A zombie's pin went with its job: what it reads may be gone.
  if (!isSound && !world.isZombie()) world.noteDamage('a verification', [backupId], reason);
  const details = { backupId, count: damage.length + gaps.length, object, offsetBytes: 0, reason };
  if (!isSound) throw new VbsError('BACKUP_DAMAGED', details);
  await process.catalog.catalog.jobs.end(claim, { status: 'SUCCESS' }, world.tick());
}

async function runDeletion({ ledger, repository }: Process, { job, claim }: TakenJob): Promise<void> {
  // The cast: a deletion names its backup.
  const backupId = job.backupId as BackupId;
  const state = await ledger.takeForDeletion(claim, backupId);
  if (state === 'pinned') throw new Postponed();
  let failure: unknown;
  if (state === 'trashed') {
    await sweepTrash(repository, claim.projectId).catch((error: unknown) => {
      failure = error;
    });
  }
  const isGone = await ledger.finishDeletion(claim, backupId, job.createdAt);
  if (!isGone) throw failure ?? new Postponed();
}

/** As the runner: the row tells whether the job has ended after all, and a job that may be tried again is. */
async function settle(world: World, process: Process, { job, claim, failures }: TakenJob, error: unknown) {
  const { jobs } = process.catalog.catalog;
  noteUnexpected(world, job.kind, error);
  const hasPin = job.projectId === world.otherProjectId && !world.hasLostRows && !world.isZombie();
  if (hasPin && isVbsError(error, 'BACKUP_NOT_FOUND')) {
    world.fail(`backup ${job.backupId} was deleted although a job of another project had its pin`);
  }
  const current = await jobs.get(job.projectId, job.jobId);
  const isOver = current?.status !== 'RUNNING' || current.attempt !== claim.attempt;
  if (isOver && !(world.settlesBlindly && job.kind === 'backup')) return;
  if (error instanceof Postponed) {
    await jobs.putBack(claim, 0);
    return;
  }
  const failure = error instanceof VbsError ? error : new VbsError('INTERNAL', {}, { cause: error });
  const isStuck = failure.code === 'EPOCH_CONFLICT';
  const isRetried = failure.spec.isRetryable && !world.settlesBlindly;
  // Nothing is given up while an operator is needed; a deletion is tried until it is done.
  if (isStuck || job.kind === 'delete-backup' || (isRetried && failures + 1 < JOB_FAILURE_MAX)) {
    await jobs.putBack(claim, 0, isStuck ? undefined : failure.message);
    return;
  }
  const outcome = { errorCode: failure.code, failReason: failure.message };
  if (job.kind === 'backup') await process.ledger.failBackup(claim, outcome, world.tick());
  else if (job.kind === 'restore' && failure.code === 'DATA_CORRUPT')
    await failDamaged(world, process, job, claim, failure);
  else await jobs.end(claim, { status: 'FAIL', ...outcome }, world.tick());
}

/** What a reader finds damaged is no parent any more, and nothing is taken from there. */
async function failDamaged(
  world: World,
  process: Process,
  { backupId }: TakenJob['job'],
  claim: JobClaim,
  failure: VbsError,
): Promise<void> {
  const { projectId, otherProjectId } = world;
  await process.catalog.catalog.transactAcross([projectId, otherProjectId], async ({ jobs, backups, ledger }) => {
    await jobs.requireClaim(claim);
    const updatedAt = world.tick();
    if (backupId !== null) await backups.markDamaged(backupId, { failReason: failure.message, updatedAt });
    const packId = packIdOf(projectId, String(failure.details.object));
    if (packId !== undefined) await ledger.distrustPack(projectId, packId);
    await jobs.end(claim, { status: 'FAIL', errorCode: failure.code, failReason: failure.message }, updatedAt);
  });
}

/** A commit that misses its rows; a job that is gone; a record whose attempt was forgotten keeps prune from working. */
function isOfLostRows(error: unknown): boolean {
  if (!(error instanceof VbsError)) return error instanceof Error && error.message.includes('constraint failed');
  return error.code === 'COMMIT_CHECK_FAILED' || error.code === 'PRUNE_BLOCKED';
}

export function noteUnexpected(world: World, what: string, error: unknown): void {
  if (error instanceof Postponed) return;
  const isExpected =
    error instanceof VbsError &&
    (EXPECTED.includes(error.code) || (world.hasMisread && EXPECTED_OF_MISREADS.includes(error.code)));
  // What a zombie reads may be gone: its pins went with its job.
  // A record that a rebuild refused is a root that cannot be read, until the operator gives it up.
  const isRefused = world.isRebuilt && error instanceof VbsError && error.code === 'PRUNE_BLOCKED';
  if (isExpected || isRefused || world.isSetBack || world.isZombie() || (world.hasLostRows && isOfLostRows(error)))
    return;
  const trace = error instanceof VbsError || !(error instanceof Error) ? '' : `\n${error.stack}`;
  world.fail(`${what} met what must not happen: ${describe(error)}${trace}`);
}

/** The id of a backup in a row. */
export function backupIdOf(value: unknown): BackupId {
  const backupId = parseUuid<BackupId>(String(value));
  if (!backupId) throw new Error(`${value} is no id of a backup`);
  return backupId;
}

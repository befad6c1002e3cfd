// Kills the service at random moments of its jobs and checks what a user may rely on afterwards: every job ends, what
// was reported available restores byte for byte, and the repository holds nothing that the catalog does not know.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { MIB } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/ports.ts';
import { makeImage, makeRandom, noise, overwrite } from './disk-files.ts';
import { at, type Json, type LiveJob, waitFor } from './live-api.ts';
import { LiveService, QUICK_START } from './live-service.ts';
import { auditRepository, type RepositoryAudit } from './repository-audit.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const PIECE_BYTES = 4 * MIB;
/** Deletions are over about this fast. */
const DELETION_MS = 80;
/** Names what is on the disk when it was written to and not backed up. */
const SCRIBBLE = 'scribble';
/** Names the backup that is made for its baseline. */
const HELD = 'held';
const SWEEP_WAIT_MS = 15_000;

export type KillBenchOptions = {
  readonly seed: string;
  readonly sizeBytes: number;
  /** Rewritten before every backup, so that there is something to store. */
  readonly changedBytes: number;
  /** Absent: a temporary one. */
  readonly folder?: string;
};

export class KillBench {
  readonly #options: KillBenchOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #random: () => number;
  /** Of the disk at the moment of a backup, by the backup's name. */
  readonly #digests = new Map<string, string>();
  readonly #disk: string;
  #service: LiveService;
  #volumeId = '';
  #targetId = '';
  #changeCount = 0;
  /** Measured once, undisturbed. */
  backupMs = 0;
  restoreMs = 0;
  #verifyMs = 0;
  #rollbackMs = 0;

  private constructor(options: KillBenchOptions, service: LiveService) {
    this.#options = options;
    this.#random = makeRandom(options.seed);
    this.#service = service;
    this.#disk = join(service.disksFolder, 'disk.img');
  }

  static async start(options: KillBenchOptions): Promise<KillBench> {
    const folder = await makeTemporaryFolder();
    const bench = new KillBench(
      options,
      await LiveService.start({ ...QUICK_START, folder: options.folder ?? folder.path }),
    );
    bench.#stack.use(folder);
    bench.#stack.defer(() => bench.#service[Symbol.asyncDispose]());
    await bench.#prepare();
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Kills the service in the middle of a backup; returns how the backup's job ended, if it came to be. */
  async killDuringBackup(name: string): Promise<LiveJob | undefined> {
    await this.#changeDisk(name);
    const { api } = this.#service;
    const isFull = this.#random() < 0.5;
    await this.#killDuring(() => api.startBackup(this.#volumeId, name, isFull), this.backupMs);
    const backup = (await this.#service.api.listBackups()).find((listed) => listed.name === name);
    if (backup === undefined) return undefined;
    return (await this.#service.api.listJobs()).find((job) => job.backupId === backup.id);
  }

  /** Kills the service in the middle of a restore of a backup drawn by lot, and looks at what was restored. */
  async killDuringRestore(): Promise<LiveJob | undefined> {
    const { api } = this.#service;
    const { id, name } = await this.#drawBackup();
    const known = new Set((await api.listJobs()).map(({ jobId }) => jobId));
    const isNew = this.#random() < 0.3;
    const start = isNew ? () => api.createVolume({ backup_id: id }) : () => api.startRestore(id, this.#targetId);
    await this.#killDuring(start, this.restoreMs);
    const job = (await this.#service.api.listJobs()).find(({ jobId }) => !known.has(jobId));
    if (job?.status === 'SUCCESS') {
      assert.equal(await this.#digestOf(job.volumeId), this.#digests.get(name), `${name} was restored wrongly`);
    }
    if (job !== undefined && job.volumeId !== this.#targetId) await this.#dropVolume(job.volumeId);
    return job;
  }

  /** Kills the service while it deletes a backup drawn by lot: it is gone afterwards, or as good as before. */
  async killDuringDeletion(): Promise<LiveJob | undefined> {
    const { id } = await this.#drawBackup();
    const { api } = this.#service;
    await this.#killDuring(() => api.startDeletion(id), DELETION_MS, { deletedId: id });
    const isThere = (await this.#listAvailable()).some((backup) => backup.id === id);
    const job = (await this.#service.api.listJobs()).find(
      ({ backupId, status }) => backupId === id && status === 'SUCCESS',
    );
    const { status } = await this.#service.api.call('GET', `/v3/{p}/native/backups/${id}`);
    assert.equal(status, isThere ? 200 : 404);
    return job;
  }

  /**
   * Kills the service while a backup drawn by lot is imported under another id and its original deleted: one of the two
   * is there afterwards, whatever came to be.
   */
  async killDuringImport(): Promise<{ readonly isImported: boolean; readonly isDeleted: boolean }> {
    const { id } = await this.#drawBackup();
    const importedId = randomUUID();
    const { api } = this.#service;
    const record = at(await api.must('GET', `/v3/{p}/backups/${id}/export_record`), 'backup-record');
    const changed = { ...JSON.parse(Buffer.from(String(record.backup_url), 'base64').toString()), id: importedId };
    const url = Buffer.from(JSON.stringify(changed)).toString('base64');
    const body = { 'backup-record': { ...record, backup_url: url } };
    const send = async () => {
      await api.must('POST', '/v3/{p}/backups/import_record', { body });
      await api.startDeletion(id);
    };
    await this.#killDuring(send, DELETION_MS, { deletedId: id });
    const available = new Set((await this.#listAvailable()).map((backup) => backup.id));
    const found = { isImported: available.has(importedId), isDeleted: !available.has(id) };
    assert(found.isImported || !found.isDeleted, 'the data of a backup is gone with the original');
    return found;
  }

  /**
   * Kills the service in the middle of a verification, at `moment` of it (0 to 1): it goes on afterwards. Undefined: it
   * never came to be.
   */
  async killDuringVerify(moment: number): Promise<LiveJob | undefined> {
    const { id } = await this.#drawBackup();
    return await this.#findNewJob(() =>
      this.#killDuring(() => this.#startVerify(id), this.#verifyMs || this.restoreMs, { moment }),
    );
  }

  /** Kills the service in the middle of a check that reads all data; returns what the check finds when asked again. */
  async killDuringCheck(moment: number): Promise<Json> {
    const path = '/v1/{p}/repository/check';
    const body = { read_percent: 100 };
    const { api } = this.#service;
    await this.#killDuring(() => api.must('POST', path, { body }), this.#verifyMs || this.restoreMs, { moment });
    await this.#service.api.must('POST', path, { body });
    const run = await this.#service.api.waitForRun();
    assert.equal(run.status, 'done', JSON.stringify(run.error));
    return at(run, 'report');
  }

  /** How long a verification of a backup takes by itself; kills of verifications come within it. */
  async measureVerify(): Promise<number> {
    const { id } = await this.#drawBackup();
    const durations: number[] = [];
    // The first one reads what is not in memory yet, and others may keep the machine busy: the quickest one counts.
    for (let i = 0; i < 3; i += 1) {
      const beganAt = systemClock.now();
      const job = await this.#service.api.waitForJob(await this.#startVerify(id));
      assert.equal(job.status, 'SUCCESS', String(job.failReason));
      durations.push(systemClock.now() - beganAt);
    }
    this.#verifyMs = Math.min(...durations);
    return this.#verifyMs;
  }

  /** The job was under way when the service was killed last: the process that runs now has taken it up. */
  wasTakenUp(jobId: string): boolean {
    const lines = this.#service.stderr.split('\n');
    return lines.some((line) => line.includes('"message":"job taken"') && line.includes(jobId));
  }

  /** Backs the disk up as it is, in place of the last such backup: where blocks are shared, it has a baseline then. */
  async holdDisk(): Promise<void> {
    const { api } = this.#service;
    const earlier = (await this.#listAvailable()).find(({ name }) => name === HELD);
    if (earlier !== undefined) assert.equal((await api.deleteBackup(earlier.id)).status, 'SUCCESS');
    this.#digests.set(HELD, await digestOfFile(this.#disk));
    await api.backUp(this.#volumeId, HELD);
  }

  /** A rollback of the disk that nobody disturbs: how long it takes, and how it finds what to write. */
  async measureRollback(): Promise<{ durationMs: number; mode: string }> {
    const { id } = await this.#drawBackup();
    await this.#changeDisk(SCRIBBLE);
    const beganAt = systemClock.now();
    const job = await this.#service.api.restore(id, this.#volumeId);
    this.#rollbackMs = systemClock.now() - beganAt;
    assert.equal(job.status, 'SUCCESS', String(job.failReason));
    return { durationMs: this.#rollbackMs, mode: String((await this.#resultOf(job)).mode) };
  }

  /**
   * Kills the service while it puts the disk, a part of which was written anew, back to a backup drawn by lot, at
   * `moment` of it (0 to 1). The disk holds that very backup afterwards, or what it held when the job never came to be.
   * Returns the job and how its last attempt found what to write.
   */
  async killDuringRollback(moment: number): Promise<{ jobId: string; mode: string } | undefined> {
    const { id, name } = await this.#drawBackup();
    await this.#changeDisk(SCRIBBLE);
    const send = () => this.#service.api.startRestore(id, this.#volumeId);
    const job = await this.#findNewJob(() => this.#killDuring(send, this.#rollbackMs || this.restoreMs, { moment }));
    assert(job === undefined || job.status === 'SUCCESS', `rollback to ${name}: ${job?.failReason}`);
    const expected = this.#digests.get(job === undefined ? SCRIBBLE : name);
    assert.equal(await digestOfFile(this.#disk), expected, `the disk was not rolled back to ${name}`);
    return job && { jobId: job.jobId, mode: String((await this.#resultOf(job)).mode) };
  }

  /** Snapshots of disks that lie in the data folder. */
  async listSnapshots(): Promise<string[]> {
    return await readdir(join(this.#service.dataFolder, 'volumes', 'snapshots'));
  }

  /** Restores every available backup and compares; returns their number. */
  async checkEveryBackup(): Promise<number> {
    const { api } = this.#service;
    const backups = await api.listBackups();
    let count = 0;
    for (const { id, name, status } of backups) {
      if (status !== 'available') continue;
      const job = await api.restore(String(id), this.#targetId);
      assert.equal(job.status, 'SUCCESS', `${name}: ${job.failReason}`);
      assert.equal(await this.#digestOf(this.#targetId), this.#digests.get(String(name)), `${name} differs`);
      count += 1;
    }
    return count;
  }

  async #prepare(): Promise<void> {
    const { sizeBytes, seed } = this.#options;
    const { api } = this.#service;
    await makeImage(this.#disk, sizeBytes, sizeBytes, seed);
    this.#volumeId = await api.adoptVolume(this.#disk, 'disk');
    await this.#changeDisk('first');
    await api.backUp(this.#volumeId, 'first');
    await this.#changeDisk('second');
    const beganAt = systemClock.now();
    const { id } = await api.backUp(this.#volumeId, 'second', true);
    this.backupMs = systemClock.now() - beganAt;
    this.#targetId = await api.restoreToNewVolume(id);
    const restoredAt = systemClock.now();
    assert.equal((await api.restore(id, this.#targetId)).status, 'SUCCESS');
    this.restoreMs = systemClock.now() - restoredAt;
  }

  async #startVerify(backupId: string): Promise<string> {
    return String((await this.#service.api.must('POST', `/v1/{p}/backups/${backupId}/verify`)).job_id);
  }

  async #resultOf({ jobId }: LiveJob): Promise<Json> {
    return at(await this.#service.api.must('GET', `/v1/{p}/jobs/${jobId}?progress=true`), 'result');
  }

  /** The job that came up meanwhile. */
  async #findNewJob(work: () => Promise<void>): Promise<LiveJob | undefined> {
    const known = new Set((await this.#service.api.listJobs()).map(({ jobId }) => jobId));
    await work();
    return (await this.#service.api.listJobs()).find(({ jobId }) => !known.has(jobId));
  }

  /**
   * Sends the request, kills at `moment` of its duration (0 to 1; absent: at a random one, or a little later), starts
   * again and waits for every job.
   */
  async #killDuring(
    send: () => Promise<unknown>,
    durationMs: number,
    { moment = this.#random() * 1.1, deletedId }: { moment?: number; deletedId?: string } = {},
  ): Promise<void> {
    const before = await this.#listAvailable();
    const answer = send().catch((error: unknown) => {
      // The answer may be cut off by the kill; any refusal is a mistake of the test.
      assert(error instanceof TypeError, String(error));
    });
    await delay(moment * durationMs);
    await this.#service.kill();
    await answer;
    this.#service = await this.#service.startAgain();
    for (const { jobId, status, errorCode, failReason } of await this.#service.api.waitForAllJobs()) {
      const isExplained = status === 'SUCCESS' || (errorCode !== null && failReason !== null);
      assert(isExplained, `job ${jobId} ended as ${status} without a reason`);
    }
    const after = new Set((await this.#listAvailable()).map(({ id }) => id));
    for (const { id, name } of before) {
      assert(after.has(id) || id === deletedId, `backup ${name} was available and is not any more`);
    }
    await this.#checkAftermath();
  }

  async #checkAftermath(): Promise<void> {
    const { api, dataFolder } = this.#service;
    for (const { status, name } of await api.listBackups()) {
      assert.match(String(status), /^(available|error)$/, `${name} stays ${status}`);
    }
    assert.deepEqual(await auditAtRest(dataFolder), { unknownNames: [], missingNames: [], trashedNames: [] });
  }

  async #listAvailable(): Promise<{ id: string; name: string }[]> {
    const backups = await this.#service.api.listBackups();
    const available = backups.filter(({ status }) => status === 'available');
    return available.map(({ id, name }) => ({ id: String(id), name: String(name) }));
  }

  async #drawBackup(): Promise<{ id: string; name: string }> {
    const backups = await this.#listAvailable();
    const drawn = backups[Math.floor(this.#random() * backups.length)];
    assert(drawn !== undefined, 'there is a backup');
    return drawn;
  }

  /** Rewrites a part of the disk, and keeps the digest of the whole under the name of the backup to come. */
  async #changeDisk(name: string): Promise<void> {
    const { changedBytes, sizeBytes, seed } = this.#options;
    this.#changeCount += 1;
    const start = Math.floor(this.#random() * (sizeBytes - changedBytes));
    for (let at = 0; at < changedBytes; at += PIECE_BYTES) {
      const bytes = noise(Math.min(PIECE_BYTES, changedBytes - at), `${seed}/${this.#changeCount}/${at}`);
      await overwrite(this.#disk, start + at, bytes);
    }
    this.#digests.set(name, await digestOfFile(this.#disk));
  }

  async #digestOf(volumeId: string): Promise<string> {
    return await digestOfFile(join(this.#service.dataFolder, 'volumes', `${volumeId}.raw`));
  }

  async #dropVolume(volumeId: string): Promise<void> {
    const { api } = this.#service;
    await api.must('DELETE', `/v3/{p}/volumes/${volumeId}`);
    await waitFor(async () =>
      (await api.call('GET', `/v3/{p}/volumes/${volumeId}`)).status === 404 ? true : undefined,
    );
  }
}

/** Jobs have ended, but what a crash left is swept in the background, which takes its moment and temporary files. */
export async function auditAtRest(dataFolder: string): Promise<RepositoryAudit> {
  const deadlineAt = systemClock.now() + SWEEP_WAIT_MS;
  for (;;) {
    const audit = await auditRepository(dataFolder);
    const isClean = Object.values(audit).every((names) => names.length === 0);
    if (isClean || systemClock.now() > deadlineAt) return audit;
    await delay(50);
  }
}

export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash);
  return hash.digest('hex');
}

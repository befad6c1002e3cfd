// Verifies one backup: its record, its pages, and every chunk that it leads to are read, opened and compared with their
// digests; what it has several times is read once. What is found is noted, so that exactly the backups that need what
// is damaged are marked, this one or others.
import { VbsError } from '../../core/errors.ts';
import type { BackupId } from '../../core/ids.ts';
import type { CommittedBackup, JobClaim } from '../../core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../core/limits.ts';
import type { Progress } from '../../core/model.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { markDamagedBackups } from './damaged-backups.ts';
import { type ManifestGap, ManifestSurvey } from './manifest-survey.ts';
import type { Damage } from './verify-pack.ts';
import { locateMarked, verifyPacks } from './verify-packs.ts';

export type VerifyRequest = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
};

export type BackupVerdict = {
  readonly backupId: BackupId;
  /** True: all of it was read and is what was stored. */
  readonly isSound: boolean;
  readonly damage: readonly Damage[];
  readonly gaps: readonly ManifestGap[];
  /** Read from the store. */
  readonly readBytes: number;
  readonly packCount: number;
  /** Backups that cannot be restored, as far as is known now; this one too if it is one. */
  readonly damagedBackupIds: readonly BackupId[];
};

/** @throws BACKUP_NOT_FOUND, STORAGE_IO when the store as a whole does not answer, and the reason of the signal */
export async function verifyBackup(repository: Repository, request: VerifyRequest): Promise<BackupVerdict> {
  const { claim, backupId } = request;
  const pinned = await repository.ledger.pinBackup(claim, backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  const project = await repository.openProject(pinned.projectId);
  return await verifyCommitted(repository, project, pinned, request);
}

/** The same for a backup that the caller keeps from being deleted, or does not mind to lose. */
export async function verifyCommitted(
  repository: Repository,
  project: OpenProject,
  backup: CommittedBackup,
  { report, signal }: Pick<VerifyRequest, 'report' | 'signal'>,
): Promise<BackupVerdict> {
  const { ledger, clock } = repository;
  const { projectId } = project;
  const { backupId, attemptId } = backup;
  const survey = new ManifestSurvey(repository, project, signal);
  const sizeBytes = (await survey.add(backup)) ?? 0;
  const { packs, damage: lost } = await locateMarked(repository, project, survey.marks.entries());
  const meter = new Meter(sizeBytes, survey, report);
  const done = (pack: { readonly packId: (typeof packs)[number]['packId'] }) => meter.add(pack.packId);
  const { damage: found, readBytes, packCount } = await verifyPacks(repository, project, packs, { signal, done });
  const damage = [...lost, ...found];
  const isWhole = damage.length === 0 && survey.gaps.length === 0;
  const { damaged } = await markDamagedBackups(repository, project, signal);
  const marked = { backupId, attemptId };
  const isSound =
    isWhole &&
    (await ledger.noteBackup(projectId, { ...marked, isSound: true, reached: survey.marks.entries() }, clock.now()));
  if (!isWhole)
    await ledger.noteBackup(projectId, { ...marked, isSound: false, reason: tell(damage, survey) }, clock.now());
  const damagedBackupIds = damaged.map(({ root }) => root.backupId);
  if (!isWhole && !damagedBackupIds.includes(backupId)) damagedBackupIds.push(backupId);
  return { backupId, isSound, damage, gaps: survey.gaps, readBytes, packCount, damagedBackupIds };
}

function tell(damage: readonly Damage[], { gaps }: ManifestSurvey): string {
  const [first] = damage;
  if (first) return `${first.objectName} is damaged at byte ${first.offsetBytes}: ${first.reason}`;
  return gaps[0]?.reason ?? 'it cannot be read';
}

/** Progress in bytes of the disk: what repeats counts each time, holes were skipped. */
class Meter {
  readonly #totalBytes: number;
  readonly #skippedBytes: number;
  readonly #counts: ReadonlyMap<string, number>;
  readonly #report: (progress: Progress) => void;
  #doneBytes = 0;

  constructor(totalBytes: number, { chunkCounts }: ManifestSurvey, report: (progress: Progress) => void) {
    const chunkCount = [...chunkCounts.values()].reduce((total, count) => total + count, 0);
    this.#totalBytes = totalBytes;
    this.#skippedBytes = Math.max(0, totalBytes - chunkCount * CHUNK_SIZE_BYTES);
    this.#counts = chunkCounts;
    this.#report = report;
    this.add('');
  }

  add(packId: string): void {
    this.#doneBytes += (this.#counts.get(packId) ?? 0) * CHUNK_SIZE_BYTES;
    const doneBytes = Math.min(this.#doneBytes, this.#totalBytes - this.#skippedBytes);
    this.#report({ totalBytes: this.#totalBytes, doneBytes, skippedBytes: this.#skippedBytes, storedBytes: 0 });
  }
}

// Checks a project's part of the repository against the catalog: every record, every page, every trailer, and as much
// of the data as is asked for, oldest-verified first. Nothing is deleted; what is found is noted.
import type { BackupId, ProjectId } from '../../core/ids.ts';
import type { LivePack, RecordRef } from '../../core/ledger.ts';
import { PRUNE_REPORT_MAX } from '../../core/limits.ts';
import { recordOf, recordPrefix } from '../../core/object-names.ts';
import { findUnnamedObjects, type UnnamedObjects } from '../prune/unnamed-objects.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { markDamagedBackups } from './damaged-backups.ts';
import { findKeyGaps, type KeyGap } from './key-copies.ts';
import { type ManifestGap, ManifestSurvey } from './manifest-survey.ts';
import type { Damage } from './verify-pack.ts';
import { locateMarked, type PackToVerify, verifyPacks } from './verify-packs.ts';

export type CheckOptions = {
  /** Part of the stored bytes of chunks that is read, 0 to 1. */
  readonly readShare: number;
};

export type CheckReport = {
  readonly projectId: ProjectId;
  /** False when anything below is damaged or missing. */
  isSound: boolean;
  backupCount: number;
  /** Packs that were read as a whole, and packs of which only the trailer was. */
  verifiedPackCount: number;
  listedPackCount: number;
  readBytes: number;
  /** The first PRUNE_REPORT_MAX of each list. */
  damage: readonly Damage[];
  gaps: readonly ManifestGap[];
  keyGaps: readonly KeyGap[];
  damagedBackupIds: readonly BackupId[];
  unknownRecords: readonly RecordRef[];
  unnamedObjects: UnnamedObjects;
};

const PACK_BATCH_COUNT = 500;

/** @throws EPOCH_CONFLICT, STORAGE_IO when the store as a whole does not answer; the signal's reason */
export async function checkProject(
  repository: Repository,
  projectId: ProjectId,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<CheckReport> {
  const report = emptyReport(projectId);
  if ((await repository.ledger.readEpoch(projectId)) === undefined) return report;
  const project = await repository.openProject(projectId);
  await repository.checkEpoch(project);
  const { ledger } = repository;
  report.keyGaps = await findKeyGaps(repository, project);
  const survey = new ManifestSurvey(repository, project, signal);
  const damagedRoots: BackupId[] = [];
  for (const root of await ledger.listRoots(projectId)) {
    if (root.isBeingDeleted) continue;
    const gapCount = survey.gaps.length;
    if ((await survey.add(root)) === undefined && (await isRoot(repository, projectId, root))) {
      const { backupId, attemptId } = root;
      const reason = survey.gaps.at(-1)?.reason ?? '';
      await ledger.noteBackup(projectId, { backupId, attemptId, isSound: false, reason }, repository.clock.now());
      damagedRoots.push(backupId);
    } else if (survey.gaps.length > gapCount && !(await isRoot(repository, projectId, root))) {
      // Deleted while it was read.
      survey.gaps.splice(gapCount);
    }
    report.backupCount += 1;
  }
  const { damage, listed, verified, readBytes } = await verifyAll(repository, project, survey, { ...options, signal });
  const { damaged } = await markDamagedBackups(repository, project, signal);
  report.damagedBackupIds = [...new Set([...damagedRoots, ...damaged.map(({ root }) => root.backupId)])];
  report.verifiedPackCount = verified;
  report.listedPackCount = listed;
  report.readBytes = readBytes;
  report.damage = damage.slice(0, PRUNE_REPORT_MAX);
  report.gaps = survey.gaps.slice(0, PRUNE_REPORT_MAX);
  report.unknownRecords = await findUnknownRecords(repository, projectId, signal);
  report.unnamedObjects = await findUnnamedObjects(repository, projectId, signal);
  report.isSound = damage.length + survey.gaps.length + report.keyGaps.length + report.damagedBackupIds.length === 0;
  return report;
}

function emptyReport(projectId: ProjectId): CheckReport {
  const counts = { backupCount: 0, verifiedPackCount: 0, listedPackCount: 0, readBytes: 0 };
  const lists = { damage: [], gaps: [], keyGaps: [], damagedBackupIds: [], unknownRecords: [] };
  return { projectId, isSound: true, ...counts, ...lists, unnamedObjects: { count: 0, bytes: 0, names: [] } };
}

/** Pages are read as a whole, chunks as far as asked for; of the others every slot is looked up in its trailer. */
async function verifyAll(
  repository: Repository,
  project: OpenProject,
  survey: ManifestSurvey,
  { readShare, signal }: CheckOptions & { readonly signal: AbortSignal },
): Promise<{ damage: Damage[]; listed: number; verified: number; readBytes: number }> {
  const live = await listAllLive(repository, project);
  const dataBytes = live.reduce((total, pack) => total + (pack.kind === 'data' ? pack.storedBytes : 0), 0);
  let restBytes = dataBytes * readShare;
  const whole: PackToVerify[] = [];
  const listed: PackToVerify[] = [];
  const seen = new Set<string>();
  // Oldest-verified first.
  for (const pack of live) {
    seen.add(pack.packId);
    const isRead = pack.kind === 'page' || restBytes > 0;
    if (pack.kind === 'data') restBytes -= pack.storedBytes;
    if (isRead) whole.push(pack);
    listed.push({ ...pack, wanted: survey.marks.of(pack.packId) ?? new Uint8Array(), trailerOnly: true });
  }
  const marked = [...survey.marks.entries()].filter(([packId]) => !seen.has(packId));
  const { damage: rowless, packs: others } = await locateMarked(repository, project, marked);
  const lost = rowless.length === 0 ? [] : await keepNeeded(repository, project, rowless, signal);
  const trailers = others.map((pack) => ({ ...pack, trailerOnly: true }));
  const byTrailer = await verifyPacks(repository, project, [...listed, ...trailers], { signal });
  const damagedIds = new Set(byTrailer.damage.map(({ packId }) => packId));
  const intact = whole.filter(({ packId }) => !damagedIds.has(packId));
  const byData = await verifyPacks(repository, project, intact, { signal });
  const damage = [...lost, ...byTrailer.damage, ...byData.damage];
  return { damage, listed: byTrailer.packCount, verified: byData.packCount, readBytes: byData.readBytes };
}

/** Those that a backup of this moment leads to: one that was deleted since it was surveyed left packs to be retired. */
async function keepNeeded(
  repository: Repository,
  project: OpenProject,
  rowless: readonly Damage[],
  signal: AbortSignal,
): Promise<Damage[]> {
  const survey = new ManifestSurvey(repository, project, signal);
  for (const root of await repository.ledger.listRoots(project.projectId)) {
    if (!root.isBeingDeleted) await survey.add(root);
  }
  return rowless.filter(({ packId }) => survey.marks.of(packId) !== null);
}

/** In the order in which they wait to be verified. */
async function listAllLive({ ledger }: Repository, { projectId }: OpenProject): Promise<LivePack[]> {
  const live: LivePack[] = [];
  for (let afterNumber = -1; ; ) {
    const packs = await ledger.listLivePacks(projectId, afterNumber, PACK_BATCH_COUNT);
    const last = packs.at(-1);
    if (!last) break;
    live.push(...packs);
    afterNumber = last.packNumber;
  }
  const waiting = await ledger.listPacksToVerify(projectId, Number.MAX_SAFE_INTEGER, live.length);
  const placeOf = new Map(waiting.map(({ packId }, i) => [packId, i]));
  return live.sort((a, b) => (placeOf.get(a.packId) ?? live.length) - (placeOf.get(b.packId) ?? live.length));
}

async function findUnknownRecords(
  { ledger, store }: Repository,
  projectId: ProjectId,
  signal: AbortSignal,
): Promise<readonly RecordRef[]> {
  const unknown: RecordRef[] = [];
  let batch: RecordRef[] = [];
  const review = async (): Promise<void> => {
    unknown.push(...(await ledger.reviewRecords(projectId, batch, { isDryRun: true })).unknown);
    batch = [];
  };
  for await (const { name } of store.list(recordPrefix(projectId), signal)) {
    const record = recordOf(projectId, name);
    if (record) batch.push(record);
    if (batch.length >= PACK_BATCH_COUNT) await review();
  }
  if (batch.length > 0) await review();
  return unknown;
}

async function isRoot({ ledger }: Repository, projectId: ProjectId, { attemptId }: RecordRef): Promise<boolean> {
  return (await ledger.listRoots(projectId)).some((root) => root.attemptId === attemptId && !root.isBeingDeleted);
}

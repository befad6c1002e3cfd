// Labels: what the record of a backup does not say, or not as it is now, and what a project is called, so that a
// catalog made anew shows what people gave. One small sealed object each, replaced when it changes.
// Source: docs/repository-format.md, "Labels".
import { forEachConcurrently } from '../core/concurrency.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId } from '../core/ids.ts';
import type { BackupLabel } from '../core/ledger.ts';
import { REBUILD_BATCH_COUNT, REBUILD_READ_COUNT, RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { labelName, labelOf, labelPrefix, projectLabelName } from '../core/object-names.ts';
import { sealObject, unsealObject } from './crypto/sealed-object.ts';
import type { OpenProject, Repository } from './repository.ts';
import { isUnreadable } from './unreadable.ts';

const FORMAT = 1;
const OBJECT_ID = 'label';

export type ProjectLabel = { readonly name: string; readonly description: string };

/** Durably writes the label of a backup. @throws EPOCH_CONFLICT, STORAGE_IO, STORAGE_FULL */
export async function writeBackupLabel(
  repository: Repository,
  projectId: ProjectId,
  label: BackupLabel,
): Promise<void> {
  const { backupId } = label;
  const project = await repository.openProject(projectId);
  // A catalog that was put back must not replace what the newer one has written.
  await repository.checkEpoch(project);
  await repository.store.replace(
    labelName(projectId, backupId),
    sealLabel(project, backupId, { format: FORMAT, ...label }),
  );
}

/** @throws OBJECT_NOT_FOUND, DATA_CORRUPT, STORAGE_IO */
export async function readBackupLabel(
  repository: Repository,
  project: OpenProject,
  backupId: BackupId,
): Promise<BackupLabel> {
  const name = labelName(project.projectId, backupId);
  // Sealed by this program under the project's key: its fields are as writeBackupLabel wrote them.
  const label = (await openLabel(repository, project, backupId, name)) as BackupLabel;
  if (label.backupId !== backupId) throw refuse(name, 'it is the label of another backup');
  return label;
}

/** The label of a backup that stands on the record of another one. */
export type ImportLabel = BackupLabel & { readonly imported: NonNullable<BackupLabel['imported']> };

/**
 * Takes labels that are newer than what the catalog has over into it; answers how many. One that cannot be read is
 * passed over: its backup keeps the names of its record. `enterImport` is given the labels of imported backups before
 * they are taken over, so that there is a backup to take them.
 */
export async function applyStoredLabels(
  repository: Repository,
  project: OpenProject,
  enterImport: (label: ImportLabel) => Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  const { projectId } = project;
  let count = 0;
  let labels: BackupLabel[] = [];
  const flush = async (): Promise<void> => {
    const batch = labels;
    labels = [];
    if (batch.length === 0) return;
    // Not in one step: another flush may end meanwhile.
    const appliedCount = await repository.ledger.applyLabels(projectId, batch);
    count += appliedCount;
  };
  await forEachConcurrently(listLabels(repository, projectId, signal), REBUILD_READ_COUNT, async (backupId) => {
    const label = await tryRead(repository, project, backupId);
    if (label && isOfImport(label)) await enterImport(label);
    if (label) labels.push(label);
    if (labels.length >= REBUILD_BATCH_COUNT) await flush();
  });
  await flush();
  return count;
}

function isOfImport(label: BackupLabel): label is ImportLabel {
  return label.imported !== undefined && label.imported.recordBackupId !== label.backupId;
}

async function tryRead(
  repository: Repository,
  project: OpenProject,
  backupId: BackupId,
): Promise<BackupLabel | undefined> {
  try {
    return await readBackupLabel(repository, project, backupId);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    repository.logger.warn({ err: error, backupId }, 'the label of a backup cannot be read');
    return undefined;
  }
}

async function* listLabels(
  repository: Repository,
  projectId: ProjectId,
  signal: AbortSignal,
): AsyncGenerator<BackupId, void> {
  for await (const { name } of repository.store.list(labelPrefix(projectId), signal)) {
    const backupId = labelOf(projectId, name);
    if (backupId) yield backupId;
  }
}

/** Durably writes what the project is called. @throws as `writeBackupLabel` */
export async function writeProjectLabel(
  repository: Repository,
  projectId: ProjectId,
  { name, description }: ProjectLabel,
): Promise<void> {
  const project = await repository.openProject(projectId);
  await repository.checkEpoch(project);
  const fields = { format: FORMAT, projectId, name, description };
  await repository.store.replace(projectLabelName(projectId), sealLabel(project, projectId, fields));
}

/** Undefined when there is none that can be read. @throws what is no damage */
export async function readProjectLabel(
  repository: Repository,
  project: OpenProject,
): Promise<ProjectLabel | undefined> {
  const { projectId } = project;
  try {
    // As in readBackupLabel.
    return (await openLabel(repository, project, projectId, projectLabelName(projectId))) as ProjectLabel;
  } catch (error) {
    if (isVbsError(error, 'OBJECT_NOT_FOUND')) return undefined;
    if (!isUnreadable(error)) throw error;
    repository.logger.warn({ err: error, projectId }, 'the label of the project cannot be read');
    return undefined;
  }
}

function sealLabel(project: OpenProject, logicalId: string, fields: object): Buffer {
  return sealObject(project.keys, labelPlace(project, logicalId), Buffer.from(JSON.stringify(fields), 'utf8'));
}

async function openLabel(
  { store }: Repository,
  project: OpenProject,
  logicalId: string,
  name: string,
): Promise<unknown> {
  const bytes = await store.get(name, RECORD_SIZE_MAX_BYTES);
  const plaintext = unsealObject(project.keys, labelPlace(project, logicalId), bytes, name);
  const label: unknown = JSON.parse(plaintext.toString('utf8'));
  const isKnown = typeof label === 'object' && label !== null && 'format' in label && label.format === FORMAT;
  if (!isKnown) throw refuse(name, 'it is not a label of format 1');
  return label;
}

function labelPlace({ repositoryId, projectId }: OpenProject, logicalId: string) {
  return { repositoryId, projectId, kind: 'label', logicalId, objectId: OBJECT_ID } as const;
}

function refuse(object: string, reason: string): VbsError {
  return new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason });
}

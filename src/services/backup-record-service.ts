// Backup records: a backup written down so that it can be entered in the catalog again, and entered from what was
// written down (contract 3.24). The data never moves: a record only says where it lies in the repository. Where that
// may be is decided by the project of the caller, never by the record (src/engine/README.md, "Several backups on one
// record").
import { bytesToGib } from '../core/bytes.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import { type BackupId, newUuid, type ProjectId, type RepositoryId, type VolumeId } from '../core/ids.ts';
import type { RecordReference } from '../core/ledger.ts';
import type { Backup } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { readStoredRecord, type StoredRecord } from '../engine/record-reader.ts';
import type { Repository } from '../engine/repository.ts';
import { recordTrace } from './audit.ts';
import { requireAvailableBackup } from './backup-rules.ts';
import { authorize, type Caller } from './caller.ts';
import { requireServiceEnabled } from './service-states.ts';
import { requireBackup } from './subjects.ts';

/** Shown until the import has read of which volume the backup is (contract 3.24). */
const UNKNOWN_VOLUME_ID = '00000000-0000-0000-0000-000000000000' as VolumeId;

/** A backup with what leads to its data. */
export type ExportedRecord = { readonly backup: Backup; readonly repositoryId: RepositoryId };

/** What a client asks to import: all of it is only what the client says. */
export type ImportInput = {
  /** Of the backup that is to be; not necessarily of the one that was written down. */
  readonly backupId: BackupId;
  readonly repositoryId: string;
  readonly record: RecordReference;
  readonly name: string | null;
  readonly description: string | null;
  readonly container: string | null;
  readonly availabilityZone: string | null;
  readonly metadata: Readonly<Record<string, string>>;
};

export type BackupRecordServiceDeps = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  readonly clock: Clock;
  /** @throws QUOTA_BACKUPS_EXCEEDED, QUOTA_BACKUP_GIGABYTES_EXCEEDED */
  readonly requireQuota: (records: CatalogRecords, projectId: ProjectId, sizeGib: number) => Promise<void>;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
};

export class BackupRecordService {
  readonly #deps: BackupRecordServiceDeps;

  constructor(deps: BackupRecordServiceDeps) {
    this.#deps = deps;
  }

  /** For admins. @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE */
  async exportRecord(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<ExportedRecord> {
    authorize(caller, projectId, 'admin');
    const { catalog, repository } = this.#deps;
    const backup = await requireBackup(catalog, projectId, backupId);
    requireAvailableBackup(backup);
    return { backup, repositoryId: repository.repositoryId };
  }

  /**
   * Enters a backup on a record that lies in the project's part of the repository, for admins. It is `creating` until a
   * job has found that all it leads to is there.
   * @throws BACKUP_RECORD_INVALID, BACKUP_RECORD_GONE, BACKUP_EXISTS, SERVICE_DISABLED, and what a quota forbids
   */
  async importRecord(caller: Caller, projectId: ProjectId, input: ImportInput): Promise<Backup> {
    authorize(caller, projectId, 'admin');
    const { repository, catalog } = this.#deps;
    if (input.repositoryId !== repository.repositoryId) {
      throw new VbsError('BACKUP_RECORD_INVALID', { reason: 'it leads to another repository' });
    }
    const stored = await this.#readRecord(projectId, input);
    const backup = await catalog.transact(projectId, (records) =>
      this.#enterImport(records, { caller, projectId }, input, stored),
    );
    this.#deps.wakeJobs();
    return backup;
  }

  async #readRecord(projectId: ProjectId, { backupId, record }: ImportInput): Promise<StoredRecord> {
    try {
      return await readStoredRecord(this.#deps.repository, { projectId, ...record });
    } catch (error) {
      if (isVbsError(error, 'OBJECT_NOT_FOUND')) throw new VbsError('BACKUP_RECORD_GONE', { backupId });
      if (!isVbsError(error, 'DATA_CORRUPT')) throw error;
      throw new VbsError('BACKUP_RECORD_INVALID', { reason: 'what it leads to cannot be read' }, { cause: error });
    }
  }

  async #enterImport(
    records: CatalogRecords,
    { caller, projectId }: { readonly caller: Caller; readonly projectId: ProjectId },
    input: ImportInput,
    { record, recordSha256 }: StoredRecord,
  ): Promise<Backup> {
    const { backups, jobs, ledger } = records;
    const { backupId, name } = input;
    await this.#deps.requireQuota(records, projectId, bytesToGib(record.sizeBytes));
    await requireServiceEnabled(records, 'cinder-backup');
    const state = await ledger.prepareImport(projectId, backupId, input.record);
    if (state === 'id taken') throw new VbsError('BACKUP_EXISTS', { backupId });
    if (state === 'record gone') throw new VbsError('BACKUP_RECORD_GONE', { backupId });
    const createdAt = this.#deps.clock.now();
    const jobId = newUuid<Backup['jobId']>();
    const { requestId } = caller;
    await jobs.insert({ jobId, projectId, kind: 'import-backup', backupId, requestId, createdAt });
    await backups.insert({
      ...{ backupId, projectId, jobId, name, createdAt },
      userId: caller.userId,
      volumeId: UNKNOWN_VOLUME_ID,
      description: input.description,
      dialect: 'native',
      sizeBytes: record.sizeBytes,
      container: input.container,
      availabilityZone: input.availabilityZone,
      snapshotId: null,
      isIncrementalRequested: record.isIncremental,
      tags: record.tags,
      metadata: input.metadata,
      sourceVolume: { isBootable: record.isVolumeBootable === true, metadata: record.volumeMetadata ?? {} },
      imported: { ...input.record, recordSha256 },
    });
    await ledger.noteImport(projectId, jobId, backupId, input.record);
    const resource = { resourceId: backupId, resourceName: name, jobId, createdAt };
    await recordTrace(records, { projectId, actor: caller, traceName: 'bksImportBackup', ...resource });
    return await requireBackup(records, projectId, backupId);
  }
}

// Opens backups for reading by a request. Each open one is a job of its own, so that the backup is pinned in the
// catalog and a deletion waits; the job ends with the reading, or is ended by a runner when this process dies.
import type { Foreground } from '../core/background-pace.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, VolumeId } from '../core/ids.ts';
import type { Backup } from '../core/model.ts';
import { packIdOf } from '../core/object-names.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { JobOutcome } from '../db/record-types.ts';
import { type DiffPage, type DiffRequest, diffBackups } from '../engine/backup-diff.ts';
import { type BackupReader, openBackup } from '../engine/backup-reader.ts';
import type { Repository } from '../engine/repository.ts';
import type { JobRunner } from '../jobs/job-runner.ts';
import type { Extent } from '../volumes/extent.ts';
import { failedOutcome } from './handler-deps.ts';
import { beginReading, requireReadable } from './reading-job.ts';

export type ExportOpenerDeps = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  readonly runner: Pick<JobRunner, 'newLease' | 'hold'>;
  /** Reads of exports are counted there. */
  readonly foreground: Foreground;
  readonly clock: Clock;
};

export type DiffOptions = Pick<DiffRequest, 'fromId' | 'offsetBytes' | 'limit' | 'signal'>;
export type BackupDiff = DiffPage & { readonly volumeId: VolumeId };

export class ExportOpener {
  readonly #deps: ExportOpenerDeps;

  constructor(deps: ExportOpenerDeps) {
    this.#deps = deps;
  }

  /**
   * Where the backup differs from another one of its volume.
   * @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE, REQUEST_FIELD_INVALID when they are of different volumes
   */
  async diff(projectId: ProjectId, backupId: BackupId, options: DiffOptions): Promise<BackupDiff> {
    const { catalog, repository } = this.#deps;
    const { backup, claim, end } = await beginReading(this.#deps, projectId, backupId);
    try {
      const from = await requireReadable(catalog, projectId, options.fromId);
      const reason = 'it is a backup of another volume';
      if (from.volumeId !== backup.volumeId) throw new VbsError('REQUEST_FIELD_INVALID', { field: 'from', reason });
      const page = await diffBackups(repository, { ...options, claim, toId: backupId });
      return { ...page, volumeId: backup.volumeId };
    } finally {
      await end({ status: 'SUCCESS' });
    }
  }

  /** @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE, DATA_CORRUPT */
  async open(projectId: ProjectId, backupId: BackupId, signal?: AbortSignal): Promise<BackupExport> {
    const { catalog, repository, foreground } = this.#deps;
    const { backup, claim, end } = await beginReading(this.#deps, projectId, backupId);
    try {
      const reader = await openBackup(repository, { claim, backupId });
      const noteDamage = async (objectName: string): Promise<void> => {
        const packId = packIdOf(projectId, objectName);
        // As after a restore that met damage: no later backup may take anything from there.
        if (packId !== undefined) await catalog.ledger.distrustPack(projectId, packId);
      };
      return new BackupExport({ backup, reader, end, noteDamage, foreground, signal });
    } catch (error) {
      await end(failedOutcome(error instanceof VbsError ? error : new VbsError('INTERNAL', {}, { cause: error })));
      throw error;
    }
  }
}

/** A backup open for reading. Close it: until then it cannot be deleted. */
export class BackupExport {
  readonly backup: Backup;
  readonly #reader: BackupReader;
  readonly #end: (outcome: JobOutcome) => Promise<void>;
  readonly #noteDamage: (objectName: string) => Promise<void>;
  readonly #foreground: Foreground;
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: {
    readonly backup: Backup;
    readonly reader: BackupReader;
    readonly end: (outcome: JobOutcome) => Promise<void>;
    readonly noteDamage: (objectName: string) => Promise<void>;
    readonly foreground: Foreground;
    readonly signal: AbortSignal | undefined;
  }) {
    this.backup = deps.backup;
    this.#reader = deps.reader;
    this.#end = deps.end;
    this.#noteDamage = deps.noteDamage;
    this.#foreground = deps.foreground;
    this.#signal = deps.signal;
  }

  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  /** Extents that hold data, ascending, within `range`; everything between them reads as zeros. */
  dataExtents(range: Extent): AsyncIterable<Extent> {
    return this.#reader.dataExtents(range);
  }

  /** @throws DATA_CORRUPT, STORAGE_IO, and the reason of the signal once it is aborted */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    this.#signal?.throwIfAborted();
    // Not while the client takes what was read: it may be slow.
    using _counted = this.#foreground.enter();
    try {
      return await this.#reader.read(offsetBytes, lengthBytes, this.#signal);
    } catch (error) {
      if (isVbsError(error, 'DATA_CORRUPT')) await this.#noteDamage(String(error.details.object));
      throw error;
    }
  }

  /** Ends the job and frees the backup; harmless twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#end({ status: 'SUCCESS' });
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

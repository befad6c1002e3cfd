// Opens backups for reading by a request. Each open one is a job of its own, so that the backup is pinned in the
// catalog and a deletion waits; the job ends with the reading, or is ended by a runner when this process dies.
import { isVbsError, VbsError } from '../core/errors.ts';
import { type BackupId, newUuid, type ProjectId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { Backup } from '../core/model.ts';
import { packIdOf } from '../core/object-names.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { JobOutcome } from '../db/record-types.ts';
import { type BackupReader, openBackup } from '../engine/backup-reader.ts';
import type { Repository } from '../engine/repository.ts';
import type { JobRunner } from '../jobs/job-runner.ts';
import type { Extent } from '../volumes/extent.ts';
import { failedOutcome } from './handler-deps.ts';
import { requireBackup } from './subjects.ts';

export type ExportOpenerDeps = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  readonly runner: Pick<JobRunner, 'newLease' | 'hold'>;
  readonly clock: Clock;
};

export class ExportOpener {
  readonly #deps: ExportOpenerDeps;

  constructor(deps: ExportOpenerDeps) {
    this.#deps = deps;
  }

  /** @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE, DATA_CORRUPT */
  async open(projectId: ProjectId, backupId: BackupId, signal?: AbortSignal): Promise<BackupExport> {
    const { catalog, repository, runner, clock } = this.#deps;
    const { backup, claim } = await catalog.transact(projectId, async (records) => {
      const found = await requireBackup(records, projectId, backupId);
      const { status, volumeId } = found;
      // One that is being restored is only read, and readers do not disturb each other.
      const isReadable = status === 'available' || status === 'restoring';
      if (!isReadable) throw new VbsError('BACKUP_NOT_AVAILABLE', { backupId, status });
      const job = { jobId: newUuid<JobClaim['jobId']>(), projectId, backupId, volumeId, createdAt: clock.now() };
      return { backup: found, claim: await records.jobs.insertTaken({ ...job, kind: 'export' }, runner.newLease()) };
    });
    const release = runner.hold(claim);
    const end = async (outcome: JobOutcome): Promise<void> => {
      release();
      await catalog.jobs.end(claim, outcome, clock.now());
    };
    try {
      const reader = await openBackup(repository, { claim, backupId });
      const noteDamage = async (objectName: string): Promise<void> => {
        const packId = packIdOf(projectId, objectName);
        // As after a restore that met damage: no later backup may take anything from there.
        if (packId !== undefined) await catalog.ledger.distrustPack(projectId, packId);
      };
      return new BackupExport({ backup, reader, end, noteDamage, signal });
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
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: {
    readonly backup: Backup;
    readonly reader: BackupReader;
    readonly end: (outcome: JobOutcome) => Promise<void>;
    readonly noteDamage: (objectName: string) => Promise<void>;
    readonly signal: AbortSignal | undefined;
  }) {
    this.backup = deps.backup;
    this.#reader = deps.reader;
    this.#end = deps.end;
    this.#noteDamage = deps.noteDamage;
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
    try {
      return await this.#reader.read(offsetBytes, lengthBytes);
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

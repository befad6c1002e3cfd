// Sharings: a project shows a backup to others, which may read it and make volumes from it, and nothing else (contract
// 3.18, 3.19, 5.10). Both sides see a sharing, and either may end it.
import { VbsError } from '../core/errors.ts';
import { type BackupId, newUuid, type ProjectId, type SharingId } from '../core/ids.ts';
import type { Backup, Sharing } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { recordTrace } from './audit.ts';
import { requireAvailableBackup } from './backup-rules.ts';
import { authorize, type Caller } from './caller.ts';
import type { ListResult, SharingPage } from './list-page.ts';
import { requireBackup } from './subjects.ts';

export type SharedBackup = { readonly sharing: Sharing; readonly backup: Backup };

export type SharingListFilter = {
  /** True: shared with the project. False: shared by it. */
  readonly isReceived: boolean;
  readonly backupId?: string;
  readonly fromProjectId?: string;
  readonly toProjectId?: string;
  readonly volumeId?: string;
  readonly status?: string;
  readonly availabilityZone?: string;
  /** Substring of the backup's name. */
  readonly nameLike?: string;
};

export type SharingServiceDeps = { readonly catalog: Catalog; readonly clock: Clock };

export class SharingService {
  readonly #deps: SharingServiceDeps;

  constructor(deps: SharingServiceDeps) {
    this.#deps = deps;
  }

  /**
   * One sharing a target, in their order; a target that has one keeps it. Targets are distinct and not the project.
   * @throws BACKUP_NOT_FOUND (also for backups that are shared with the project), BACKUP_NOT_AVAILABLE
   */
  async share(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
    toProjectIds: readonly ProjectId[],
  ): Promise<readonly Sharing[]> {
    authorize(caller, projectId, 'member');
    const createdAt = this.#deps.clock.now();
    return await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      requireAvailableBackup(backup);
      const existing = new Map((await records.sharings.listByBackup(backupId)).map((row) => [row.toProjectId, row]));
      const added = toProjectIds
        .filter((toProjectId) => !existing.has(toProjectId))
        .map((toProjectId) => draftSharing({ backupId, fromProjectId: projectId, toProjectId, createdAt }));
      await records.sharings.insert(added);
      for (const sharing of added) {
        existing.set(sharing.toProjectId, sharing);
        await traceSharing(records, caller, { traceName: 'bksShareBackup', projectId, backup, sharing, createdAt });
      }
      return toProjectIds.flatMap((toProjectId) => existing.get(toProjectId) ?? []);
    });
  }

  /** @throws SHARING_NOT_FOUND unless the project gave it or was given it */
  async getSharing(caller: Caller, projectId: ProjectId, sharingId: SharingId): Promise<SharedBackup> {
    authorize(caller, projectId, 'reader');
    const sharing = await this.#deps.catalog.sharings.get(projectId, sharingId);
    const [found] = sharing === undefined ? [] : await this.#withBackups([sharing]);
    if (found === undefined) throw new VbsError('SHARING_NOT_FOUND', { sharingId });
    return found;
  }

  /** @throws MARKER_NOT_FOUND */
  async listSharings(
    caller: Caller,
    projectId: ProjectId,
    filter: SharingListFilter,
    page: SharingPage,
  ): Promise<ListResult<SharedBackup>> {
    authorize(caller, projectId, 'reader');
    const { items, ...counted } = await this.#deps.catalog.sharings.list({ ...filter, projectId }, page);
    return { items: await this.#withBackups(items), ...counted };
  }

  async countSharings(caller: Caller, projectId: ProjectId, filter: SharingListFilter): Promise<number> {
    authorize(caller, projectId, 'reader');
    const page = { limit: 0, withTotalCount: true };
    const { totalCount } = await this.#deps.catalog.sharings.list({ ...filter, projectId }, page);
    return totalCount ?? 0;
  }

  /** Volumes that were made from the backup stay. @throws SHARING_NOT_FOUND */
  async cancelSharing(caller: Caller, projectId: ProjectId, sharingId: SharingId): Promise<void> {
    authorize(caller, projectId, 'member');
    const { sharings } = this.#deps.catalog;
    const sharing = await sharings.get(projectId, sharingId);
    if (sharing === undefined) throw new VbsError('SHARING_NOT_FOUND', { sharingId });
    await this.#cancel(caller, projectId, sharing.fromProjectId, async (records) => {
      const still = await records.sharings.get(projectId, sharingId);
      if (still === undefined) throw new VbsError('SHARING_NOT_FOUND', { sharingId });
      return [still];
    });
  }

  /** All that the project gave of a backup, or the one that it was given; there may be none. */
  async cancelSharingsOf(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<void> {
    authorize(caller, projectId, 'member');
    const backup = await this.#deps.catalog.backups.find(backupId);
    if (backup === undefined) return;
    await this.#cancel(caller, projectId, backup.projectId, async (records) => {
      const all = await records.sharings.listByBackup(backupId);
      return all.filter(({ fromProjectId, toProjectId }) => fromProjectId === projectId || toProjectId === projectId);
    });
  }

  /** Under the locks of both sides: the row is the owner's, the trace the caller's. */
  async #cancel(
    caller: Caller,
    projectId: ProjectId,
    ownerId: ProjectId,
    choose: (records: CatalogRecords) => Promise<readonly Sharing[]>,
  ): Promise<void> {
    const { catalog, clock } = this.#deps;
    const createdAt = clock.now();
    await catalog.transactAcross([projectId, ownerId], async (records) => {
      for (const sharing of await choose(records)) {
        await records.sharings.delete(sharing.sharingId);
        const backup = await records.backups.find(sharing.backupId);
        await traceSharing(records, caller, { traceName: 'bksUnshareBackup', projectId, backup, sharing, createdAt });
      }
    });
  }

  /** Those whose backup vanished in between are left out. */
  async #withBackups(sharings: readonly Sharing[]): Promise<SharedBackup[]> {
    const backups = await this.#deps.catalog.backups.listByIds(sharings.map((sharing) => sharing.backupId));
    const byId = new Map(backups.map((backup) => [backup.backupId, backup]));
    return sharings.flatMap((sharing) => {
      const backup = byId.get(sharing.backupId);
      return backup === undefined ? [] : [{ sharing, backup }];
    });
  }
}

function draftSharing(ids: Omit<Sharing, 'sharingId' | 'updatedAt'>): Sharing {
  return { ...ids, sharingId: newUuid(), updatedAt: null };
}

async function traceSharing(
  records: CatalogRecords,
  caller: Caller,
  event: {
    readonly traceName: 'bksShareBackup' | 'bksUnshareBackup';
    readonly projectId: ProjectId;
    readonly backup: Backup | undefined;
    readonly sharing: Sharing;
    readonly createdAt: number;
  },
): Promise<void> {
  const { traceName, projectId, backup, sharing, createdAt } = event;
  const { sharingId, backupId, fromProjectId, toProjectId } = sharing;
  await recordTrace(records, {
    ...{ projectId, actor: caller, traceName, createdAt },
    resourceId: backupId,
    resourceName: backup?.name ?? null,
    details: { sharing_id: sharingId, from_project_id: fromProjectId, to_project_id: toProjectId },
  });
}

// Tags of backups: read, changed one by one or in batches, searched (contract 3.16 and 3.17 with the rules of 3.2).
// What form keys and values have is checked at the edge; here is what needs the rows: how many there are in the end.
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId } from '../core/ids.ts';
import { BACKUP_TAG_MAX } from '../core/limits.ts';
import type { Backup, Tag } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { TagChange, TagSearch, TagValues } from '../core/tag-search.ts';
import type { TraceName } from '../core/trace.ts';
import type { Catalog } from '../db/catalog.ts';
import { recordTrace } from './audit.ts';
import { authorize, type Caller } from './caller.ts';
import type { LabelKeeper } from './label-keeper.ts';
import { requireBackup } from './subjects.ts';
import { applyTagChange, isSameTags } from './tag-changes.ts';

export type BackupTagServiceDeps = {
  readonly catalog: Catalog;
  readonly labels: Pick<LabelKeeper, 'saveBackup'>;
  readonly clock: Clock;
};

export class BackupTagService {
  readonly #deps: BackupTagServiceDeps;

  constructor(deps: BackupTagServiceDeps) {
    this.#deps = deps;
  }

  /** Every key of the project's backups with its distinct values, both in order. */
  async listProjectTags(caller: Caller, projectId: ProjectId): Promise<readonly TagValues[]> {
    authorize(caller, projectId, 'reader');
    return await this.#deps.catalog.backups.listTagValues(projectId);
  }

  /** @throws BACKUP_NOT_FOUND */
  async listTags(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<readonly Tag[]> {
    authorize(caller, projectId, 'reader');
    const { tags } = await requireBackup(this.#deps.catalog, projectId, backupId);
    return tags;
  }

  /** Adds a tag, or replaces the value of its key. @throws BACKUP_NOT_FOUND, BACKUP_TAGS_TOO_MANY */
  async setTag(caller: Caller, projectId: ProjectId, backupId: BackupId, tag: Tag): Promise<void> {
    const change: TagChange = { action: 'create', tags: [tag] };
    await this.#change(caller, { projectId, backupId, change, traceName: 'bksAddBackupTag' });
  }

  /** @throws BACKUP_NOT_FOUND, BACKUP_TAG_NOT_FOUND */
  async removeTag(caller: Caller, projectId: ProjectId, backupId: BackupId, key: string): Promise<void> {
    const change: TagChange = { action: 'delete', tags: [{ key }] };
    const requireKey = (tags: readonly Tag[]): void => {
      if (!tags.some((tag) => tag.key === key)) throw new VbsError('BACKUP_TAG_NOT_FOUND', { key });
    };
    await this.#change(caller, { projectId, backupId, change, traceName: 'bksDeleteBackupTag' }, requireKey);
  }

  /** All or nothing. @throws BACKUP_NOT_FOUND, BACKUP_TAGS_TOO_MANY */
  async changeTags(caller: Caller, projectId: ProjectId, backupId: BackupId, change: TagChange): Promise<void> {
    const traceName = change.action === 'delete' ? 'bksBatchDeleteBackupTag' : 'bksBatchAddBackupTag';
    await this.#change(caller, { projectId, backupId, change, traceName });
  }

  /** Backups that match, newest first. `totalCount` counts all of them, `limit` 0 shows none. */
  async findBackups(
    caller: Caller,
    projectId: ProjectId,
    search: TagSearch,
    page: { readonly limit: number; readonly offset: number },
  ): Promise<{ readonly items: readonly Backup[]; readonly totalCount: number }> {
    authorize(caller, projectId, 'reader');
    const filter = { projectId, tags: search };
    const { items, totalCount } = await this.#deps.catalog.backups.list(filter, { ...page, withTotalCount: true });
    return { items, totalCount: totalCount ?? items.length };
  }

  async #change(
    caller: Caller,
    request: {
      readonly projectId: ProjectId;
      readonly backupId: BackupId;
      readonly change: TagChange;
      readonly traceName: TraceName;
    },
    check: (tags: readonly Tag[]) => void = () => undefined,
  ): Promise<void> {
    const { projectId, backupId, change, traceName } = request;
    authorize(caller, projectId, 'member');
    const createdAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      check(backup.tags);
      const tags = applyTagChange(backup.tags, change);
      if (tags.length > BACKUP_TAG_MAX) throw new VbsError('BACKUP_TAGS_TOO_MANY');
      // What changes nothing leaves no trace of a change.
      if (isSameTags(tags, backup.tags)) return;
      await records.backups.replaceTags(backupId, tags);
      const resource = { resourceId: backupId, resourceName: backup.name };
      await recordTrace(records, { projectId, actor: caller, traceName, ...resource, details: change, createdAt });
    });
    await this.#deps.labels.saveBackup(projectId, backupId);
  }
}

// Attachments of volumes: who uses them, or is about to. A row goes when its attachment ends.
import { type Selectable, sql } from 'kysely';
import type { AttachmentId, ProjectId, VolumeId } from '../core/ids.ts';
import type { Attachment, AttachmentStatus } from '../core/model.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import { equals, type ListSpec, listRows } from './list-rows.ts';
import type {
  AttachmentChanges,
  AttachmentFilter,
  AttachmentSortKey,
  ListPage,
  ListResult,
  NewAttachment,
} from './record-types.ts';
import type { Scope } from './scope.ts';
import { type AttachmentTable, withoutUndefined } from './tables.ts';

const SORT_COLUMNS: ListSpec<AttachmentSortKey>['columns'] = { id: sql`attachment_id`, createdAt: sql`created_at` };

export class AttachmentRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(attachment: NewAttachment): Promise<void> {
    const row = {
      attachment_id: attachment.attachmentId,
      volume_id: attachment.volumeId,
      project_id: attachment.projectId,
      server_id: attachment.serverId,
      host_name: attachment.hostName,
      device: attachment.device,
      mode: attachment.mode,
      status: attachment.status,
      connector: attachment.connector === null ? null : JSON.stringify(attachment.connector),
      created_at: attachment.createdAt,
      updated_at: null,
      attached_at: attachment.attachedAt,
    };
    await this.#scope.executor.insertInto('volume_attachments').values(row).execute();
  }

  async get(projectId: ProjectId, attachmentId: AttachmentId): Promise<Attachment | undefined> {
    const row = await this.#select()
      .where('attachment_id', '=', attachmentId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toAttachment(row);
  }

  /** Of these volumes, oldest first. */
  async listOfVolumes(volumeIds: readonly VolumeId[]): Promise<Attachment[]> {
    const found: Attachment[] = [];
    for (const batch of splitIntoBatches(volumeIds, ROW_BATCH_COUNT)) {
      const rows = await this.#select()
        .where('volume_id', 'in', batch)
        .orderBy('created_at')
        .orderBy('attachment_id')
        .execute();
      found.push(...rows.map(toAttachment));
    }
    return found;
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: AttachmentFilter, page: ListPage<AttachmentSortKey>): Promise<ListResult<Attachment>> {
    const { executor } = this.#scope;
    const spec: ListSpec<AttachmentSortKey> = {
      table: 'volume_attachments',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: [
        ...equals('volume_id', filter.volumeId),
        ...equals('server_id', filter.serverId),
        ...equals('status', filter.status),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<AttachmentTable>, AttachmentSortKey>(executor, spec, page);
    return { items: rows.map(toAttachment), ...counted };
  }

  async update(attachmentId: AttachmentId, changes: AttachmentChanges): Promise<void> {
    const { connector } = changes;
    const values = withoutUndefined({
      host_name: changes.hostName,
      device: changes.device,
      mode: changes.mode,
      status: changes.status,
      connector: connector === undefined || connector === null ? connector : JSON.stringify(connector),
      attached_at: changes.attachedAt,
      updated_at: changes.updatedAt,
    });
    if (Object.keys(values).length === 0) return;
    await this.#scope.executor
      .updateTable('volume_attachments')
      .set(values)
      .where('attachment_id', '=', attachmentId)
      .execute();
  }

  async delete(attachmentId: AttachmentId): Promise<void> {
    await this.#scope.executor.deleteFrom('volume_attachments').where('attachment_id', '=', attachmentId).execute();
  }

  #select() {
    return this.#scope.executor.selectFrom('volume_attachments').selectAll();
  }
}

function toAttachment(row: Selectable<AttachmentTable>): Attachment {
  // Casts: rows hold only what `insert` and `update` took from typed values.
  return {
    attachmentId: row.attachment_id as AttachmentId,
    volumeId: row.volume_id as VolumeId,
    projectId: row.project_id as ProjectId,
    serverId: row.server_id,
    hostName: row.host_name,
    device: row.device,
    mode: row.mode as Attachment['mode'],
    status: row.status as AttachmentStatus,
    connector: row.connector === null ? null : (JSON.parse(row.connector) as Record<string, unknown>),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    attachedAt: row.attached_at,
  };
}

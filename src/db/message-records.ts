// Messages to the users of a project about what failed after it had been accepted. The end of a failed job writes one
// in its own transaction (job-records.ts).
import { type Selectable, sql } from 'kysely';
import { type JobId, type MessageId, newUuid, type ProjectId } from '../core/ids.ts';
import type { Message } from '../core/model.ts';
import type { Executor } from './database.ts';
import { equals, type ListSpec, listRows } from './list-rows.ts';
import type { ListPage, ListResult, MessageFilter, MessageSortKey } from './record-types.ts';
import type { Scope } from './scope.ts';
import type { JobTable, MessageTable } from './tables.ts';

const SORT_COLUMNS: ListSpec<MessageSortKey>['columns'] = {
  id: sql`message_id`,
  createdAt: sql`created_at`,
  event: sql`event`,
  resourceType: sql`resource_type`,
  resourceId: sql`resource_id`,
};

export class MessageRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(message: Message): Promise<void> {
    await insertMessage(this.#scope.executor, message);
  }

  async get(projectId: ProjectId, messageId: MessageId): Promise<Message | undefined> {
    const row = await this.#scope.executor
      .selectFrom('messages')
      .selectAll()
      .where('message_id', '=', messageId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toMessage(row);
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: MessageFilter, page: ListPage<MessageSortKey>): Promise<ListResult<Message>> {
    const { executor } = this.#scope;
    const spec: ListSpec<MessageSortKey> = {
      table: 'messages',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: [
        ...equals('event', filter.event),
        ...equals('resource_type', filter.resourceType),
        ...equals('resource_id', filter.resourceId),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<MessageTable>, MessageSortKey>(executor, spec, page);
    return { items: rows.map(toMessage), ...counted };
  }

  async delete(messageId: MessageId): Promise<void> {
    await this.#scope.executor.deleteFrom('messages').where('message_id', '=', messageId).execute();
  }

  /** Forgets old messages. Returns how many. */
  async deleteBefore(createdBefore: number): Promise<number> {
    const result = await this.#scope.executor
      .deleteFrom('messages')
      .where('created_at', '<', createdBefore)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }
}

const JOB_COLUMNS = ['project_id', 'kind', 'backup_id', 'volume_id', 'snapshot_id', 'request_id'] as const;
type FailedJob = Pick<Selectable<JobTable>, (typeof JOB_COLUMNS)[number]>;

/** Tells of a job that has failed for good, inside the transaction that ends it. Internal jobs concern no user. */
export async function insertJobMessage(
  executor: Executor,
  jobId: JobId,
  failure: { readonly errorCode: string; readonly failReason: string; readonly endedAt: number },
): Promise<void> {
  const job = await executor.selectFrom('jobs').select(JOB_COLUMNS).where('job_id', '=', jobId).executeTakeFirst();
  const resource = job === undefined ? undefined : resourceOf(job);
  if (job === undefined || resource === undefined) return;
  await insertMessage(executor, {
    messageId: newUuid(),
    // The cast: rows of jobs hold ids of projects.
    projectId: job.project_id as ProjectId,
    event: job.kind,
    ...resource,
    errorCode: failure.errorCode,
    detail: failure.failReason,
    jobId,
    requestId: job.request_id,
    createdAt: failure.endedAt,
  });
}

function resourceOf(job: FailedJob): Pick<Message, 'resourceType' | 'resourceId'> | undefined {
  if (job.kind === 'export') return undefined;
  if (job.backup_id !== null) return { resourceType: 'VOLUME_BACKUP', resourceId: job.backup_id };
  const isOfSnapshot = job.snapshot_id !== null && job.kind.endsWith('snapshot');
  if (isOfSnapshot) return { resourceType: 'VOLUME_SNAPSHOT', resourceId: String(job.snapshot_id) };
  return job.volume_id === null ? undefined : { resourceType: 'VOLUME', resourceId: job.volume_id };
}

async function insertMessage(executor: Executor, message: Message): Promise<void> {
  const row = {
    message_id: message.messageId,
    project_id: message.projectId,
    event: message.event,
    resource_type: message.resourceType,
    resource_id: message.resourceId,
    error_code: message.errorCode,
    detail: message.detail,
    job_id: message.jobId,
    request_id: message.requestId,
    created_at: message.createdAt,
  };
  await executor.insertInto('messages').values(row).execute();
}

function toMessage(row: Selectable<MessageTable>): Message {
  // Casts: rows hold only what `insertMessage` took from typed values.
  return {
    messageId: row.message_id as MessageId,
    projectId: row.project_id as ProjectId,
    event: row.event,
    resourceType: row.resource_type as Message['resourceType'],
    resourceId: row.resource_id,
    errorCode: row.error_code,
    detail: row.detail,
    jobId: row.job_id as JobId | null,
    requestId: row.request_id,
    createdAt: row.created_at,
  };
}

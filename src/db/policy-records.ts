// Policies with their tags, the volumes in them, and the due times that were claimed. Rules live in
// services/policy-service.ts, the claim in jobs/run-claim.ts.
import { type Selectable, sql, type Updateable } from 'kysely';
import type { PolicyId, ProjectId, UserId, VolumeId } from '../core/ids.ts';
import type { Policy, PolicyVolume, Recurrence, RetentionRule, Tag } from '../core/model.ts';
import type { TagValues } from '../core/tag-search.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type {
  DueRun,
  NewPolicy,
  PolicyChanges,
  PolicyFilter,
  PolicySortKey,
  PolicyVolumeFilter,
} from './policy-types.ts';
import type { ListPage, ListResult } from './record-types.ts';
import type { Scope } from './scope.ts';
import { type PolicyTable, toFlag, withoutUndefined } from './tables.ts';
import { groupTagValues, type TagPlace, tagConditions } from './tag-conditions.ts';
import { toVolume } from './volume-records.ts';

type PolicyRow = Selectable<PolicyTable>;

const TAG_PLACE: TagPlace = { table: 'policy_tags', owner: 'policy_id' };
const SORT_COLUMNS: ListSpec<PolicySortKey>['columns'] = {
  id: sql`policy_id`,
  createdAt: sql`created_at`,
  isOther: sql`1 - is_default`,
};

export class PolicyRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(policy: NewPolicy): Promise<void> {
    await this.#scope.executor.insertInto('policies').values(toRow(policy)).execute();
    await this.#insertTags(policy.policyId, policy.tags);
  }

  async get(projectId: ProjectId, policyId: PolicyId): Promise<Policy | undefined> {
    const rows = await this.#select().where('policy_id', '=', policyId).where('project_id', '=', projectId).execute();
    return (await this.#complete(rows))[0];
  }

  async hasDefault(projectId: ProjectId): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('policies')
      .select('policy_id')
      .where('project_id', '=', projectId)
      .where('is_default', '=', 1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Without the default policy. */
  async countOwn(projectId: ProjectId): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('policies')
      .select((query) => query.fn.countAll<number>().as('count'))
      .where('project_id', '=', projectId)
      .where('is_default', '=', 0)
      .executeTakeFirstOrThrow();
    return row.count;
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: PolicyFilter, page: ListPage<PolicySortKey>): Promise<ListResult<Policy>> {
    const spec: ListSpec<PolicySortKey> = {
      table: 'policies',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: filter.tags === undefined ? [] : tagConditions(filter.tags, TAG_PLACE),
    };
    const { rows, ...counted } = await listRows<PolicyRow, PolicySortKey>(this.#scope.executor, spec, page);
    return { items: await this.#complete(rows), ...counted };
  }

  /** Those that are on, of every project. */
  async listEnabled(): Promise<Policy[]> {
    return await this.#complete(await this.#select().where('is_enabled', '=', 1).orderBy('policy_id').execute());
  }

  async update(policyId: PolicyId, changes: PolicyChanges): Promise<void> {
    const columns = toColumns(changes);
    if (Object.keys(columns).length > 0) {
      await this.#scope.executor.updateTable('policies').set(columns).where('policy_id', '=', policyId).execute();
    }
  }

  /** With its tags, tasks and claimed runs; its volumes are free again, its backups stay. */
  async delete(policyId: PolicyId): Promise<void> {
    await this.#scope.executor.deleteFrom('policies').where('policy_id', '=', policyId).execute();
  }

  /** Takes the place of all tags that the policy has. */
  async replaceTags(policyId: PolicyId, tags: readonly Tag[]): Promise<void> {
    await this.#scope.executor.deleteFrom('policy_tags').where('policy_id', '=', policyId).execute();
    await this.#insertTags(policyId, tags);
  }

  /** All tags of the project's policies, by key; the values of each in order. */
  async listTagValues(projectId: ProjectId): Promise<TagValues[]> {
    const rows = await this.#scope.executor
      .selectFrom('policy_tags')
      .innerJoin('policies', 'policies.policy_id', 'policy_tags.policy_id')
      .select(['policy_tags.key', 'policy_tags.value'])
      .distinct()
      .where('policies.project_id', '=', projectId)
      .orderBy('policy_tags.key')
      .orderBy('policy_tags.value')
      .execute();
    return groupTagValues(rows);
  }

  /** Due times up to `nowAt` that nobody has claimed, the earliest first. */
  async listDue(nowAt: number, limit: number): Promise<DueRun[]> {
    const rows = await this.#scope.executor
      .selectFrom('policies')
      .select(['policy_id', 'project_id', 'next_run_at'])
      .where('next_run_at', 'is not', null)
      .where('next_run_at', '<=', nowAt)
      .orderBy('next_run_at')
      .orderBy('policy_id')
      .limit(limit)
      .execute();
    return rows.map(toDueRun);
  }

  /** The earliest due time that nobody has claimed, of every project. */
  async findNextDueAt(): Promise<number | undefined> {
    const row = await this.#scope.executor
      .selectFrom('policies')
      .select('next_run_at')
      .where('next_run_at', 'is not', null)
      .orderBy('next_run_at')
      .limit(1)
      .executeTakeFirst();
    return row?.next_run_at ?? undefined;
  }

  /** Moves the due time on by compare-and-set; false when somebody else has claimed or changed it. */
  async moveNextRun(policyId: PolicyId, dueAt: number, nextRunAt: number): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('policies')
      .set({ next_run_at: nextRunAt })
      .where('policy_id', '=', policyId)
      .where('next_run_at', '=', dueAt)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  async hasRun(policyId: PolicyId, dueAt: number): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('policy_runs')
      .select('due_at')
      .where('policy_id', '=', policyId)
      .where('due_at', '=', dueAt)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Fails when the due time has run before: its primary key is what makes a run happen once. */
  async insertRun(policyId: PolicyId, dueAt: number, claimedAt: number): Promise<void> {
    const row = { policy_id: policyId, due_at: dueAt, claimed_at: claimedAt };
    await this.#scope.executor.insertInto('policy_runs').values(row).execute();
  }

  /** Returns how many were forgotten. */
  async deleteRunsBefore(dueBefore: number): Promise<number> {
    const { executor } = this.#scope;
    const result = await executor.deleteFrom('policy_runs').where('due_at', '<', dueBefore).executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  /** Puts the volume into the policy, out of any other. */
  async addVolume(policyId: PolicyId, volumeId: VolumeId, associatedAt: number): Promise<void> {
    const place = { policy_id: policyId, associated_at: associatedAt };
    await this.#scope.executor
      .insertInto('policy_volumes')
      .values({ volume_id: volumeId, ...place })
      .onConflict((conflict) => conflict.column('volume_id').doUpdateSet(place))
      .execute();
  }

  /** False when it was not in this policy. */
  async removeVolume(policyId: PolicyId, volumeId: VolumeId): Promise<boolean> {
    const result = await this.#scope.executor
      .deleteFrom('policy_volumes')
      .where('volume_id', '=', volumeId)
      .where('policy_id', '=', policyId)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  }

  async hasVolume(policyId: PolicyId, volumeId: VolumeId): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('policy_volumes')
      .select('volume_id')
      .where('volume_id', '=', volumeId)
      .where('policy_id', '=', policyId)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** In the order in which they came. */
  async listVolumeIds(policyId: PolicyId): Promise<VolumeId[]> {
    const rows = await this.#scope.executor
      .selectFrom('policy_volumes')
      .select('volume_id')
      .where('policy_id', '=', policyId)
      .orderBy('associated_at')
      .orderBy('volume_id')
      .execute();
    // The cast is the brand of what `addVolume` took.
    return rows.map((row) => row.volume_id as VolumeId);
  }

  /** In the order in which they came. */
  async listVolumes(
    policyId: PolicyId,
    filter: PolicyVolumeFilter,
    page: { readonly limit: number; readonly offset: number },
  ): Promise<{ readonly items: readonly PolicyVolume[]; readonly totalCount: number }> {
    const conditions = this.#volumeConditions(policyId, filter);
    let joined = this.#scope.executor
      .selectFrom('policy_volumes')
      .innerJoin('volumes', 'volumes.volume_id', 'policy_volumes.volume_id');
    for (const condition of conditions) joined = joined.where(condition);
    const counted = await joined.select((query) => query.fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
    const rows = await joined
      .selectAll('volumes')
      .select('policy_volumes.associated_at')
      .orderBy('policy_volumes.associated_at')
      .orderBy('volumes.volume_id')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const items = rows.map((row) => ({ volume: toVolume(row), associatedAt: row.associated_at }));
    return { items, totalCount: counted.count };
  }

  #volumeConditions(policyId: PolicyId, { nameLike, volumeId, status }: PolicyVolumeFilter): Condition[] {
    const { capabilities } = this.#scope;
    return [
      ...equals('policy_volumes.policy_id', policyId),
      ...(nameLike === undefined ? [] : [capabilities.contains('volumes.name', nameLike)]),
      ...equals('volumes.volume_id', volumeId),
      ...equals('volumes.status', status),
    ];
  }

  #select() {
    return this.#scope.executor.selectFrom('policies').selectAll();
  }

  async #insertTags(policyId: PolicyId, tags: readonly Tag[]): Promise<void> {
    if (tags.length === 0) return;
    const rows = tags.map(({ key, value }, index) => ({ policy_id: policyId, tag_index: index, key, value }));
    await this.#scope.executor.insertInto('policy_tags').values(rows).execute();
  }

  /** Adds what other rows say of these: tags and how many volumes there are. */
  async #complete(rows: readonly PolicyRow[]): Promise<Policy[]> {
    if (rows.length === 0) return [];
    const policyIds = rows.map((row) => row.policy_id);
    const { executor } = this.#scope;
    const tagRows = await executor
      .selectFrom('policy_tags')
      .selectAll()
      .where('policy_id', 'in', policyIds)
      .orderBy('tag_index')
      .execute();
    const counts = await executor
      .selectFrom('policy_volumes')
      .select(['policy_id', (query) => query.fn.countAll<number>().as('count')])
      .where('policy_id', 'in', policyIds)
      .groupBy('policy_id')
      .execute();
    const tags = Map.groupBy(tagRows, (row) => row.policy_id);
    const countOf = new Map(counts.map((row) => [row.policy_id, row.count]));
    return rows.map((row) => toPolicy(row, tags.get(row.policy_id) ?? [], countOf.get(row.policy_id) ?? 0));
  }
}

function toDueRun(row: Pick<PolicyRow, 'policy_id' | 'project_id' | 'next_run_at'>): DueRun {
  // Casts are the brands of ids; the query asks for rows with a due time only.
  return {
    policyId: row.policy_id as PolicyId,
    projectId: row.project_id as ProjectId,
    dueAt: row.next_run_at as number,
  };
}

function toRow(policy: NewPolicy) {
  return {
    policy_id: policy.policyId,
    project_id: policy.projectId,
    user_id: policy.userId,
    name: policy.name,
    is_default: toFlag(policy.isDefault),
    start_time: policy.schedule.startTime,
    time_zone: policy.schedule.timeZone,
    recurrence: JSON.stringify(policy.schedule.recurrence),
    retention: JSON.stringify(policy.retention),
    keeps_first_of_month: toFlag(policy.keepsFirstOfMonth),
    is_enabled: toFlag(policy.isEnabled),
    next_run_at: policy.nextRunAt,
    created_at: policy.createdAt,
    updated_at: null,
  };
}

function toColumns(changes: PolicyChanges): Updateable<PolicyTable> {
  const { schedule, retention, keepsFirstOfMonth, isEnabled } = changes;
  return withoutUndefined({
    name: changes.name,
    start_time: schedule?.startTime,
    time_zone: schedule?.timeZone,
    recurrence: schedule === undefined ? undefined : JSON.stringify(schedule.recurrence),
    retention: retention === undefined ? undefined : JSON.stringify(retention),
    keeps_first_of_month: keepsFirstOfMonth === undefined ? undefined : toFlag(keepsFirstOfMonth),
    is_enabled: isEnabled === undefined ? undefined : toFlag(isEnabled),
    next_run_at: changes.nextRunAt,
    updated_at: changes.updatedAt,
  });
}

function toPolicy(row: PolicyRow, tags: readonly Tag[], volumeCount: number): Policy {
  // Casts: rows hold only what `insert` and `update` took from typed values.
  return {
    policyId: row.policy_id as PolicyId,
    projectId: row.project_id as ProjectId,
    userId: row.user_id as UserId,
    name: row.name,
    isDefault: row.is_default === 1,
    schedule: {
      startTime: row.start_time,
      timeZone: row.time_zone,
      recurrence: JSON.parse(row.recurrence) as Recurrence,
    },
    retention: JSON.parse(row.retention) as RetentionRule,
    keepsFirstOfMonth: row.keeps_first_of_month === 1,
    isEnabled: row.is_enabled === 1,
    tags: tags.map(({ key, value }) => ({ key, value })),
    volumeCount,
    nextRunAt: row.next_run_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

// Policies: made, changed, run, their volumes and tags. What form the fields have is checked at the edge; here is what
// needs rows: how many there are, what a change makes of what is stored, what runs.
import { type ErrorCode, isVbsError, VbsError } from '../core/errors.ts';
import { type PolicyId, type ProjectId, parseUuid, type VolumeId } from '../core/ids.ts';
import { LIST_LIMIT_MAX, TASK_KEEP_DAYS } from '../core/limits.ts';
import { DAY_MS } from '../core/local-time.ts';
import type { Policy, PolicyVolume, Tag, Task } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { TagChange, TagSearch, TagValues } from '../core/tag-search.ts';
import type { TraceName } from '../core/trace.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { PolicyFilter } from '../db/policy-types.ts';
import { claimDueRun, enterRun, firstUnclaimedAfter } from '../jobs/run-claim.ts';
import { recordTrace } from './audit.ts';
import type { BackupService } from './backup-service.ts';
import { authorize, type Caller } from './caller.ts';
import type { ListResult } from './list-page.ts';
import { findRefusal, hostAttrOf, unknownResource } from './policy-association.ts';
import type {
  AssociationFailure,
  AssociationResult,
  CreatePolicyInput,
  DisassociationResult,
  ModifyPolicyInput,
  OffsetPage,
  PolicyLimits,
  PolicyListPage,
  PolicyVolumeFilter,
  RetentionPreview,
  TaskListFilter,
  TaskPage,
  TriedRule,
} from './policy-requests.ts';
import { defaultPolicy, newPolicy, planModification, requireSchedule } from './policy-rules.ts';
import { planVolume, toRules } from './retention-runner.ts';
import { applyTagChange, isSameTags } from './tag-changes.ts';

/** Tags of one policy (contract 3.2). */
const POLICY_TAG_MAX = 10;

export type PolicyServiceDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly limits: PolicyLimits;
  readonly backups: Pick<BackupService, 'requireQuotaLeft'>;
  /** Tells the scheduler that there are tasks or new due times. */
  readonly wakeScheduler: () => void;
};

export class PolicyService {
  readonly #deps: PolicyServiceDeps;

  constructor(deps: PolicyServiceDeps) {
    this.#deps = deps;
  }

  /** What the edge checks forms against. */
  get limits(): PolicyLimits {
    return this.#deps.limits;
  }

  /** @throws POLICY_TIME_ZONE_INVALID, POLICY_START_TIME_INVALID, POLICIES_EXCEEDED */
  async createPolicy(caller: Caller, projectId: ProjectId, input: CreatePolicyInput): Promise<Policy> {
    authorize(caller, projectId, 'member');
    requireSchedule(input);
    const { catalog, clock, limits } = this.#deps;
    // So that it is always the oldest.
    await this.#ensureDefault(caller, projectId);
    return await catalog.transact(projectId, async (records) => {
      if ((await records.policies.countOwn(projectId)) >= limits.maxPolicies) {
        throw new VbsError('POLICIES_EXCEEDED', { limit: limits.maxPolicies });
      }
      const policy = newPolicy(input, { projectId, userId: caller.userId, createdAt: clock.now() });
      await records.policies.insert(policy);
      const created = await requirePolicy(records, projectId, policy.policyId);
      await this.#trace(records, caller, 'createPolicy', created);
      return created;
    });
  }

  /**
   * The default policy first, then oldest first; makes the default policy when the project has none yet.
   * Without a page: all of them. @throws MARKER_NOT_FOUND
   */
  async listPolicies(caller: Caller, projectId: ProjectId, page: PolicyListPage = {}): Promise<readonly Policy[]> {
    authorize(caller, projectId, 'reader');
    const { items } = await this.#list(caller, { projectId }, page);
    return items;
  }

  /** @throws POLICY_QUERIED_NOT_FOUND */
  async getPolicy(caller: Caller, projectId: ProjectId, policyId: PolicyId): Promise<Policy> {
    authorize(caller, projectId, 'reader');
    return await this.#requireQueried(projectId, policyId);
  }

  /** @throws POLICY_NOT_FOUND, POLICY_DEFAULT_FIXED, POLICY_TIME_ZONE_INVALID, POLICY_START_TIME_INVALID */
  async modifyPolicy(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    input: ModifyPolicyInput,
  ): Promise<Policy> {
    authorize(caller, projectId, 'member');
    const { catalog, clock, limits, wakeScheduler } = this.#deps;
    for (;;) {
      const nowAt = clock.now();
      const modified = await catalog.transact(projectId, async (records) => {
        const policy = await requirePolicy(records, projectId, policyId);
        const { changes, isRescheduled } = planModification(policy, input);
        if (Object.keys(changes).length === 0) return policy;
        if (isRescheduled && policy.nextRunAt !== null && policy.nextRunAt <= nowAt) {
          // What was due by the old schedule is claimed by it before the new one takes effect, one due time a round.
          await claimDueRun(records, policy, { nowAt, startJitterMs: limits.startJitterMs });
          return undefined;
        }
        await records.policies.update(policyId, { ...changes, updatedAt: nowAt });
        const changed = await requirePolicy(records, projectId, policyId);
        if (isRescheduled) {
          const nextRunAt = changed.isEnabled ? await firstUnclaimedAfter(records, changed, nowAt) : null;
          await records.policies.update(policyId, { nextRunAt });
        }
        await this.#trace(records, caller, 'modifyPolicy', changed);
        return await requirePolicy(records, projectId, policyId);
      });
      if (modified !== undefined) return modified;
      wakeScheduler();
    }
  }

  /**
   * Its backups stay and no longer expire, its volumes are free.
   * @throws POLICY_NOT_FOUND, POLICY_DEFAULT_FIXED, POLICY_RUNNING, POLICY_DELETION_FAILED
   */
  async deletePolicy(caller: Caller, projectId: ProjectId, policyId: PolicyId): Promise<void> {
    authorize(caller, projectId, 'member');
    const work = async (records: CatalogRecords): Promise<void> => {
      const policy = await requirePolicy(records, projectId, policyId);
      if (policy.isDefault) throw new VbsError('POLICY_DEFAULT_FIXED');
      if (await records.tasks.hasOpen(policyId)) throw new VbsError('POLICY_RUNNING', { policyId });
      await records.policies.delete(policyId);
      await this.#trace(records, caller, 'deletePolicy', policy);
    };
    await callOr('POLICY_DELETION_FAILED', policyId, () => this.#deps.catalog.transact(projectId, work));
  }

  /**
   * Enters one task for each volume; also when the policy is off.
   * @throws POLICY_NOT_FOUND, POLICY_WITHOUT_VOLUMES, POLICY_RUNNING, QUOTA_BACKUPS_EXCEEDED,
   * QUOTA_BACKUP_GIGABYTES_EXCEEDED, POLICY_RUN_FAILED
   */
  async runPolicy(caller: Caller, projectId: ProjectId, policyId: PolicyId): Promise<void> {
    authorize(caller, projectId, 'member');
    const { catalog, clock, backups, wakeScheduler } = this.#deps;
    const work = async (records: CatalogRecords): Promise<void> => {
      const policy = await requirePolicy(records, projectId, policyId);
      if (policy.volumeCount === 0) throw new VbsError('POLICY_WITHOUT_VOLUMES', { policyId });
      if (await records.tasks.hasOpen(policyId)) throw new VbsError('POLICY_RUNNING', { policyId });
      await backups.requireQuotaLeft(records, projectId);
      // Who asks for it now does not want to wait for the spread of scheduled runs.
      await enterRun(records, policy, null, { nowAt: clock.now(), startJitterMs: 0 });
      await this.#trace(records, caller, 'actionPolicy', policy);
    };
    await callOr('POLICY_RUN_FAILED', policyId, () => catalog.transact(projectId, work));
    wakeScheduler();
  }

  /** Newest first unless `direction` is `asc`. @throws POLICY_QUERIED_NOT_FOUND, MARKER_NOT_FOUND */
  async listTasks(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    filter: TaskListFilter,
    page: TaskPage,
  ): Promise<ListResult<Task> & { readonly totalCount: number }> {
    authorize(caller, projectId, 'reader');
    await this.#requireQueried(projectId, policyId);
    const { limit, offset, markerId, direction = 'desc' } = page;
    const createdFrom = this.#deps.clock.now() - TASK_KEEP_DAYS * DAY_MS;
    const { items, totalCount = items.length } = await this.#deps.catalog.tasks.list(
      { ...filter, projectId, policyId, createdFrom },
      { limit, offset, markerId, sort: [{ key: 'createdAt', direction }], withTotalCount: true },
    );
    return { items, totalCount };
  }

  /** Each volume has its own outcome; one that is in another policy is moved. @throws POLICY_NOT_FOUND */
  async associate(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    resourceIds: readonly string[],
  ): Promise<AssociationResult> {
    authorize(caller, projectId, 'member');
    const { catalog, clock, limits } = this.#deps;
    return await catalog.transact(projectId, async (records) => {
      const policy = await requirePolicy(records, projectId, policyId);
      const memberIds = new Set(await records.policies.listVolumeIds(policyId));
      const successes: AssociationResult['successes'][number][] = [];
      const failures: AssociationFailure[] = [];
      for (const resourceId of resourceIds) {
        const volumeId = parseUuid<VolumeId>(resourceId);
        const volume = volumeId === undefined ? undefined : await records.volumes.get(projectId, volumeId);
        const hostAttr = volume === undefined ? null : hostAttrOf(volume);
        const refusal = findRefusal(resourceId, volume, memberIds, limits.maxVolumes);
        if (volume === undefined || refusal !== undefined || hostAttr === null) {
          const refused = describeRefusal(refusal ?? unknownResource(resourceId));
          failures.push({ resourceId, volume: volume ?? null, hostAttr, ...refused });
          continue;
        }
        if (!memberIds.has(volume.volumeId)) {
          await records.policies.addVolume(policyId, volume.volumeId, clock.now());
          memberIds.add(volume.volumeId);
        }
        successes.push({ resourceId, volume, hostAttr });
      }
      const resources = successes.map(({ volume }) => volume.volumeId);
      if (resources.length > 0) await this.#trace(records, caller, 'addPolicyResource', policy, { resources });
      return { successes, failures };
    });
  }

  /** @throws POLICY_NOT_FOUND */
  async disassociate(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    resourceIds: readonly string[],
  ): Promise<DisassociationResult> {
    authorize(caller, projectId, 'member');
    return await this.#deps.catalog.transact(projectId, async (records) => {
      const policy = await requirePolicy(records, projectId, policyId);
      const successes: { resourceId: string }[] = [];
      const failures: DisassociationResult['failures'][number][] = [];
      for (const resourceId of resourceIds) {
        const volumeId = parseUuid<VolumeId>(resourceId);
        const isRemoved = volumeId !== undefined && (await records.policies.removeVolume(policyId, volumeId));
        if (isRemoved) successes.push({ resourceId });
        else failures.push({ resourceId, ...describeRefusal(unknownResource(resourceId)) });
      }
      const resources = successes.map(({ resourceId }) => resourceId);
      if (resources.length > 0) await this.#trace(records, caller, 'deletePolicyResource', policy, { resources });
      return { successes, failures };
    });
  }

  /** Oldest association first. @throws POLICY_QUERIED_NOT_FOUND */
  async listVolumes(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    filter: PolicyVolumeFilter,
    page: OffsetPage,
  ): Promise<{
    readonly items: readonly (PolicyVolume & { readonly hostAttr: string })[];
    readonly totalCount: number;
  }> {
    authorize(caller, projectId, 'reader');
    await this.#requireQueried(projectId, policyId);
    const { name: nameLike, volumeId, status } = filter;
    const { policies } = this.#deps.catalog;
    const { items, totalCount } = await policies.listVolumes(policyId, { nameLike, volumeId, status }, page);
    return { items: items.map((item) => ({ ...item, hostAttr: hostAttrOf(item.volume) })), totalCount };
  }

  /** Union over all policies of the project. */
  async listProjectTags(caller: Caller, projectId: ProjectId): Promise<readonly TagValues[]> {
    authorize(caller, projectId, 'reader');
    return await this.#deps.catalog.policies.listTagValues(projectId);
  }

  /** @throws POLICY_QUERIED_NOT_FOUND */
  async listTags(caller: Caller, projectId: ProjectId, policyId: PolicyId): Promise<readonly Tag[]> {
    authorize(caller, projectId, 'reader');
    const { tags } = await this.#requireQueried(projectId, policyId);
    return tags;
  }

  /** Adds a tag, or replaces the value of its key. @throws POLICY_NOT_FOUND, POLICY_TAGS_TOO_MANY */
  async setTag(caller: Caller, projectId: ProjectId, policyId: PolicyId, tag: Tag): Promise<void> {
    const change: TagChange = { action: 'create', tags: [tag] };
    await this.#changeTags(caller, { projectId, policyId, change, traceName: 'addPolicyTag' });
  }

  /** @throws POLICY_NOT_FOUND, POLICY_TAG_NOT_FOUND */
  async removeTag(caller: Caller, projectId: ProjectId, policyId: PolicyId, key: string): Promise<void> {
    const change: TagChange = { action: 'delete', tags: [{ key }] };
    const requireKey = (tags: readonly Tag[]): void => {
      if (!tags.some((tag) => tag.key === key)) throw new VbsError('POLICY_TAG_NOT_FOUND', { key });
    };
    await this.#changeTags(caller, { projectId, policyId, change, traceName: 'deletePolicyTag' }, requireKey);
  }

  /** All or nothing. @throws POLICY_NOT_FOUND, POLICY_TAGS_TOO_MANY */
  async changeTags(caller: Caller, projectId: ProjectId, policyId: PolicyId, change: TagChange): Promise<void> {
    const traceName = change.action === 'delete' ? 'batchDeletePolicyTag' : 'batchAddPolicyTag';
    await this.#changeTags(caller, { projectId, policyId, change, traceName });
  }

  /** Policies that match, in the order of `listPolicies`. `totalCount` counts all of them, `limit` 0 shows none. */
  async findPolicies(
    caller: Caller,
    projectId: ProjectId,
    search: TagSearch,
    page: OffsetPage,
  ): Promise<{ readonly items: readonly Policy[]; readonly totalCount: number }> {
    authorize(caller, projectId, 'reader');
    const { items, totalCount = items.length } = await this.#list(caller, { projectId, tags: search }, page);
    return { items, totalCount };
  }

  /**
   * What retention would delete now, volume by volume, and why; with `rule` as if the policy had it. Also for policies
   * that are off. Deletes nothing. @throws POLICY_QUERIED_NOT_FOUND
   */
  async previewRetention(
    caller: Caller,
    projectId: ProjectId,
    policyId: PolicyId,
    rule: TriedRule = {},
  ): Promise<readonly RetentionPreview[]> {
    authorize(caller, projectId, 'reader');
    const { catalog, clock } = this.#deps;
    const policy = await this.#requireQueried(projectId, policyId);
    const stored = toRules(policy);
    const rules = {
      ...stored,
      retention: rule.retention ?? stored.retention,
      keepsFirstOfMonth: rule.keepsFirstOfMonth ?? stored.keepsFirstOfMonth,
    };
    const previews: RetentionPreview[] = [];
    for (const volumeId of await catalog.policies.listVolumeIds(policyId)) {
      previews.push({ volumeId, plan: await planVolume(catalog, policy, rules, volumeId, clock.now()) });
    }
    return previews;
  }

  async #list(caller: Caller, filter: PolicyFilter, page: PolicyListPage): Promise<ListResult<Policy>> {
    const { limit = LIST_LIMIT_MAX, offset, markerId } = page;
    // A marker names a policy that is there, and the default one is older than all: a refused marker makes nothing.
    if (markerId === undefined) await this.#ensureDefault(caller, filter.projectId);
    const sort = [{ key: 'isOther', direction: 'asc' } as const, { key: 'createdAt', direction: 'asc' } as const];
    return await this.#deps.catalog.policies.list(filter, { limit, offset, markerId, sort, withTotalCount: true });
  }

  /** Made on first use, whoever looks first. */
  async #ensureDefault({ userId }: Caller, projectId: ProjectId): Promise<void> {
    const { catalog, clock } = this.#deps;
    if (await catalog.policies.hasDefault(projectId)) return;
    await catalog.transact(projectId, async ({ policies }) => {
      if (await policies.hasDefault(projectId)) return;
      await policies.insert(defaultPolicy({ projectId, userId, createdAt: clock.now() }));
    });
  }

  async #requireQueried(projectId: ProjectId, policyId: PolicyId): Promise<Policy> {
    const policy = await this.#deps.catalog.policies.get(projectId, policyId);
    if (policy === undefined) throw new VbsError('POLICY_QUERIED_NOT_FOUND', { policyId });
    return policy;
  }

  async #changeTags(
    caller: Caller,
    request: {
      readonly projectId: ProjectId;
      readonly policyId: PolicyId;
      readonly change: TagChange;
      readonly traceName: TraceName;
    },
    check: (tags: readonly Tag[]) => void = () => undefined,
  ): Promise<void> {
    const { projectId, policyId, change, traceName } = request;
    authorize(caller, projectId, 'member');
    await this.#deps.catalog.transact(projectId, async (records) => {
      const policy = await requirePolicy(records, projectId, policyId);
      check(policy.tags);
      const tags = applyTagChange(policy.tags, change);
      if (tags.length > POLICY_TAG_MAX)
        throw new VbsError('POLICY_TAGS_TOO_MANY', { field: 'tags', limit: POLICY_TAG_MAX });
      // What changes nothing leaves no trace of a change.
      if (isSameTags(tags, policy.tags)) return;
      await records.policies.replaceTags(policyId, tags);
      await this.#trace(records, caller, traceName, policy, change);
    });
  }

  async #trace(
    records: CatalogRecords,
    actor: Caller,
    traceName: TraceName,
    { projectId, policyId, name }: Policy,
    details: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    const resource = { resourceId: policyId, resourceName: name };
    await recordTrace(records, {
      projectId,
      actor,
      traceName,
      ...resource,
      details,
      createdAt: this.#deps.clock.now(),
    });
  }
}

async function requirePolicy(
  { policies }: Pick<CatalogRecords, 'policies'>,
  projectId: ProjectId,
  policyId: PolicyId,
): Promise<Policy> {
  const policy = await policies.get(projectId, policyId);
  if (policy === undefined) throw new VbsError('POLICY_NOT_FOUND', { policyId });
  return policy;
}

function describeRefusal({ code, message }: VbsError): { readonly code: ErrorCode; readonly message: string } {
  return { code, message };
}

/** What is not the caller's fault gets the code of the operation (contract 4.5). */
async function callOr(code: ErrorCode, policyId: PolicyId, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (isVbsError(cause) && cause.spec.status < 500) throw cause;
    throw new VbsError(code, { policyId }, { cause });
  }
}

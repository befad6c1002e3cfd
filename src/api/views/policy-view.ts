// Policies, their volumes and tasks as the policy family shows them (contract 3.9, 3.13 to 3.15). What is not set is
// left out: clients take null for a change.
import { bytesToGib } from '../../core/bytes.ts';
import { type ErrorCode, isErrorCode, policyWireOf, taskWireOf } from '../../core/errors.ts';
import type { Policy, PolicyVolume, Tag, Task } from '../../core/model.ts';
import type { AssociationResult, DisassociationResult, RetentionPreview } from '../../services/policy-requests.ts';
import { dropUndefined } from '../schemas/parse.ts';
import { formatTaskTime } from './times.ts';

type View = Record<string, unknown>;

export function viewPolicy(policy: Policy): View {
  const { schedule, retention } = policy;
  return {
    backup_policy_id: policy.policyId,
    backup_policy_name: policy.name,
    scheduled_policy: {
      start_time: schedule.startTime,
      ...(schedule.recurrence.kind === 'interval'
        ? { frequency: schedule.recurrence.everyDays }
        : { week_frequency: schedule.recurrence.weekDays }),
      ...(retention.kind === 'count'
        ? { rentention_num: retention.keepCount }
        : { rentention_day: retention.keepDays }),
      remain_first_backup_of_curMonth: policy.keepsFirstOfMonth ? 'Y' : 'N',
      status: policy.isEnabled ? 'ON' : 'OFF',
    },
    policy_resource_count: policy.volumeCount,
    time_zone: schedule.timeZone,
    tags: policy.tags.map(viewTag),
  };
}

export function viewTag({ key, value }: Tag): View {
  return { key, value };
}

/** An item of a search by tags. */
export function viewFound(id: string, name: string | null, tags: readonly Tag[]): View {
  return { resource_id: id, resource_name: name, resource_detail: null, tags: tags.map(viewTag) };
}

export function viewTask(task: Task): View {
  const hasFailed = task.status === 'EXECUTE_FAIL' || task.status === 'EXECUTE_TIMEOUT' || task.status === 'SKIP';
  return dropUndefined({
    status: task.status,
    job_id: task.taskId,
    created_at: formatTaskTime(task.createdAt),
    finished_at: task.finishedAt === null ? undefined : formatTaskTime(task.finishedAt),
    backup_name: task.backupName ?? undefined,
    resource_id: task.volumeId,
    resource_type: 'volume',
    vbs_job_id: task.jobId ?? undefined,
    code: hasFailed ? wireCodeOf(task.errorCode) : undefined,
    message: hasFailed ? (task.message ?? undefined) : undefined,
  });
}

function wireCodeOf(errorCode: string | null): string | undefined {
  if (errorCode === null) return undefined;
  return taskWireOf(isErrorCode(errorCode) ? errorCode : 'INTERNAL');
}

/** A success must not carry a `code`: an SDK takes it for a failure. */
export function viewAssociation({ successes, failures }: AssociationResult): View {
  return {
    success_resources: successes.map(({ resourceId, volume, hostAttr }) => ({
      resource_id: resourceId,
      resource_type: 'volume',
      availability_zone: volume.availabilityZone,
      os_vol_host_attr: hostAttr,
    })),
    fail_resources: failures.map(({ resourceId, volume, hostAttr, code, message }) => ({
      resource_id: resourceId,
      resource_type: 'volume',
      availability_zone: volume?.availabilityZone ?? null,
      os_vol_host_attr: hostAttr,
      ...viewFailure(code, message),
    })),
  };
}

export function viewDisassociation({ successes, failures }: DisassociationResult): View {
  return {
    success_resources: successes.map(({ resourceId }) => ({ resource_id: resourceId })),
    fail_resources: failures.map(({ resourceId, code, message }) => ({
      resource_id: resourceId,
      ...viewFailure(code, message),
    })),
  };
}

function viewFailure(code: ErrorCode, message: string): View {
  return { code: policyWireOf(code), message };
}

export function viewPolicyVolume({
  volume,
  hostAttr,
  associatedAt,
}: PolicyVolume & { readonly hostAttr: string }): View {
  return {
    resource_id: volume.volumeId,
    resource_type: 'volume',
    resource_name: volume.name,
    status: volume.status,
    size: bytesToGib(volume.sizeBytes),
    availability_zone: volume.availabilityZone,
    os_vol_host_attr: hostAttr,
    associated_at: formatTaskTime(associatedAt),
  };
}

/** Extension: one entry a backup, volume by volume, newest first within each. */
export function viewRetentionPreview(previews: readonly RetentionPreview[]): View {
  const backups = previews.flatMap(({ volumeId, plan }) =>
    plan.map((verdict) => ({
      backup_id: verdict.backupId,
      backup_name: verdict.name,
      volume_id: volumeId,
      created_at: formatTaskTime(verdict.createdAt),
      action: verdict.isDeleted ? 'delete' : 'keep',
      reason: verdict.reason,
    })),
  );
  return { delete_count: backups.filter(({ action }) => action === 'delete').length, backups };
}

// What policies are asked for and answer: the types of services/policy-service.ts.
import type { ErrorCode } from '../core/errors.ts';
import type { TaskId, VolumeId } from '../core/ids.ts';
import type { Recurrence, RetentionRule, Tag, TaskStatus, Volume, VolumeStatus } from '../core/model.ts';
import type { RetentionPlan } from './retention.ts';

/** Settings of contract 6.2. */
export type PolicyLimits = {
  /** Without the default policy. */
  readonly maxPolicies: number;
  readonly maxFrequencyDays: number;
  readonly maxRetentionCount: number;
  readonly maxVolumes: number;
  /** A task that has not finished after this long is EXECUTE_TIMEOUT. */
  readonly taskTimeoutMs: number;
  /** Tasks of a scheduled run begin up to this much later, each at random. 0 = at once. */
  readonly startJitterMs: number;
};

export type CreatePolicyInput = {
  readonly name: string;
  readonly startTime: string;
  readonly timeZone: string;
  readonly recurrence: Recurrence;
  readonly retention: RetentionRule;
  readonly keepsFirstOfMonth: boolean;
  readonly isEnabled: boolean;
  readonly tags: readonly Tag[];
};

/** Absent members stay as they are. */
export type ModifyPolicyInput = {
  readonly name?: string | undefined;
  readonly startTime?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly recurrence?: Recurrence | undefined;
  readonly retention?: RetentionRule | undefined;
  readonly keepsFirstOfMonth?: boolean | undefined;
  readonly isEnabled?: boolean | undefined;
};

/** `resourceId` as it was sent; any text. */
export type AssociationResult = {
  readonly successes: readonly { readonly resourceId: string; readonly volume: Volume; readonly hostAttr: string }[];
  readonly failures: readonly AssociationFailure[];
};
export type AssociationFailure = {
  readonly resourceId: string;
  /** Null when there is no such volume. */
  readonly volume: Volume | null;
  readonly hostAttr: string | null;
  readonly code: ErrorCode;
  readonly message: string;
};
export type DisassociationResult = {
  readonly successes: readonly { readonly resourceId: string }[];
  readonly failures: readonly { readonly resourceId: string; readonly code: ErrorCode; readonly message: string }[];
};

export type PolicyVolumeFilter = {
  /** Substring of the volume's name. */
  readonly name?: string | undefined;
  readonly volumeId?: string | undefined;
  readonly status?: VolumeStatus | string | undefined;
};

export type TaskListFilter = {
  readonly taskId?: TaskId | string | undefined;
  readonly status?: TaskStatus | undefined;
};

export type OffsetPage = { readonly limit: number; readonly offset: number };

/** What a retention rule would do to the backups of one volume, and why. */
export type RetentionPreview = { readonly volumeId: VolumeId; readonly plan: RetentionPlan };

/** Absent members are those of the policy. */
export type TriedRule = {
  readonly retention?: RetentionRule | undefined;
  readonly keepsFirstOfMonth?: boolean | undefined;
};

export type PolicyListPage = {
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly markerId?: string | undefined;
};

export type TaskPage = OffsetPage & {
  readonly markerId?: string | undefined;
  readonly direction?: 'asc' | 'desc' | undefined;
};

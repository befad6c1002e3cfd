// The settings of policies and their tasks (contract 6.2): a part of the table in config.ts.
import { Type } from 'typebox';
import { TASK_STALL_MS, TASK_TIMEOUT_MS } from './core/limits.ts';

/** Contract 6.2. */
export type PolicyConfig = {
  readonly maxPolicies: number;
  readonly maxFrequencyDays: number;
  readonly maxRetentionCount: number;
  readonly maxVolumes: number;
  readonly taskTimeoutMs: number;
  readonly taskStallMs: number;
  readonly startJitterMs: number;
};

export const POLICY_SETTINGS = {
  policyMaxPolicies: {
    variable: 'OPENVBS_POLICY_MAX_POLICIES',
    flag: 'policy-max-policies',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 31 }),
    hint: 'COUNT',
    expected: 'a whole number from 1 to 31',
    doc: 'policies a project may make, without the default one',
    default: 10,
  },
  policyMaxFrequency: {
    variable: 'OPENVBS_POLICY_MAX_FREQUENCY',
    flag: 'policy-max-frequency',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 30 }),
    hint: 'DAYS',
    expected: 'a whole number from 1 to 30',
    doc: 'longest interval of a policy in days',
    default: 14,
  },
  policyMaxRetentionNum: {
    variable: 'OPENVBS_POLICY_MAX_RETENTION_NUM',
    flag: 'policy-max-retention-num',
    kind: 'integer',
    schema: Type.Integer({ minimum: 2, maximum: 99 }),
    hint: 'COUNT',
    expected: 'a whole number from 2 to 99',
    doc: 'largest number of backups that a policy may keep by count',
    default: 14,
  },
  policyMaxVolumes: {
    variable: 'OPENVBS_POLICY_MAX_VOLUMES',
    flag: 'policy-max-volumes',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 10_000 }),
    hint: 'COUNT',
    expected: 'a whole number from 1 to 10000',
    doc: 'volumes in one policy',
    default: 256,
  },
  backupMaxPerVolume: {
    variable: 'OPENVBS_BACKUP_MAX_PER_VOLUME',
    flag: 'backup-max-per-volume',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    hint: 'COUNT',
    expected: 'a whole number from 0 (unlimited) to 1000000',
    doc: 'backups a volume may have; 0 is unlimited',
    default: 0,
  },
  startJitter: {
    variable: 'OPENVBS_START_JITTER',
    flag: 'start-jitter',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 3600 }),
    hint: 'SECONDS',
    expected: 'seconds from 0 to 3600',
    doc: 'tasks of a scheduled run begin at random within this time, so that not all begin at the full hour',
    default: 0,
  },
  taskTimeout: {
    variable: 'OPENVBS_TASK_TIMEOUT',
    flag: 'task-timeout',
    kind: 'integer',
    schema: Type.Integer({ minimum: 60, maximum: 31_536_000 }),
    hint: 'SECONDS',
    expected: 'seconds from 60 to 31536000 (a year)',
    doc: 'a task of a policy that has not finished after this is reported as EXECUTE_TIMEOUT; its backup goes on',
    default: TASK_TIMEOUT_MS / 1000,
  },
  taskStall: {
    variable: 'OPENVBS_TASK_STALL',
    flag: 'task-stall',
    kind: 'integer',
    schema: Type.Integer({ minimum: 60, maximum: 31_536_000 }),
    hint: 'SECONDS',
    expected: 'seconds from 60 to 31536000 (a year)',
    doc: 'so is a task whose backup runs this long without any progress',
    default: TASK_STALL_MS / 1000,
  },
} as const;

type PolicyValues = { readonly [Name in keyof typeof POLICY_SETTINGS]?: number | undefined };

/** Values that were checked; each has a default. */
export function toPolicyConfig(values: PolicyValues): PolicyConfig {
  return {
    maxPolicies: values.policyMaxPolicies ?? 0,
    maxFrequencyDays: values.policyMaxFrequency ?? 0,
    maxRetentionCount: values.policyMaxRetentionNum ?? 0,
    maxVolumes: values.policyMaxVolumes ?? 0,
    taskTimeoutMs: (values.taskTimeout ?? 0) * 1000,
    taskStallMs: (values.taskStall ?? 0) * 1000,
    startJitterMs: (values.startJitter ?? 0) * 1000,
  };
}

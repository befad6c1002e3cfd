// Which automatic backups of one volume and policy a retention rule lets go (contract 5.5). Pure: rows and clock are
// arguments; retention-runner.ts deletes what is planned here.
import type { BackupId } from '../core/ids.ts';
import { DAY_MS, MINUTE_MS, parseTimeZone } from '../core/local-time.ts';
import type { RetentionRule } from '../core/model.ts';

export type RetentionRules = {
  readonly retention: RetentionRule;
  readonly keepsFirstOfMonth: boolean;
  readonly timeZone: string;
};

export type RetentionBackup = {
  readonly backupId: BackupId;
  readonly name: string | null;
  readonly createdAt: number;
  /** Available and not known to be damaged; others are neither counted nor deleted. */
  readonly isGood: boolean;
};

/** Why a backup stays or goes. */
export type RetentionReason =
  | 'within-count'
  | 'beyond-count'
  | 'within-days'
  | 'beyond-days'
  | 'first-of-month'
  | 'last-good'
  | 'not-available';

export type RetentionVerdict = RetentionBackup & { readonly isDeleted: boolean; readonly reason: RetentionReason };

/** Newest first. */
export type RetentionPlan = readonly RetentionVerdict[];

export type RetentionMoment = {
  readonly nowAt: number;
  /** The newest task of policy and volume succeeded, or there is none. Else the newest good backup must stay. */
  readonly isNewestAttemptGood: boolean;
};

/**
 * Judges every backup of one volume that one policy made. Oldest go first; those that are not good are left alone and
 * not counted. The first of the current local month stays for its month and counts, so the next oldest goes instead.
 */
export function planRetention(
  rules: RetentionRules,
  backups: readonly RetentionBackup[],
  moment: RetentionMoment,
): RetentionPlan {
  const newestFirst = backups.toSorted(compareNewestFirst);
  const good = newestFirst.filter((backup) => backup.isGood);
  const kept = new Map<BackupId, RetentionReason>();
  const first = rules.keepsFirstOfMonth ? findFirstOfMonth(good, rules.timeZone, moment.nowAt) : undefined;
  if (first !== undefined) kept.set(first.backupId, 'first-of-month');
  const [newest] = good;
  if (newest !== undefined && !moment.isNewestAttemptGood) kept.set(newest.backupId, 'last-good');
  const expired = findExpired(rules.retention, good, kept, moment.nowAt);
  const isByCount = rules.retention.kind === 'count';
  return newestFirst.map((backup) => {
    const isDeleted = expired.has(backup.backupId);
    const ruled = isByCount ? 'count' : 'days';
    const reason = backup.isGood ? (kept.get(backup.backupId) ?? (`within-${ruled}` as const)) : 'not-available';
    return { ...backup, isDeleted, reason: isDeleted ? (`beyond-${ruled}` as const) : reason };
  });
}

function findExpired(
  rule: RetentionRule,
  goodNewestFirst: readonly RetentionBackup[],
  kept: ReadonlyMap<BackupId, unknown>,
  nowAt: number,
): Set<BackupId> {
  const candidates = goodNewestFirst.filter(({ backupId }) => !kept.has(backupId));
  if (rule.kind === 'days') {
    const expired = candidates.filter(({ createdAt }) => nowAt - createdAt >= rule.keepDays * DAY_MS);
    return new Set(expired.map(({ backupId }) => backupId));
  }
  const excessCount = Math.max(0, goodNewestFirst.length - rule.keepCount);
  const oldestFirst = candidates.toReversed();
  return new Set(oldestFirst.slice(0, excessCount).map(({ backupId }) => backupId));
}

function findFirstOfMonth(
  goodNewestFirst: readonly RetentionBackup[],
  timeZone: string,
  nowAt: number,
): RetentionBackup | undefined {
  const offsetMs = (parseTimeZone(timeZone) ?? 0) * MINUTE_MS;
  const monthOf = (at: number): string => new Date(at + offsetMs).toISOString().slice(0, 7);
  return goodNewestFirst.findLast(({ createdAt }) => monthOf(createdAt) === monthOf(nowAt));
}

function compareNewestFirst(a: RetentionBackup, b: RetentionBackup): number {
  if (a.createdAt !== b.createdAt) return b.createdAt - a.createdAt;
  return a.backupId < b.backupId ? 1 : -1;
}

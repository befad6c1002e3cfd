// The plan of retention, case by case (contract 5.5); test/property/retention.test.ts tries it at random.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import { DAY_MS, HOUR_MS } from '../../../src/core/local-time.ts';
import { planRetention, type RetentionBackup, type RetentionRules } from '../../../src/services/retention.ts';

const NOW_AT = Date.UTC(2026, 2, 15, 12);
const byCount: RetentionRules = {
  retention: { kind: 'count', keepCount: 2 },
  keepsFirstOfMonth: false,
  timeZone: 'UTC+00:00',
};
const byDays: RetentionRules = { ...byCount, retention: { kind: 'days', keepDays: 3 } };
const moment = { nowAt: NOW_AT, isNewestAttemptGood: true };

/** Backups of so many days ago, named after that. */
function backupsAt(...daysAgo: number[]): RetentionBackup[] {
  return daysAgo.map((days) => ({
    backupId: newUuid<BackupId>(),
    name: String(days),
    createdAt: NOW_AT - days * DAY_MS,
    isGood: true,
  }));
}

function namesGone(...args: Parameters<typeof planRetention>): (string | null)[] {
  return planRetention(...args)
    .filter(({ isDeleted }) => isDeleted)
    .map(({ name }) => name);
}

function reasons(...args: Parameters<typeof planRetention>): Record<string, string> {
  return Object.fromEntries(planRetention(...args).map(({ name, reason }) => [name ?? '', reason]));
}

describe('by count', () => {
  it('lets the oldest go until so many remain, in whatever order they come', () => {
    assert.deepEqual(namesGone(byCount, backupsAt(2, 4, 1, 3), moment), ['3', '4']);
    assert.deepEqual(namesGone(byCount, backupsAt(1, 2), moment), []);
    assert.deepEqual(namesGone(byCount, [], moment), []);
  });

  it('keeps the first of the month, which counts, so the next oldest goes instead', () => {
    const rules = { ...byCount, keepsFirstOfMonth: true };
    const backups = backupsAt(1, 5, 14, 20);
    assert.deepEqual(namesGone(rules, backups, moment), ['5', '20']);
    assert.deepEqual(reasons(rules, backups, moment), {
      1: 'within-count',
      5: 'beyond-count',
      14: 'first-of-month',
      20: 'beyond-count',
    });
  });

  it('keeps what was the first of a month only in that month', () => {
    const rules = { ...byCount, keepsFirstOfMonth: true };
    const backups = backupsAt(20, 30, 40);
    assert.deepEqual(namesGone(rules, backups, moment), ['40']);
  });

  it('takes the month of the policy, not that of UTC', () => {
    // 2026-02-28T23:00Z is March 1st two hours to the east.
    const first = NOW_AT - 14 * DAY_MS - 13 * HOUR_MS;
    const born = { backupId: newUuid<BackupId>(), name: 'first', createdAt: first, isGood: true };
    const backups = [...backupsAt(1, 2), born];
    const rules = { ...byCount, keepsFirstOfMonth: true, timeZone: 'UTC+02:00' };
    assert.deepEqual(namesGone(rules, backups, moment), ['2']);
    assert.deepEqual(namesGone({ ...rules, timeZone: 'UTC+00:00' }, backups, moment), ['first']);
  });

  it('neither counts nor deletes what is not good', () => {
    const bad = backupsAt(0, 1, 9).map((backup) => ({ ...backup, isGood: false }));
    const backups = [...bad, ...backupsAt(2, 3, 4)];
    assert.deepEqual(namesGone(byCount, backups, moment), ['4']);
    assert.equal(reasons(byCount, backups, moment)['9'], 'not-available');
  });
});

describe('by days', () => {
  it('lets go what is as old as that or older', () => {
    const young = backupsAt(3).map((backup) => ({ ...backup, name: 'younger', createdAt: backup.createdAt + 1 }));
    const backups = [...backupsAt(2, 3, 4), ...young];
    assert.deepEqual(namesGone(byDays, backups, moment), ['3', '4']);
  });

  it('lets the last one go too when its time has come and nothing failed', () => {
    assert.deepEqual(namesGone(byDays, backupsAt(5), moment), ['5']);
  });

  it('never lets go the last good one of a volume whose newest attempt failed', () => {
    const failing = { ...moment, isNewestAttemptGood: false };
    const damaged = backupsAt(1).map((backup) => ({ ...backup, isGood: false }));
    assert.deepEqual(namesGone(byDays, [...damaged, ...backupsAt(5, 6)], failing), ['6']);
    assert.equal(reasons(byDays, backupsAt(5, 6), failing)['5'], 'last-good');
  });

  it('keeps the first of the month however old', () => {
    const rules = { ...byDays, keepsFirstOfMonth: true };
    assert.deepEqual(namesGone(rules, backupsAt(1, 5, 14, 15), moment), ['5', '15']);
  });
});

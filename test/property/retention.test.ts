// Whatever the rule and the backups are: retention stays within its scope and keeps what it must.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BackupId, newUuid } from '../../src/core/ids.ts';
import { DAY_MS, HOUR_MS, parseTimeZone } from '../../src/core/local-time.ts';
import type { RetentionRule } from '../../src/core/model.ts';
import { planRetention, type RetentionBackup } from '../../src/services/retention.ts';

const NOW_AT = Date.UTC(2026, 2, 15, 12);
const retention: fc.Arbitrary<RetentionRule> = fc.oneof(
  fc.integer({ min: 2, max: 14 }).map((keepCount) => ({ kind: 'count' as const, keepCount })),
  fc.integer({ min: 2, max: 60 }).map((keepDays) => ({ kind: 'days' as const, keepDays })),
);
const rules = fc.record({
  retention,
  keepsFirstOfMonth: fc.boolean(),
  timeZone: fc.constantFrom('UTC+00:00', 'UTC+14:00', 'UTC-12:00', 'UTC+05:30'),
});
const backups = fc.array(
  fc.record({ ageHours: fc.integer({ min: 0, max: 24 * 70 }), isGood: fc.boolean() }).map(
    ({ ageHours, isGood }): RetentionBackup => ({
      backupId: newUuid<BackupId>(),
      name: null,
      createdAt: NOW_AT - ageHours * HOUR_MS,
      isGood,
    }),
  ),
  { maxLength: 30 },
);

test('retention deletes exactly what its rule says and nothing else', () => {
  const property = fc.property(rules, backups, fc.boolean(), (rule, all, isNewestAttemptGood) => {
    const plan = planRetention(rule, all, { nowAt: NOW_AT, isNewestAttemptGood });
    assert.deepEqual(new Set(plan.map((verdict) => verdict.backupId)), new Set(all.map((backup) => backup.backupId)));
    const gone = plan.filter((verdict) => verdict.isDeleted);
    const goodLeft = plan.filter((verdict) => verdict.isGood && !verdict.isDeleted);
    assert(
      gone.every((verdict) => verdict.isGood),
      'only good ones',
    );
    const goodCount = all.filter((backup) => backup.isGood).length;
    if (rule.retention.kind === 'count') {
      assert.equal(goodLeft.length, Math.min(goodCount, rule.retention.keepCount), 'exactly so many are left');
    } else {
      const keepMs = rule.retention.keepDays * DAY_MS;
      assert(
        gone.every((verdict) => NOW_AT - verdict.createdAt >= keepMs),
        'only old ones',
      );
      const overdue = goodLeft.filter((verdict) => NOW_AT - verdict.createdAt >= keepMs);
      assert(
        overdue.every((verdict) => ['first-of-month', 'last-good'].includes(verdict.reason)),
        'all old ones',
      );
    }
    if (!isNewestAttemptGood && goodCount > 0) {
      const newestAt = Math.max(...all.filter((backup) => backup.isGood).map((backup) => backup.createdAt));
      assert(
        goodLeft.some((verdict) => verdict.createdAt === newestAt),
        'the last good one is left',
      );
    }
    if (rule.keepsFirstOfMonth) {
      const offsetMs = (parseTimeZone(rule.timeZone) ?? 0) * 60_000;
      const local = (at: number) => new Date(at + offsetMs);
      const month = all.filter(
        (backup) => backup.isGood && local(backup.createdAt).getUTCMonth() === local(NOW_AT).getUTCMonth(),
      );
      const firstAt = Math.min(...month.map((backup) => backup.createdAt));
      assert(
        month.length === 0 || goodLeft.some((verdict) => verdict.createdAt === firstAt),
        'the first of the month is left',
      );
    }
  });
  fc.assert(property, { numRuns: 2000 });
});

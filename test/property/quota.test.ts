// Quotas of backups under concurrency: never negative, never beyond the limit, and after any mixture of requests,
// successes, failures and deletions exactly what exists.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bytesToGib, GIB } from '../../src/core/bytes.ts';
import { isVbsError } from '../../src/core/errors.ts';
import type { BackupId, JobId, VolumeId } from '../../src/core/ids.ts';
import type { BackupQuotas } from '../../src/services/quota.ts';
import { beginAttempt, commitOf, takeJob, tick } from '../support/catalog-rows.ts';
import { ServiceBench } from '../support/service-bench.ts';

const LIMITS = { backups: 7, backupGigabytes: 12 };
/** Their disks differ, so that either of the quotas may be what refuses. */
const VOLUME_SIZES_GIB = [1, 1, 1, 2, 2, 3, 3, 5];

type Known = {
  readonly backupId: BackupId;
  readonly jobId: JobId;
  readonly volumeId: VolumeId;
  readonly sizeGib: number;
  state: 'creating' | 'stored' | 'failed';
};

type Step = { readonly kind: 'create' | 'commit' | 'fail' | 'delete'; readonly pick: number };

/** What the test knows to exist, kept by the outcomes of its own calls only. */
class QuotaModel {
  readonly bench: ServiceBench;
  readonly #volumes: readonly { readonly volumeId: VolumeId; readonly sizeGib: number }[];
  readonly #known = new Set<Known>();

  constructor(bench: ServiceBench, volumes: readonly { readonly volumeId: VolumeId; readonly sizeGib: number }[]) {
    this.bench = bench;
    this.#volumes = volumes;
  }

  /** All at once; each works on something of its own. */
  async carryOut(steps: readonly Step[]): Promise<void> {
    const taken = new Set<unknown>();
    const pickFrom = <Item>(items: readonly Item[], pick: number): Item | undefined => {
      const free = items.filter((item) => !taken.has(item));
      const item = free[pick % Math.max(free.length, 1)];
      taken.add(item);
      return item;
    };
    const work = steps.map(({ kind, pick }) => {
      if (kind === 'create') {
        const volume = pickFrom(this.#volumes, pick);
        return volume && this.#create(volume);
      }
      const wanted = [...this.#known].filter(({ state }) => (state === 'creating') === (kind !== 'delete'));
      const backup = pickFrom(wanted, pick);
      return backup && this.#end(kind, backup);
    });
    const readings = steps.map(async () => assertWithinLimits(await this.#quota()));
    await Promise.all([...work, ...readings]);
    await this.#compare();
  }

  async #create(volume: { readonly volumeId: VolumeId; readonly sizeGib: number }): Promise<void> {
    try {
      const { backup, job } = await this.bench.createBackup(volume.volumeId);
      const { backupId } = backup;
      this.#known.add({ ...volume, backupId, jobId: job.jobId, state: 'creating' });
    } catch (error) {
      const codes = ['QUOTA_BACKUPS_EXCEEDED', 'QUOTA_BACKUP_GIGABYTES_EXCEEDED', 'BACKUP_IN_PROGRESS'];
      assert(isVbsError(error) && codes.includes(error.code), String(error));
    }
  }

  async #end(kind: 'commit' | 'fail' | 'delete', backup: Known): Promise<void> {
    const { catalog, projectId } = this.bench;
    if (kind === 'delete') {
      await this.#delete(backup);
      return;
    }
    const writing = await beginAttempt(catalog, projectId, backup, false);
    if (kind === 'commit') {
      await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { sizeBytes: backup.sizeGib * GIB }), tick());
      backup.state = 'stored';
    } else {
      await catalog.ledger.failBackup(writing.claim, { errorCode: 'INTERNAL', failReason: 'by the test' }, tick());
      backup.state = 'failed';
    }
  }

  async #delete(backup: Known): Promise<void> {
    const { backups, catalog, caller, projectId } = this.bench;
    const { backupId } = backup;
    const { jobId } = await backups.deleteBackup(caller, projectId, backupId);
    const claim = await takeJob(catalog, projectId, jobId);
    await catalog.ledger.takeForDeletion(claim, backupId);
    const trash = await catalog.ledger.listTrash(projectId, 1000, tick());
    await catalog.ledger.confirmTrash(trash, tick());
    assert.equal(await catalog.ledger.finishDeletion(claim, backupId, tick()), true);
    this.#known.delete(backup);
  }

  async #compare(): Promise<void> {
    const quotas = await this.#quota();
    assertWithinLimits(quotas);
    const known = [...this.#known];
    const reserved = known.filter(({ state }) => state === 'creating');
    const used = known.filter(({ state }) => state !== 'creating');
    const sum = (list: readonly Known[]): number => list.reduce((total, { sizeGib }) => total + sizeGib, 0);
    assert.deepEqual(quotas, {
      backups: { used: used.length, reserved: reserved.length, quota: LIMITS.backups },
      backupGigabytes: { used: sum(used), reserved: sum(reserved), quota: LIMITS.backupGigabytes },
    });
  }

  async #quota(): Promise<BackupQuotas> {
    return await this.bench.backups.quota(this.bench.caller, this.bench.projectId);
  }

  /** Ends everything, after which nothing may be held. */
  async drain(): Promise<void> {
    const kinds = ['fail', 'delete'] as const;
    for (const kind of kinds) {
      const count = this.#known.size;
      await this.carryOut(Array.from({ length: count }, (_none, pick) => ({ kind, pick })));
    }
    assert.equal(this.#known.size, 0);
  }
}

function assertWithinLimits(quotas: BackupQuotas): void {
  for (const { used, reserved, quota } of Object.values(quotas)) {
    assert(used >= 0 && reserved >= 0 && used + reserved <= quota, JSON.stringify(quotas));
  }
}

const anyStep: fc.Arbitrary<Step> = fc.record(
  { kind: fc.constantFrom('create', 'create', 'commit', 'fail', 'delete'), pick: fc.nat(20) },
  { noNullPrototype: true },
);

describe('quotas of backups', () => {
  test('are exactly what exists, whatever runs at once', async () => {
    await using bench = await ServiceBench.start({ limits: LIMITS });
    const volumes: { volumeId: VolumeId; sizeGib: number }[] = [];
    for (const sizeGib of VOLUME_SIZES_GIB) {
      const { volumeId, sizeBytes } = await bench.createVolume({ sizeGib });
      volumes.push({ volumeId, sizeGib: bytesToGib(sizeBytes) });
    }
    const rounds = fc.array(fc.array(anyStep, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(rounds, async (batches) => {
        const model = new QuotaModel(bench, volumes);
        for (const batch of batches) await model.carryOut(batch);
        await model.drain();
      }),
      { numRuns: 25 },
    );
  });

  test('let exactly as many through as fit, of many that ask at once', async () => {
    await using bench = await ServiceBench.start({ limits: { backups: 4 } });
    const volumes = await Promise.all(Array.from({ length: 12 }, () => bench.createVolume()));
    const outcomes = await Promise.allSettled(volumes.map(({ volumeId }) => bench.createBackup(volumeId)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 4);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert(isVbsError(outcome.reason, 'QUOTA_BACKUPS_EXCEEDED'));
    }
  });
});

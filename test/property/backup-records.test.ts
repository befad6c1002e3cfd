// Several backups on one record: after any order of backups, imports, deletions and failing sweeps, every backup that
// is there restores, a deleted one frees its data with the last on its record, and nothing is left behind.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { type BackupId, newUuid } from '../../src/core/ids.ts';
import type { Backup, Volume } from '../../src/core/model.ts';
import { recordName, recordPrefix } from '../../src/core/object-names.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { ServiceBench } from '../support/service-bench.ts';
import { listNames } from '../support/stored-objects.ts';

const SIZE_BYTES = MIB + 512;
const RUN_COUNT = 8;

type Step = {
  readonly kind: 'back up' | 'import' | 'import while it is deleted' | 'delete';
  readonly pick: number;
  /** Among the calls of the store that a sweep makes; 0: none. */
  readonly failAt: number;
};

const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('back up', 'import', 'import', 'import while it is deleted', 'delete'),
  pick: fc.nat(100),
  failAt: fc.nat(3),
});

describe('backups on shared records', () => {
  let bench: ServiceBench;
  before(async () => {
    bench = await ServiceBench.start();
    await bench.runner.start();
  });
  after(() => bench[Symbol.asyncDispose]());

  let diskCount = 0;

  class Run {
    readonly #volume: Volume;
    readonly #bytes = new Map<BackupId, { readonly backup: Backup; readonly bytes: Buffer }>();
    #writeCount = 0;
    #repositoryId = '';

    private constructor(volume: Volume) {
      this.#volume = volume;
    }

    static async start(): Promise<Run> {
      diskCount += 1;
      const name = `disk-${diskCount}`;
      const reference = await bench.makeDisk(name, SIZE_BYTES);
      const volume = await bench.volumes.adoptVolume(bench.caller, bench.projectId, {
        ...{ host: bench.volumes.hostName, reference, name, description: null },
        ...{ volumeType: null, availabilityZone: null, metadata: {}, isBootable: false },
      });
      const run = new Run(volume);
      const { backupId } = await run.#backUp();
      const exported = await bench.backupRecords.exportRecord(bench.caller, bench.projectId, backupId);
      run.#repositoryId = exported.repositoryId;
      return run;
    }

    async carryOut({ kind, pick, failAt }: Step): Promise<void> {
      const known = [...this.#bytes.values()];
      const chosen = known[pick % Math.max(known.length, 1)];
      const rule = { operation: ['head', 'delete'] as const, nth: failAt, effect: 'EIO' as const };
      bench.store.setRules(failAt === 0 ? [] : [rule]);
      try {
        if (kind === 'back up' || chosen === undefined) await this.#backUp();
        else if (kind === 'import') await this.#import(chosen);
        else if (kind === 'delete') await this.#delete(chosen.backup.backupId);
        else await Promise.all([this.#import(chosen), this.#delete(chosen.backup.backupId)]);
      } finally {
        bench.store.setRules([]);
      }
    }

    async #backUp(): Promise<Backup> {
      this.#writeCount += 1;
      const offsetBytes = (this.#writeCount % 8) * 100 * KIB;
      await bench.writeDisk(this.#volume, [{ offsetBytes, bytes: fixedBytes(diskCount + this.#writeCount, 50 * KIB) }]);
      const backup = await bench.backUp(this.#volume.volumeId);
      assert.equal(backup.status, 'available', String(backup.failReason));
      this.#bytes.set(backup.backupId, { backup, bytes: await bench.readDisk(this.#volume) });
      return backup;
    }

    /** May be refused when the backup is being deleted at the same time; then it is as if nobody had asked. */
    async #import({ backup, bytes }: { readonly backup: Backup; readonly bytes: Buffer }): Promise<void> {
      const { recordBackupId, attemptId } = backup;
      assert(attemptId !== null);
      const texts = { name: null, description: null, container: null, availabilityZone: null, metadata: {} };
      const backupId = newUuid<BackupId>();
      const input = { backupId, repositoryId: this.#repositoryId, record: { recordBackupId, attemptId }, ...texts };
      const { caller, projectId } = bench;
      let entered: Backup;
      try {
        entered = await bench.backupRecords.importRecord(caller, projectId, input);
      } catch (error) {
        assert.match(String((error as { code?: unknown }).code), /^(BACKUP_RECORD_GONE|STORAGE_IO)$/);
        return;
      }
      await bench.waitForJob(entered.jobId);
      const imported = await bench.getBackup(backupId);
      assert.equal(imported.status, 'available', String(imported.failReason));
      this.#bytes.set(backupId, { backup: imported, bytes });
    }

    async #delete(backupId: BackupId): Promise<void> {
      this.#bytes.delete(backupId);
      const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
      assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    }

    async check(): Promise<void> {
      const { volumeId } = this.#volume;
      for (const { backup, bytes } of this.#bytes.values()) {
        assert.equal((await bench.restore(backup.backupId, volumeId)).status, 'SUCCESS');
        assert.ok((await bench.readDisk(this.#volume)).equals(bytes), `${backup.backupId} restores`);
      }
      for (const { backup } of [...this.#bytes.values()]) await this.#delete(backup.backupId);
      assert.deepEqual(await listNames(bench.store, recordPrefix(bench.projectId)), []);
    }

    /** Records in the store are those of the backups that are there. */
    async checkRecords(): Promise<void> {
      const names = [...this.#bytes.values()].map(({ backup: { recordBackupId, attemptId } }) => {
        assert(attemptId !== null);
        return recordName(bench.projectId, recordBackupId, attemptId);
      });
      const stored = await listNames(bench.store, recordPrefix(bench.projectId));
      assert.deepEqual(stored, [...new Set(names)].sort());
    }
  }

  test('restore while they are there, and are gone with the last of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 10 }), async (steps) => {
        const run = await Run.start();
        for (const step of steps) {
          await run.carryOut(step);
          await run.checkRecords();
        }
        await run.check();
      }),
      { numRuns: RUN_COUNT },
    );
  });
});

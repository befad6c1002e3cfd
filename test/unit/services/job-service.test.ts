import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GIB } from '../../../src/core/bytes.ts';
import { describeProgress } from '../../../src/jobs/progress.ts';
import { JobService } from '../../../src/services/job-service.ts';
import { ServiceBench } from '../../support/service-bench.ts';

test('a job that has just succeeded shows its last report, which gets into its row a moment later', async () => {
  await using bench = await ServiceBench.start();
  const { caller, projectId, catalog } = bench;
  await bench.runner.start();
  const { volumeId } = await bench.createVolume();
  const { job } = await bench.createBackup(volumeId);
  await bench.waitForJob(job.jobId);
  const live = describeProgress({ totalBytes: GIB, doneBytes: 1, skippedBytes: GIB - 8, storedBytes: 4 });
  const jobs = new JobService({ catalog, progressOf: () => live });
  const { status, percent, progress } = await jobs.getJob(caller, projectId, job.jobId);
  assert.deepEqual([status, percent], ['SUCCESS', 100]);
  assert.deepEqual(progress, { totalBytes: GIB, doneBytes: 8, skippedBytes: GIB - 8, storedBytes: 4 });
});

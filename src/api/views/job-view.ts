// Jobs as /v1/{project_id}/jobs shows them (contract 3.6, 5.3). Every value of `entities` is a string: clients decode
// it into a map of strings.
import { ERROR_TABLE, type ErrorCode } from '../../core/errors.ts';
import type { Job, JobKind } from '../../core/model.ts';
import { readJobResult } from '../../services/job-payloads.ts';
import type { JobView } from '../../services/job-service.ts';
import { formatJobTime, formatOptional } from './times.ts';

/** Those from `export` on have no counterpart in the VBS reference; only the list of this project shows them. */
export const JOB_TYPES: Readonly<Record<JobKind, string>> = {
  backup: 'bksCreateBackup',
  'delete-backup': 'bksDeleteBackup',
  restore: 'bksRestoreBackup',
  export: 'bksExportBackup',
  'import-backup': 'bksImportBackup',
  verify: 'bksVerifyBackup',
  'delete-volume': 'bksDeleteVolume',
  'create-snapshot': 'bksCreateSnapshot',
  'delete-snapshot': 'bksDeleteSnapshot',
  'copy-volume': 'bksCopyVolume',
  'revert-volume': 'bksRevertVolume',
};

export function viewJob(job: JobView, options: { withProgress: boolean }): Record<string, unknown> {
  return {
    status: job.status,
    entities: viewEntities(job),
    job_id: job.jobId,
    job_type: JOB_TYPES[job.kind],
    begin_time: formatJobTime(job.createdAt),
    end_time: formatOptional(job.endedAt, formatJobTime),
    error_code: job.status === 'FAIL' ? wireCodeOf(job) : null,
    fail_reason: job.status === 'FAIL' ? (job.failReason ?? ERROR_TABLE.INTERNAL.message) : null,
    sub_jobs: [],
    ...(options.withProgress ? { progress: viewProgress(job), result: viewResult(job) } : {}),
  };
}

function viewEntities(job: Job): Record<string, string> {
  const ids = { backup_id: job.backupId ?? '', volume_id: job.volumeId ?? '' };
  switch (job.kind) {
    case 'backup':
      return {
        bks_create_volume_name: `autobk_volume_${formatJobTime(job.createdAt)}`,
        ...ids,
        snapshot_id: job.snapshotId ?? '',
      };
    case 'delete-backup':
      return { ...ids, snapshot_id: job.snapshotId ?? '' };
    case 'restore':
    case 'export':
    case 'import-backup':
    case 'verify':
      return ids;
    case 'delete-volume':
      return { volume_id: ids.volume_id };
    case 'create-snapshot':
    case 'delete-snapshot':
    case 'copy-volume':
    case 'revert-volume':
      return { volume_id: ids.volume_id, snapshot_id: job.snapshotId ?? '' };
  }
}

/** The codes that each kind of job documents for failures, and the one for whatever else went wrong (4.2 to 4.4). */
const FAILURE_CODES: Partial<Record<JobKind, { readonly own: RegExp; readonly other: string }>> = {
  backup: { own: /\.00[0-6]\d$/, other: 'VolumeBackup.0064' },
  'delete-backup': { own: /\.01\d\d$/, other: 'VolumeBackup.0102' },
  restore: { own: /\.(0089|0111|02\d\d)$/, other: 'VolumeBackup.0200' },
};

function wireCodeOf({ kind, errorCode }: Job): string {
  const code = errorCode !== null && Object.hasOwn(ERROR_TABLE, errorCode) ? errorCode : 'INTERNAL';
  // The cast repeats the check of the line above.
  const { wire } = ERROR_TABLE[code as ErrorCode];
  const documented = FAILURE_CODES[kind];
  return documented === undefined || documented.own.test(wire) ? wire : documented.other;
}

/** Extension, shown on request only: how the job did its work. */
function viewResult(job: Job): Record<string, unknown> | null {
  const result = readJobResult(job);
  if (result === null) return null;
  const toWireName = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [toWireName(name), value]));
}

/** Extension, shown on request only: nulls where nothing is known yet. */
function viewProgress(job: JobView): Record<string, number | null> {
  const { totalBytes, doneBytes, skippedBytes, storedBytes } = job.progress;
  return {
    percent: job.percent,
    total_bytes: totalBytes,
    done_bytes: doneBytes,
    skipped_bytes: skippedBytes,
    stored_bytes: storedBytes,
    rate_bytes_per_s: job.rateBytesPerS,
    eta_s: job.etaS,
  };
}

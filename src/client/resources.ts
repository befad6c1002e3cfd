// What the client hands out: the resources of the API with our names, and the readers that make them from answers.
// Times are ISO 8601 in UTC with a trailing Z, whatever the family of the endpoint writes.
import { isRecord, type JsonObject, numberOf, objectAt, textOf } from './json.ts';

export type VolumeInfo = {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: string;
  readonly sizeGib: number;
  readonly availabilityZone: string | null;
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
};

export type BackupInfo = {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: string;
  readonly sizeGib: number;
  readonly volumeId: string;
  readonly isIncremental: boolean;
  readonly hasDependents: boolean;
  readonly objectCount: number;
  readonly createdAt: string | null;
  /** The moment whose bytes the backup holds. */
  readonly dataAt: string | null;
  readonly failReason: string | null;
};

/** Bytes of volume unless the name says otherwise; null while unknown. */
export type JobProgress = {
  readonly totalBytes: number;
  readonly doneBytes: number;
  readonly skippedBytes: number;
  readonly storedBytes: number;
  readonly percent: number | null;
  readonly rateBytesPerS: number | null;
  readonly etaS: number | null;
};

export type JobInfo = {
  readonly id: string;
  /** `bksCreateBackup`, `bksDeleteBackup`, `bksRestoreBackup`, ... */
  readonly type: string;
  readonly status: 'INIT' | 'RUNNING' | 'SUCCESS' | 'FAIL';
  readonly backupId: string | null;
  readonly volumeId: string | null;
  readonly beginAt: string | null;
  readonly endAt: string | null;
  readonly errorCode: string | null;
  readonly failReason: string | null;
  readonly progress: JobProgress | null;
};

export type Tag = { readonly key: string; readonly value: string };

/** Bytes of a volume in which two of its backups differ. */
export type DiffRange = { readonly offsetBytes: number; readonly lengthBytes: number };

export function readDiffRange(wire: JsonObject): DiffRange {
  return { offsetBytes: numberOf(wire.offset) ?? 0, lengthBytes: numberOf(wire.length) ?? 0 };
}

export function readVolume(wire: JsonObject): VolumeInfo {
  return {
    id: textOf(wire.id) ?? '',
    name: textOf(wire.name) ?? null,
    description: textOf(wire.description) ?? null,
    status: textOf(wire.status) ?? 'unknown',
    sizeGib: numberOf(wire.size) ?? 0,
    availabilityZone: textOf(wire.availability_zone) ?? null,
    createdAt: readTime(wire.created_at),
    updatedAt: readTime(wire.updated_at),
  };
}

export function readBackup(wire: JsonObject): BackupInfo {
  return {
    id: textOf(wire.id) ?? '',
    name: textOf(wire.name) ?? null,
    description: readDescription(wire.description),
    status: textOf(wire.status) ?? 'unknown',
    sizeGib: numberOf(wire.size) ?? 0,
    volumeId: textOf(wire.volume_id) ?? '',
    isIncremental: wire.is_incremental === true,
    hasDependents: wire.has_dependent_backups === true,
    objectCount: numberOf(wire.object_count) ?? 0,
    createdAt: readTime(wire.created_at),
    dataAt: readTime(wire.data_timestamp),
    failReason: textOf(wire.fail_reason) ?? null,
  };
}

export function readJob(wire: JsonObject): JobInfo {
  const entities = objectAt(wire, 'entities');
  const status = textOf(wire.status);
  return {
    id: textOf(wire.job_id) ?? '',
    type: textOf(wire.job_type) ?? '',
    status: status === 'RUNNING' || status === 'SUCCESS' || status === 'FAIL' ? status : 'INIT',
    backupId: textOf(entities.backup_id) ?? null,
    volumeId: textOf(entities.volume_id) ?? null,
    beginAt: readTime(wire.begin_time),
    endAt: readTime(wire.end_time),
    errorCode: textOf(wire.error_code) ?? null,
    failReason: textOf(wire.fail_reason) ?? null,
    progress: readProgress(wire.progress),
  };
}

function readProgress(wire: unknown): JobProgress | null {
  if (!isRecord(wire)) return null;
  return {
    totalBytes: numberOf(wire.total_bytes) ?? 0,
    doneBytes: numberOf(wire.done_bytes) ?? 0,
    skippedBytes: numberOf(wire.skipped_bytes) ?? 0,
    storedBytes: numberOf(wire.stored_bytes) ?? 0,
    percent: numberOf(wire.percent) ?? null,
    rateBytesPerS: numberOf(wire.rate_bytes_per_s) ?? null,
    etaS: numberOf(wire.eta_s) ?? null,
  };
}

/** Native times have no zone and mean UTC (contract 1.1). */
function readTime(value: unknown): string | null {
  const text = textOf(value);
  if (text === undefined) return null;
  return /Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`;
}

/** Backups made over the VBS family wrap their description as `{"DESC":"...","INC":0}` (contract 5.7). */
function readDescription(value: unknown): string | null {
  const text = textOf(value);
  if (text === undefined || !text.startsWith('{')) return text ?? null;
  try {
    const wrapped: unknown = JSON.parse(text);
    return isRecord(wrapped) && 'DESC' in wrapped ? (textOf(wrapped.DESC) ?? null) : text;
  } catch {
    // Somebody's own text that happens to begin with a brace.
    return text;
  }
}

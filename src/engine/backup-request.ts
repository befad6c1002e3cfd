// What a backup is asked for with: the disk, the job it is done for, and what the record says of it.
import type { BackupId, VolumeId } from '../core/ids.ts';
import type { BackupOrigin, JobClaim } from '../core/ledger.ts';
import type { Progress, Tag } from '../core/model.ts';
import type { VolumeSource } from '../volumes/volume.ts';

/** What the record says of the backup besides its data. */
export type BackupDescription = {
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly Tag[];
  readonly volumeName: string | null;
  readonly driver: string;
  readonly isVolumeBootable?: boolean | undefined;
  readonly volumeMetadata?: Readonly<Record<string, string>> | undefined;
  readonly origin?: BackupOrigin | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly createdAt: number;
};

export type BackupRequest = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly volumeId: VolumeId;
  /** Compare with the newest usable backup of the volume, if there is one. */
  readonly isIncremental: boolean;
  /** Only a backup of older data is one to compare with, for backups of snapshots; epoch ms. */
  readonly parentBefore?: number | undefined;
  readonly source: VolumeSource;
  readonly describe: BackupDescription;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
  /** Numbers in [0, 1) that nobody can foresee; Math.random unless set. */
  readonly random?: () => number;
};

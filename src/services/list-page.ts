// How the lists of all services are cut and ordered (contract 1.8). The types are the catalog's, named here for the
// API, which does not know the catalog.
import type {
  AttachmentSortKey,
  BackupSortKey,
  JobSortKey,
  ListPage,
  MessageSortKey,
  SharingSortKey,
  SnapshotSortKey,
  TraceSortKey,
  VolumeSortKey,
  VolumeTypeSortKey,
} from '../db/record-types.ts';

export type BackupPage = ListPage<BackupSortKey>;
export type VolumePage = ListPage<VolumeSortKey>;
export type VolumeTypePage = ListPage<VolumeTypeSortKey>;
export type AttachmentPage = ListPage<AttachmentSortKey>;
export type MessagePage = ListPage<MessageSortKey>;
export type JobPage = ListPage<JobSortKey>;
export type SnapshotPage = ListPage<SnapshotSortKey>;
export type SharingPage = ListPage<SharingSortKey>;
export type TracePage = ListPage<TraceSortKey>;
export type {
  AttachmentSortKey,
  BackupSortKey,
  ListResult,
  MessageSortKey,
  SharingSortKey,
  SnapshotSortKey,
  TimeFilter,
  VolumeSortKey,
  VolumeTotals,
  VolumeTypeSortKey,
} from '../db/record-types.ts';

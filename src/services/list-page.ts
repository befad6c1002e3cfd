// How the lists of all services are cut and ordered (contract 1.8). The types are the catalog's, named here for the
// API, which does not know the catalog.
import type {
  BackupSortKey,
  JobSortKey,
  ListPage,
  SharingSortKey,
  TraceSortKey,
  VolumeSortKey,
} from '../db/record-types.ts';

export type BackupPage = ListPage<BackupSortKey>;
export type VolumePage = ListPage<VolumeSortKey>;
export type JobPage = ListPage<JobSortKey>;
export type SharingPage = ListPage<SharingSortKey>;
export type TracePage = ListPage<TraceSortKey>;
export type { BackupSortKey, ListResult, SharingSortKey, VolumeSortKey } from '../db/record-types.ts';

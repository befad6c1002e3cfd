// /v2/{project_id}/cloudbackups: backups the VBS way, every change answered with a job (contract 3.1 to 3.5).
import type { ApiDeps, ProjectCall, ProjectRoute } from '../../route.ts';
import {
  CloudBackupQuota,
  CreateCloudBackupBody,
  checkCreateCloudBackup,
  checkDeletedBackupId,
  checkRestoreCloudBackup,
  JobReference,
  RestoreCloudBackupBody,
} from '../../schemas/cloudbackups.ts';

const BASE = '/v2/:project_id/cloudbackups';
const TAG = 'cloudbackups';

export function cloudBackupRoutes({ backups }: ApiDeps): ProjectRoute[] {
  const deleteBackup = async ({ caller, projectId, param }: ProjectCall): Promise<unknown> => {
    const job = await backups.deleteBackup(caller, projectId, checkDeletedBackupId(param('backup_id')));
    return { job_id: job.jobId };
  };
  return [
    {
      method: 'POST',
      paths: [BASE],
      access: { kind: 'project' },
      doc: {
        summary: 'Create a backup',
        tag: TAG,
        body: CreateCloudBackupBody,
        ok: { status: 200, schema: JobReference },
      },
      handle: async ({ caller, projectId, body }) => {
        const { job } = await backups.createBackup(caller, projectId, checkCreateCloudBackup(body));
        return { job_id: job.jobId };
      },
    },
    {
      method: 'POST',
      paths: [`${BASE}/:backup_id`],
      access: { kind: 'project' },
      doc: {
        summary: 'Delete a backup (deprecated form)',
        description: 'The body is ignored. DELETE on the same path does the same.',
        tag: TAG,
        ok: { status: 200, schema: JobReference },
      },
      handle: deleteBackup,
    },
    {
      method: 'DELETE',
      paths: [`${BASE}/:backup_id`],
      access: { kind: 'project' },
      doc: { summary: 'Delete a backup', tag: TAG, ok: { status: 200, schema: JobReference } },
      handle: deleteBackup,
    },
    {
      method: 'POST',
      paths: [`${BASE}/:backup_id/restore`],
      access: { kind: 'project' },
      doc: {
        summary: 'Restore a backup to a volume of the project',
        tag: TAG,
        body: RestoreCloudBackupBody,
        ok: { status: 200, schema: JobReference },
      },
      handle: async ({ caller, projectId, body, param }) => {
        const { backupId, volumeId, verify } = checkRestoreCloudBackup(body, param('backup_id'));
        const job = await backups.restoreBackup(caller, projectId, backupId, volumeId, { verify });
        return { job_id: job.jobId };
      },
    },
    {
      method: 'GET',
      paths: [`${BASE}/quota`],
      access: { kind: 'project' },
      doc: { summary: 'Quotas of backups', tag: TAG, ok: { status: 200, schema: CloudBackupQuota } },
      handle: async ({ caller, projectId }) => {
        const quota = await backups.quota(caller, projectId);
        return {
          quotas: {
            resources: [
              { type: 'backups', ...quota.backups },
              { type: 'backup_gigabytes', ...quota.backupGigabytes },
            ],
          },
        };
      },
    },
  ];
}

// /v1/{project_id}/backups/{backup_id}/verify and /v1/{project_id}/repository/check, repair, health: extensions.
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { JobReference } from '../../schemas/cloudbackups.ts';
import { checkNativeBackupId } from '../../schemas/native-backups.ts';
import { CheckRequest, HealthReply, parseCheckRequest, RunReply } from '../../schemas/repository.ts';
import { formatJobTime } from '../../views/times.ts';
import { viewRun } from './repository.ts';

export function verifyRoutes({ verify }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: ['/v1/:project_id/backups/:backup_id/verify'],
      access: { kind: 'project' },
      doc: {
        summary: 'Read all of a backup and compare it with its digests',
        description: 'A job; it fails when anything of the backup is damaged.',
        tag: 'extensions',
        ok: { status: 202, schema: JobReference },
      },
      handle: async ({ caller, projectId, param }) => {
        const job = await verify.startVerify(caller, projectId, checkNativeBackupId(param('backup_id')));
        return { job_id: job.jobId };
      },
    },
    {
      method: 'POST',
      paths: ['/v1/:project_id/repository/check'],
      access: { kind: 'project' },
      doc: {
        summary: 'Check the repository of the project',
        description:
          'Reads every record, page and trailer, and as much of the data as is asked for. Nothing is deleted; ' +
          'backups that need what is damaged are marked. Administrators only.',
        tag: 'extensions',
        body: CheckRequest,
        ok: { status: 202, schema: RunReply },
      },
      handle: ({ caller, projectId, body }) => ({
        run: viewRun(verify.startCheck(caller, projectId, parseCheckRequest(body))),
      }),
    },
    {
      method: 'POST',
      paths: ['/v1/:project_id/repository/repair'],
      access: { kind: 'project' },
      doc: {
        summary: 'Repair what is known to be damaged',
        description:
          'Looks for lost chunks on the disks that they came from and in the rest of the repository, and rebuilds ' +
          'trailers and copies of keys. Administrators only.',
        tag: 'extensions',
        ok: { status: 202, schema: RunReply },
      },
      handle: ({ caller, projectId }) => ({ run: viewRun(verify.startRepair(caller, projectId)) }),
    },
    {
      method: 'GET',
      paths: ['/v1/:project_id/repository/health'],
      access: { kind: 'project' },
      doc: {
        summary: 'Show what is damaged, and how far the verification has come',
        tag: 'extensions',
        ok: { status: 200, schema: HealthReply },
      },
      handle: async ({ caller, projectId }) => {
        const health = await verify.health(caller, projectId);
        const { oldestVerifiedAt: oldestAt } = health;
        return {
          health: {
            pack_count: health.packCount,
            stored_bytes: health.storedBytes,
            never_verified_count: health.neverVerifiedCount,
            oldest_verified_at: oldestAt === undefined || oldestAt === 0 ? null : formatJobTime(oldestAt),
            damaged_pack_count: health.damagedPackCount,
            damaged_backups: health.damagedBackups.map(({ backupId, volumeId, reason }) => {
              return { backup_id: backupId, volume_id: volumeId, reason };
            }),
          },
        };
      },
    },
  ];
}

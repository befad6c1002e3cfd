// /v1/{project_id}/repository/..., an extension: prune, adoption and the use of space, for administrators of a project.
import { Type } from 'typebox';
import type { MaintenanceRun } from '../../../services/maintenance-runs.ts';
import type { BackupUsage, Usage } from '../../../services/repository-service.ts';
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { checkNativeBackupId } from '../../schemas/native-backups.ts';
import {
  BackupUsageBody,
  GiveUpRequest,
  PruneRequest,
  parseGiveUpRequest,
  parsePruneRequest,
  RunReply,
  UsageReply,
} from '../../schemas/repository.ts';
import { formatJobTime } from '../../views/times.ts';

export function repositoryRoutes(deps: ApiDeps): ProjectRoute[] {
  return [...maintenanceRoutes(deps), ...usageRoutes(deps)];
}

function maintenanceRoutes({ repository }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: ['/v1/:project_id/repository/prune'],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Give back the space of deleted backups',
        description: 'Runs in the background, one prune a project; the run tells how it goes. Administrators only.',
        tag: 'extensions',
        body: PruneRequest,
        ok: { status: 202, schema: RunReply },
      },
      handle: ({ caller, projectId, body }) => ({
        run: viewRun(repository.startPrune(caller, projectId, parsePruneRequest(body))),
      }),
    },
    {
      method: 'POST',
      paths: ['/v1/:project_id/repository/adopt'],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Take the repository of the project over',
        description:
          'After the catalog was put back from a copy or made anew: reads every record, adopts backups that only the ' +
          'store knows, and takes over the epoch. Nothing is condemned for 7 days. While a record is `refused` a ' +
          'project that belongs to another or newer catalog is not taken over (`is_taken_over`): put back what it ' +
          'lacks, or give it up by name, and adopt again. Administrators only.',
        tag: 'extensions',
        ok: { status: 202, schema: RunReply },
      },
      handle: ({ caller, projectId }) => ({ run: viewRun(repository.startAdoption(caller, projectId)) }),
    },
    {
      method: 'GET',
      paths: ['/v1/:project_id/repository/run'],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Show the last prune, adoption, check, repair or scrub',
        description: 'Of this project, since the service was started; null when there was none. Administrators only.',
        tag: 'extensions',
        ok: { status: 200, schema: RunReply },
      },
      handle: ({ caller, projectId }) => ({ run: viewRun(repository.lastRun(caller, projectId)) }),
    },
    {
      method: 'POST',
      paths: ['/v1/:project_id/repository/give-up'],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Give up a record that the catalog does not know',
        description: 'For ever: the next prune deletes it and what only it refers to. Administrators only.',
        tag: 'extensions',
        body: GiveUpRequest,
        ok: { status: 202, schema: Type.Object({}) },
      },
      handle: async ({ caller, projectId, body }) => {
        await repository.giveUpRecord(caller, projectId, parseGiveUpRequest(body));
        return {};
      },
    },
  ];
}

function usageRoutes({ repository }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/:project_id/repository/usage'],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Show which backups and volumes take how much space',
        description: 'Walks all manifests when backups have changed since the last time. Administrators only.',
        tag: 'extensions',
        ok: { status: 200, schema: UsageReply },
      },
      handle: async ({ caller, projectId }) => {
        const { logicalBytes, storedBytes, deadBytes, backups, volumes, unreadable } = await repository.usage(
          caller,
          projectId,
        );
        return {
          usage: {
            logical_bytes: logicalBytes,
            stored_bytes: storedBytes,
            dead_bytes: deadBytes,
            backups: backups.map(viewBackupUsage),
            volumes: volumes.map((volume) => ({
              volume_id: volume.volumeId,
              backup_count: volume.backupCount,
              ...viewUsage(volume),
            })),
            unreadable,
          },
        };
      },
    },
    {
      method: 'GET',
      paths: ['/v1/:project_id/backups/:backup_id/usage'],
      access: { kind: 'project' },
      doc: {
        summary: 'Show how much space a backup takes',
        description: 'unique_bytes is what deleting it would give back.',
        tag: 'extensions',
        ok: { status: 200, schema: Type.Object({ usage: BackupUsageBody }) },
      },
      handle: async ({ caller, projectId, param }) => {
        const backupId = checkNativeBackupId(param('backup_id'));
        return { usage: viewBackupUsage(await repository.backupUsage(caller, projectId, backupId)) };
      },
    },
  ];
}

export function viewRun(run: MaintenanceRun | undefined): Record<string, unknown> | null {
  if (run === undefined) return null;
  const { operation, status, startedAt, endedAt, report, error } = run;
  const times = { started_at: formatJobTime(startedAt), ended_at: endedAt === null ? null : formatJobTime(endedAt) };
  return { operation, status, ...times, report: toWireNames(report), error };
}

/** Names of fields in the words of the wire: `freedBytes` is `freed_bytes`. */
function toWireNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toWireNames);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const toSnake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [toSnake(name), toWireNames(inner)]));
}

function viewUsage({ logicalBytes, uniqueBytes, sharedBytes }: Usage) {
  return { logical_bytes: logicalBytes, unique_bytes: uniqueBytes, shared_bytes: sharedBytes };
}

function viewBackupUsage(usage: BackupUsage) {
  return { backup_id: usage.backupId, volume_id: usage.volumeId, ...viewUsage(usage) };
}

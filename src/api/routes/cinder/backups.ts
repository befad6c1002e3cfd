// The native backup API below /v3/{project_id}, /v3, /v2/{project_id} and /v3/{project_id}/native (contract 3.20-3.24).
import { Type } from 'typebox';
import type { Backup } from '../../../core/model.ts';
import { NATIVE_RULES } from '../../../core/native-rules.ts';
import type { BackupService } from '../../../services/backup-service.ts';
import { hasRole } from '../../../services/caller.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { BackupActionBody, checkBackupAction } from '../../schemas/backup-actions.ts';
import { BackupRecordBody, checkImportRecord } from '../../schemas/backup-records.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage, queryBoolean } from '../../schemas/list-query.ts';
import {
  BackupListQuery,
  backupSortKeys,
  CreateNativeBackupBody,
  checkCreateNativeBackup,
  checkNativeBackupId,
  checkRestoreNativeBackup,
  checkUpdateNativeBackup,
  NativeBackup,
  NativeBackupSummary,
  parseBackupFilter,
  RestoreNativeBackupBody,
  UpdateNativeBackupBody,
} from '../../schemas/native-backups.ts';
import { viewBackupRecord } from '../../views/backup-record-view.ts';
import { type BackupFace, viewBackup, viewBackupSummary } from '../../views/backup-view.ts';
import { viewPage } from '../../views/page-view.ts';

const TAG = 'native backups';

function backupPaths(tail: string, versions?: 'v3'): string[] {
  return [...nativePaths(`/backups${tail}`, versions), ...nativePaths(`/native/backups${tail}`, 'v3')];
}

function faceOf(call: ProjectCall): BackupFace {
  if (call.family === 'native2') return 'v2';
  return /^\/v3(\/[^/]+)?\/native\//.test(call.path) ? 'v3 native' : 'v3';
}

export function nativeBackupRoutes(deps: ApiDeps): ProjectRoute[] {
  return [...readingRoutes(deps), ...changingRoutes(deps), updateRoute(deps), actionRoute(deps), ...recordRoutes(deps)];
}

function readingRoutes(deps: ApiDeps): ProjectRoute[] {
  const { backups } = deps;
  const list = (View: typeof NativeBackup | typeof NativeBackupSummary, summary: string) => ({
    summary,
    tag: TAG,
    query: BackupListQuery,
    ok: {
      status: 200,
      schema: Type.Object({
        backups: Type.Array(View),
        backups_links: Type.Optional(Links),
        count: Type.Optional(Type.Integer()),
      }),
    },
  });
  return [
    {
      method: 'GET',
      paths: backupPaths(''),
      access: { kind: 'project' },
      doc: list(NativeBackupSummary, 'List backups'),
      handle: (call) => listBackups(backups, call, async () => (backup) => viewBackupSummary(backup, call.links)),
    },
    {
      method: 'GET',
      paths: backupPaths('/detail'),
      access: { kind: 'project' },
      doc: list(NativeBackup, 'List backups with details'),
      handle: (call) => listBackups(backups, call, (items) => detailView(deps, call, items)),
    },
    {
      method: 'GET',
      paths: backupPaths('/:backup_id'),
      access: { kind: 'project' },
      doc: {
        summary: 'Show a backup',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ backup: NativeBackup }) },
      },
      handle: async (call) => {
        const backupId = checkNativeBackupId(call.param('backup_id'));
        const { caller, projectId } = await backups.locateBackup(call.caller, call.projectId, backupId);
        const backup = await backups.getBackup(caller, projectId, backupId);
        return { backup: (await detailView(deps, call, [backup]))(backup) };
      },
    },
  ];
}

type BackupViewer = (backup: Backup) => Record<string, unknown>;

async function listBackups(
  backups: BackupService,
  call: ProjectCall,
  chooseView: (items: readonly Backup[]) => Promise<BackupViewer>,
): Promise<Record<string, unknown>> {
  const { caller, projectId, query, version, request, origin } = call;
  const page = parseListPage(query, backupSortKeys(faceOf(call), version));
  const filter = parseBackupFilter(query, { version, isAdmin: hasRole(caller, 'admin'), face: faceOf(call) });
  const withCount = version >= 45 && queryBoolean(query, 'with_count') === true;
  const result = await backups.listBackups(caller, projectId, filter, { ...page, withTotalCount: withCount });
  return viewPage({
    collection: 'backups',
    result,
    limit: page.limit,
    withCount,
    origin,
    url: request.url,
    idOf: (backup) => backup.backupId,
    view: await chooseView(result.items),
  });
}

async function detailView(
  { jobs, nativeRules = NATIVE_RULES }: ApiDeps,
  call: ProjectCall,
  items: readonly Backup[],
): Promise<BackupViewer> {
  const face = faceOf(call);
  const percents = face === 'v2' ? await readPercents(jobs, call, items) : new Map<string, number>();
  const { version, links } = call;
  const isAdmin = hasRole(call.caller, 'admin');
  const { isTenantAttrEverywhere } = nativeRules;
  const percentOf = ({ backupId }: Backup) => percents.get(backupId);
  return (backup) => viewBackup(backup, { face, version, isAdmin, links, isTenantAttrEverywhere, percentOf });
}

/** How far backups in creation are; they are few, since jobs run a few at a time. */
async function readPercents(
  jobs: ApiDeps['jobs'],
  { caller, projectId }: ProjectCall,
  items: readonly Backup[],
): Promise<Map<string, number>> {
  const percents = new Map<string, number>();
  for (const backup of items) {
    if (backup.status !== 'creating' || backup.projectId !== projectId) continue;
    const { percent } = await jobs.getJob(caller, projectId, backup.jobId);
    if (percent !== null) percents.set(backup.backupId, percent);
  }
  return percents;
}

function changingRoutes(deps: ApiDeps): ProjectRoute[] {
  const { backups } = deps;
  return [
    {
      method: 'POST',
      paths: backupPaths(''),
      access: { kind: 'project' },
      doc: {
        summary: 'Create a backup',
        tag: TAG,
        body: CreateNativeBackupBody,
        ok: { status: 202, schema: Type.Object({ backup: NativeBackupSummary }) },
      },
      handle: (call) => createBackup(deps, call),
    },
    {
      method: 'DELETE',
      paths: backupPaths('/:backup_id'),
      access: { kind: 'project' },
      doc: { summary: 'Delete a backup', tag: TAG, ok: { status: 202 } },
      handle: async (call) => {
        const backupId = checkNativeBackupId(call.param('backup_id'));
        const { caller, projectId } = await backups.locateBackup(call.caller, call.projectId, backupId);
        await backups.deleteBackup(caller, projectId, backupId, 'native');
      },
    },
    {
      method: 'POST',
      paths: backupPaths('/:backup_id/restore'),
      access: { kind: 'project' },
      doc: {
        summary: 'Restore a backup to a volume, or to a new one',
        tag: TAG,
        body: RestoreNativeBackupBody,
        ok: {
          status: 202,
          schema: Type.Object({
            restore: Type.Object({ backup_id: Type.String(), volume_id: Type.String(), volume_name: Type.String() }),
          }),
        },
      },
      handle: (call) => restoreBackup(deps, call),
    },
  ];
}

function updateRoute({ backups, nativeRules: rules }: ApiDeps): ProjectRoute {
  return {
    method: 'PUT',
    paths: backupPaths('/:backup_id', 'v3'),
    access: { kind: 'project', minVersion: 9 },
    doc: {
      summary: 'Change the name, description or metadata of a backup',
      tag: TAG,
      body: UpdateNativeBackupBody,
      ok: { status: 200, schema: Type.Object({ backup: NativeBackupSummary }) },
    },
    handle: async (call) => {
      const { version, body, links } = call;
      const context = { face: faceOf(call), version, projectId: call.projectId, rules };
      const changes = checkUpdateNativeBackup(body, context);
      const backupId = checkNativeBackupId(call.param('backup_id'));
      const { caller, projectId } = await backups.locateBackup(call.caller, call.projectId, backupId);
      const backup = await backups.updateBackup(caller, projectId, backupId, changes);
      return { backup: viewBackupSummary(backup, links) };
    },
  };
}

function recordRoutes({ backups, backupRecords }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: backupPaths('/:backup_id/export_record'),
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Write a backup down, to enter it in the catalog again',
        tag: TAG,
        ok: { status: 200, schema: BackupRecordBody },
      },
      handle: async (call) => {
        const backupId = checkNativeBackupId(call.param('backup_id'));
        const { caller, projectId } = await backups.locateBackup(call.caller, call.projectId, backupId);
        return { 'backup-record': viewBackupRecord(await backupRecords.exportRecord(caller, projectId, backupId)) };
      },
    },
    {
      method: 'POST',
      paths: backupPaths('/import_record'),
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Enter a backup in the catalog again, whose data lies in the repository',
        tag: TAG,
        body: BackupRecordBody,
        ok: { status: 201, schema: Type.Object({ backup: NativeBackupSummary }) },
      },
      handle: async ({ caller, projectId, body, links }) => {
        const backup = await backupRecords.importRecord(caller, projectId, checkImportRecord(body));
        return { backup: viewBackupSummary(backup, links) };
      },
    },
  ];
}

function actionRoute({ backups }: ApiDeps): ProjectRoute {
  return {
    method: 'POST',
    paths: backupPaths('/:backup_id/action'),
    access: { kind: 'project' },
    doc: {
      summary: 'Reset the status of a backup, or delete it by force',
      tag: TAG,
      body: BackupActionBody,
      ok: { status: 202 },
    },
    handle: async (call) => {
      const action = checkBackupAction(call.body);
      const backupId = checkNativeBackupId(call.param('backup_id'));
      const { caller, projectId } = await backups.locateBackup(call.caller, call.projectId, backupId);
      if (action.name === 'os-reset_status') {
        await backups.resetBackup(caller, projectId, backupId, action.status);
      } else {
        await backups.forceDeleteBackup(caller, projectId, backupId);
      }
    },
  };
}

async function createBackup(
  { backups, nativeRules: rules }: ApiDeps,
  call: ProjectCall,
): Promise<Record<string, unknown>> {
  const { caller, projectId, version, body, links } = call;
  const { input, isBaseRequired } = checkCreateNativeBackup(body, { face: faceOf(call), version, projectId, rules });
  const { backup } = await backups.createBackup(caller, projectId, { ...input, isBaseRequired });
  return { backup: viewBackupSummary(backup, links) };
}

async function restoreBackup(
  { backups, volumes, volumeCreator }: ApiDeps,
  call: ProjectCall,
): Promise<Record<string, unknown>> {
  const { caller, projectId, body, param } = call;
  const { volumeId, name } = checkRestoreNativeBackup(body, faceOf(call));
  const backupId = checkNativeBackupId(param('backup_id'));
  if (volumeId === undefined) {
    const volume = await volumeCreator.createVolume(caller, projectId, {
      sizeGib: null,
      name: name ?? `restore_backup_${backupId}`,
      description: null,
      volumeType: null,
      availabilityZone: null,
      backupId,
      isRestore: true,
      snapshotId: null,
      sourceVolumeId: null,
      metadata: {},
    });
    return { restore: { backup_id: backupId, volume_id: volume.volumeId, volume_name: volume.name ?? '' } };
  }
  await backups.restoreBackup(caller, projectId, backupId, volumeId);
  const volume = await volumes.getVolume(caller, projectId, volumeId);
  return { restore: { backup_id: backupId, volume_id: volumeId, volume_name: volume.name ?? '' } };
}

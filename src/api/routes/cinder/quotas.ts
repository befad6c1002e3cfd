// Quotas and limits (contract 3.27). The project of a quota set is the last segment of the path; the one before is the
// caller's.
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import { hasRole } from '../../../services/caller.ts';
import type { AbsoluteLimits, QuotaService } from '../../../services/quota-service.ts';
import { type ApiDeps, nativePaths, type ProjectRoute, type TokenRoute } from '../../route.ts';
import { queryBoolean, queryText } from '../../schemas/list-query.ts';
import {
  checkQuotaClass,
  checkQuotaProject,
  checkUpdateQuotaClass,
  checkUpdateQuotas,
  QuotaSet,
  UpdateQuotaClassSetBody,
  UpdateQuotaSetBody,
  viewQuotaSet,
} from '../../schemas/quotas.ts';

const TAG = 'quotas';
const SET = '/os-quota-sets/:target_project_id';
const CLASS = '/os-quota-class-sets/:class_name';
const ADMIN = { kind: 'token', role: 'admin' } as const;
const Limits = Type.Object({
  limits: Type.Object({ rate: Type.Array(Type.Unknown()), absolute: Type.Record(Type.String(), Type.Integer()) }),
});

export function quotaRoutes({ quotas }: ApiDeps): (ProjectRoute | TokenRoute)[] {
  return [limitsRoute(quotas), ...readingRoutes(quotas), ...changingRoutes(quotas), ...classRoutes(quotas)];
}

function limitsRoute(quotas: QuotaService): ProjectRoute {
  return {
    method: 'GET',
    paths: nativePaths('/limits'),
    access: { kind: 'project' },
    doc: {
      summary: 'Show limits and what is used of them',
      tag: TAG,
      query: Type.Object({
        project_id: Type.Optional(Type.String({ description: 'Admins, from 3.39' })),
        tenant_id: Type.Optional(Type.String({ description: 'Another name of project_id' })),
      }),
      ok: { status: 200, schema: Limits },
    },
    handle: async ({ caller, projectId, query, version }) => {
      const asked = queryText(query, 'project_id') ?? queryText(query, 'tenant_id');
      const mayAsk = version >= 39 && hasRole(caller, 'admin');
      const target = asked === undefined || !mayAsk ? projectId : checkQuotaProject(asked);
      return { limits: { rate: [], absolute: viewLimits(await quotas.getAbsoluteLimits(caller, target)) } };
    },
  };
}

function viewLimits({ limits, used }: AbsoluteLimits): Record<string, number> {
  return {
    totalSnapshotsUsed: used.snapshots,
    maxTotalBackups: limits.backups,
    maxTotalVolumeGigabytes: limits.gigabytes,
    maxTotalSnapshots: limits.snapshots,
    maxTotalBackupGigabytes: limits.backupGigabytes,
    totalBackupGigabytesUsed: used.backupGigabytes,
    maxTotalVolumes: limits.volumes,
    totalVolumesUsed: used.volumes,
    totalBackupsUsed: used.backups,
    totalGigabytesUsed: used.gigabytes,
  };
}

function readingRoutes(quotas: QuotaService): TokenRoute[] {
  const ok = { status: 200, schema: Type.Object({ quota_set: QuotaSet }) };
  return [
    {
      method: 'GET',
      paths: nativePaths(SET),
      access: { kind: 'token' },
      doc: {
        summary: 'Show the quotas of a project',
        tag: TAG,
        query: Type.Object({ usage: Type.Optional(Type.Boolean({ description: 'Each as limit, in_use, reserved' })) }),
        ok,
      },
      handle: async ({ caller, query, param }) => {
        const id = checkQuotaProject(param('target_project_id'));
        const withUsage = queryBoolean(query, 'usage') === true;
        return { quota_set: { id, ...viewQuotaSet(await quotas.getQuotas(caller, id), withUsage) } };
      },
    },
    {
      method: 'GET',
      paths: nativePaths(`${SET}/defaults`),
      access: { kind: 'token' },
      doc: { summary: 'Show the quotas of projects that have none of their own', tag: TAG, ok },
      handle: async ({ caller, param }) => {
        const id = checkQuotaProject(param('target_project_id'));
        return { quota_set: { id, ...viewQuotaSet(await quotas.getDefaults(caller)) } };
      },
    },
  ];
}

function changingRoutes(quotas: QuotaService): TokenRoute[] {
  return [
    {
      method: 'PUT',
      paths: nativePaths(SET),
      access: ADMIN,
      doc: {
        summary: 'Set quotas of a project',
        tag: TAG,
        query: Type.Object({
          skip_validation: Type.Optional(Type.Boolean({ description: 'True takes limits below what is used' })),
        }),
        body: UpdateQuotaSetBody,
        ok: { status: 200, schema: Type.Object({ quota_set: QuotaSet }) },
      },
      handle: async ({ caller, body, query, param }) => {
        const { changes, isForced } = checkUpdateQuotas(body, query);
        const projectId = checkQuotaProject(param('target_project_id'));
        return { quota_set: viewQuotaSet(await quotas.setQuotas(caller, projectId, changes, { isForced })) };
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths(SET),
      access: ADMIN,
      doc: {
        summary: 'Give a project the quotas of all others again',
        tag: TAG,
        ok: { status: 200, schema: Type.Null() },
      },
      handle: ({ caller, param }) => quotas.resetQuotas(caller, checkQuotaProject(param('target_project_id'))),
    },
  ];
}

function classRoutes(quotas: QuotaService): TokenRoute[] {
  const ok = { status: 200, schema: Type.Object({ quota_class_set: QuotaSet }) };
  return [
    {
      method: 'GET',
      paths: nativePaths(CLASS),
      access: ADMIN,
      doc: { summary: 'Show the quotas of a class; there is only "default"', tag: TAG, ok },
      handle: async ({ caller, param }) => {
        const id = param('class_name');
        checkQuotaClass(id);
        return { quota_class_set: { id, ...viewQuotaSet(await quotas.getDefaults(caller)) } };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths(CLASS),
      access: ADMIN,
      doc: {
        summary: 'Set the quotas of all projects that have none of their own',
        tag: TAG,
        body: UpdateQuotaClassSetBody,
        ok,
      },
      handle: async ({ caller, body, param }) => {
        checkQuotaClass(param('class_name'));
        const changes = checkUpdateQuotaClass(body);
        if (changes.length === 0) {
          throw new VbsError('QUOTA_LIMIT_INVALID', { field: 'quota_class_set', reason: 'it sets nothing' });
        }
        return { quota_class_set: viewQuotaSet(await quotas.setDefaults(caller, changes)) };
      },
    },
  ];
}

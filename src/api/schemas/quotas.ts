// Quota sets (contract 3.27): their wire names, and requests that set them.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type ProjectId, parseHexId } from '../../core/ids.ts';
import { QUOTA_RESOURCES, type QuotaResource } from '../../core/model.ts';
import { type QuotaChange, type QuotaLine, TYPE_RESOURCES } from '../../services/quota-service.ts';
import { BooleanWord, HexId } from './common.ts';
import { type QueryValues, queryBoolean } from './list-query.ts';
import { type JsonObject, type ParsedBody, parseInteger, readBoolean, readKey, requireEnvelope } from './parse.ts';

const WIRE_NAMES: Readonly<Record<QuotaResource, string>> = {
  volumes: 'volumes',
  snapshots: 'snapshots',
  gigabytes: 'gigabytes',
  perVolumeGigabytes: 'per_volume_gigabytes',
  backups: 'backups',
  backupGigabytes: 'backup_gigabytes',
  groups: 'groups',
};
const LIMIT_MAX = 2_147_483_647;

const limits = Object.fromEntries(
  Object.values(WIRE_NAMES).map((name) => [name, Type.Optional(Type.Integer({ minimum: -1, maximum: LIMIT_MAX }))]),
);
export const QuotaSet = Type.Object(
  { id: Type.Optional(Type.String()), ...limits },
  { $id: 'QuotaSet', description: 'Also volumes_<type>, snapshots_<type>, gigabytes_<type>; -1 is unlimited' },
);
export const UpdateQuotaSetBody = Type.Object(
  {
    quota_set: Type.Object({
      tenant_id: Type.Optional(HexId),
      force: Type.Optional(BooleanWord),
      ...limits,
    }),
  },
  { $id: 'UpdateQuotaSet' },
);
export const UpdateQuotaClassSetBody = Type.Object(
  { quota_class_set: Type.Object({ class_name: Type.Optional(Type.String()), ...limits }) },
  { $id: 'UpdateQuotaClassSet' },
);

/** @throws PROJECT_NOT_FOUND for what can be no project id */
export function checkQuotaProject(text: string): ProjectId {
  const projectId = parseHexId<ProjectId>(text);
  if (projectId === undefined) throw new VbsError('PROJECT_NOT_FOUND', { projectId: text.slice(0, 64) });
  return projectId;
}

/** @throws QUOTA_CLASS_NOT_FOUND: there is only the one that all projects are in */
export function checkQuotaClass(name: string): void {
  if (name !== 'default') throw new VbsError('QUOTA_CLASS_NOT_FOUND', { name: name.slice(0, 64) });
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, QUOTA_LIMIT_INVALID */
export function checkUpdateQuotas(
  body: ParsedBody,
  query: QueryValues,
): { readonly changes: QuotaChange[]; readonly isForced: boolean } {
  const set = requireEnvelope(body, 'quota_set');
  const isForced = readBoolean(set, 'force', 'force', false) || queryBoolean(query, 'skip_validation') === true;
  return { changes: readChanges(set, ['tenant_id', 'force']), isForced };
}

/** @throws REQUEST_MALFORMED, QUOTA_LIMIT_INVALID */
export function checkUpdateQuotaClass(body: ParsedBody): QuotaChange[] {
  return readChanges(requireEnvelope(body, 'quota_class_set'), ['class_name', 'id']);
}

function readChanges(set: JsonObject, ignored: readonly string[]): QuotaChange[] {
  const keys = Object.keys(set).filter((key) => !ignored.includes(key));
  return keys.map((key) => ({ ...parseName(key), limit: readLimit(set, key) }));
}

function readLimit(set: JsonObject, key: string): number {
  const limit = parseInteger(readKey(set, key));
  if (limit !== undefined && limit >= -1 && limit <= LIMIT_MAX) return limit;
  const reason = `it must be an integer from -1 (unlimited) to ${LIMIT_MAX}`;
  throw new VbsError('QUOTA_LIMIT_INVALID', { field: key.slice(0, 64), reason });
}

/** `gigabytes` or `gigabytes_<type>`. @throws QUOTA_LIMIT_INVALID */
function parseName(key: string): Pick<QuotaChange, 'resource' | 'volumeType'> {
  const resource = QUOTA_RESOURCES.find((each) => WIRE_NAMES[each] === key);
  if (resource !== undefined) return { resource };
  const ofType = TYPE_RESOURCES.find((each) => key.startsWith(`${each}_`));
  if (ofType !== undefined) return { resource: ofType, volumeType: key.slice(ofType.length + 1) };
  throw new VbsError('QUOTA_LIMIT_INVALID', { field: key.slice(0, 64), reason: 'there is no such quota' });
}

function nameOf({ resource, volumeType }: Pick<QuotaLine, 'resource' | 'volumeType'>): string {
  return volumeType === undefined ? WIRE_NAMES[resource] : `${WIRE_NAMES[resource]}_${volumeType}`;
}

/** Limits, or with usage beside each. */
export function viewQuotaSet(lines: readonly QuotaLine[], withUsage = false): Record<string, unknown> {
  return Object.fromEntries(
    lines.map((line) => {
      const { limit, used, reserved } = line;
      return [nameOf(line), withUsage ? { limit, in_use: used, reserved } : limit];
    }),
  );
}

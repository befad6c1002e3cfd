// Volume types as those who make volumes need them: which type is meant, and whether the disks here are of that kind.
import { VbsError } from '../core/errors.ts';
import { type ProjectId, parseUuid, type VolumeTypeId } from '../core/ids.ts';
import type { VolumeType } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import { type Caller, hasRole } from './caller.ts';

/** The type of volumes that name none; every catalog has it (migration 0005), whatever it is called by now. */
// The cast: it is written as a UUID.
export const DEFAULT_VOLUME_TYPE_ID = '6f1d2b34-8c05-4e7a-9b21-3d5e7f908a1c' as VolumeTypeId;

/** What the one backend offers, in the words of extra specs. */
export const BACKEND_CAPABILITIES: Readonly<Record<string, string>> = {
  volume_backend_name: 'file',
  storage_protocol: 'file',
  vendor_name: 'OpenVBS',
};

/**
 * By id or name; null is the default type. A type that is not public is unknown to projects without access to it.
 * @throws VOLUME_TYPE_NOT_FOUND
 */
export async function requireVolumeType(
  { volumeTypes }: Pick<CatalogRecords, 'volumeTypes'>,
  caller: Caller,
  projectId: ProjectId | null,
  idOrName: string | null,
): Promise<VolumeType> {
  const type = await findVolumeType({ volumeTypes }, idOrName);
  const hasAccess = async ({ typeId }: VolumeType) =>
    projectId !== null && (await volumeTypes.listAccess(typeId)).includes(projectId);
  const isUsable = type !== undefined && (type.isPublic || hasRole(caller, 'admin') || (await hasAccess(type)));
  if (!isUsable) throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType: idOrName ?? DEFAULT_VOLUME_TYPE_ID });
  return type;
}

async function findVolumeType(
  { volumeTypes }: Pick<CatalogRecords, 'volumeTypes'>,
  idOrName: string | null,
): Promise<VolumeType | undefined> {
  if (idOrName === null) return await volumeTypes.get(DEFAULT_VOLUME_TYPE_ID);
  const typeId = parseUuid<VolumeTypeId>(idOrName);
  const byId = typeId === undefined ? undefined : await volumeTypes.get(typeId);
  return byId ?? (await volumeTypes.findByName(idOrName));
}

/**
 * Which of the type's wishes no disk here fulfils; undefined when all are. As Cinder's scheduler reads extra specs:
 * those without a scope, and those of scope `capabilities`, must match what a backend tells of itself; other scopes are
 * for other readers. Source: docs.openstack.org/cinder, "Capabilities filter".
 */
export function findUnsatisfiedSpec({ extraSpecs }: Pick<VolumeType, 'extraSpecs'>): string | undefined {
  for (const [key, wanted] of Object.entries(extraSpecs)) {
    const name = key.startsWith('capabilities:') ? key.slice('capabilities:'.length) : key;
    if (name.includes(':')) continue;
    const isMatch = name === 'multiattach' ? !isTrueSpec(wanted) : BACKEND_CAPABILITIES[name] === wanted;
    if (!isMatch) return `${key} = ${wanted}`;
  }
  return undefined;
}

/** `<is> True`, as multiattach is asked for. */
function isTrueSpec(wanted: string): boolean {
  return /^(<is>\s*)?true$/i.test(wanted.trim());
}

/** @throws VOLUME_TYPE_UNSATISFIABLE */
export function requireSatisfiable(type: VolumeType): void {
  const reason = findUnsatisfiedSpec(type);
  if (reason !== undefined) throw new VbsError('VOLUME_TYPE_UNSATISFIABLE', { name: type.name, reason });
}

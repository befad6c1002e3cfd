// Volume types: everybody reads those that are for them, admins make and change them.
import { VbsError } from '../core/errors.ts';
import { newUuid, type ProjectId, type VolumeTypeId } from '../core/ids.ts';
import type { VolumeType } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { type Caller, hasRole, requireRole } from './caller.ts';
import type { ListResult, VolumeTypePage } from './list-page.ts';
import { DEFAULT_VOLUME_TYPE_ID, requireVolumeType } from './volume-types.ts';

export type CreateVolumeTypeInput = Pick<VolumeType, 'name' | 'description' | 'isPublic' | 'extraSpecs'>;
/** Absent members stay as they are. */
export type UpdateVolumeTypeInput = Partial<Pick<VolumeType, 'name' | 'description' | 'isPublic'>>;

export type VolumeTypeServiceDeps = { readonly catalog: Catalog; readonly clock: Clock };

export class VolumeTypeService {
  readonly #deps: VolumeTypeServiceDeps;

  constructor(deps: VolumeTypeServiceDeps) {
    this.#deps = deps;
  }

  /** By id or name; null is the default type. @throws VOLUME_TYPE_NOT_FOUND */
  async getType(caller: Caller, idOrName: string | null): Promise<VolumeType> {
    requireRole(caller, 'reader');
    return await this.#require(this.#deps.catalog, caller, idOrName);
  }

  /** `isPublic` null: all that the caller may see; only admins see what is not public and not theirs. */
  async listTypes(caller: Caller, isPublic: boolean | null, page: VolumeTypePage): Promise<ListResult<VolumeType>> {
    requireRole(caller, 'reader');
    const { volumeTypes } = this.#deps.catalog;
    if (hasRole(caller, 'admin')) return await volumeTypes.list(isPublic === null ? {} : { isPublic }, page);
    if (caller.projectId === null) return await volumeTypes.list({ isPublic: true }, page);
    return await volumeTypes.list({ visibleTo: caller.projectId }, page);
  }

  /** @throws VOLUME_TYPE_EXISTS */
  async createType(caller: Caller, input: CreateVolumeTypeInput): Promise<VolumeType> {
    requireRole(caller, 'admin');
    const type = { typeId: newUuid<VolumeTypeId>(), ...input, createdAt: this.#deps.clock.now() };
    await this.#deps.catalog.administer(({ volumeTypes }) => volumeTypes.insert(type));
    return { ...type, updatedAt: null };
  }

  /** @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_EXISTS, VOLUME_TYPE_FIXED */
  async updateType(caller: Caller, idOrName: string, input: UpdateVolumeTypeInput): Promise<VolumeType> {
    requireRole(caller, 'admin');
    return await this.#change(caller, idOrName, async (type, { volumeTypes }) => {
      if (isDefault(type) && input.isPublic === false) {
        throw new VbsError('VOLUME_TYPE_FIXED', { name: type.name, reason: 'the default type is for everybody' });
      }
      await volumeTypes.update(type.typeId, { ...input, updatedAt: this.#deps.clock.now() });
    });
  }

  /** @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_IN_USE, VOLUME_TYPE_FIXED */
  async deleteType(caller: Caller, idOrName: string): Promise<void> {
    requireRole(caller, 'admin');
    await this.#deps.catalog.administer(async (records) => {
      const type = await this.#require(records, caller, idOrName);
      const { name } = type;
      const reason = 'the default type cannot be deleted';
      if (isDefault(type)) throw new VbsError('VOLUME_TYPE_FIXED', { name, reason });
      if (await records.volumeTypes.isInUse(name)) throw new VbsError('VOLUME_TYPE_IN_USE', { name });
      await records.volumeTypes.delete(type);
    });
  }

  /** Adds to the extra specs, or replaces single ones. @throws VOLUME_TYPE_NOT_FOUND */
  async addExtraSpecs(caller: Caller, idOrName: string, added: VolumeType['extraSpecs']): Promise<VolumeType> {
    requireRole(caller, 'admin');
    return await this.#change(caller, idOrName, async ({ typeId, extraSpecs }, { volumeTypes }) => {
      const updatedAt = this.#deps.clock.now();
      await volumeTypes.update(typeId, { extraSpecs: { ...extraSpecs, ...added }, updatedAt });
    });
  }

  /** @throws VOLUME_TYPE_NOT_FOUND, EXTRA_SPEC_NOT_FOUND */
  async removeExtraSpec(caller: Caller, idOrName: string, key: string): Promise<void> {
    requireRole(caller, 'admin');
    await this.#change(caller, idOrName, async (type, { volumeTypes }) => {
      requireExtraSpec(type, key);
      const { [key]: _removed, ...extraSpecs } = type.extraSpecs;
      await volumeTypes.update(type.typeId, { extraSpecs, updatedAt: this.#deps.clock.now() });
    });
  }

  /** Projects that may use a type which is not public. @throws VOLUME_TYPE_NOT_FOUND, also for public types */
  async listAccess(caller: Caller, idOrName: string): Promise<{ typeId: VolumeTypeId; projectIds: ProjectId[] }> {
    requireRole(caller, 'admin');
    const { catalog } = this.#deps;
    const { typeId, isPublic } = await this.#require(catalog, caller, idOrName);
    // As in Cinder: of a public type there is no list.
    if (isPublic) throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType: idOrName });
    return { typeId, projectIds: await catalog.volumeTypes.listAccess(typeId) };
  }

  /** @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_FIXED for public types, VOLUME_TYPE_ACCESS_EXISTS */
  async grantAccess(caller: Caller, idOrName: string, projectId: ProjectId): Promise<void> {
    requireRole(caller, 'admin');
    await this.#change(caller, idOrName, async (type, { volumeTypes }) => {
      const { typeId, name } = requirePrivate(type);
      if ((await volumeTypes.listAccess(typeId)).includes(projectId)) {
        throw new VbsError('VOLUME_TYPE_ACCESS_EXISTS', { projectId, name });
      }
      await volumeTypes.grant(typeId, projectId);
    });
  }

  /** @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_FIXED for public types, VOLUME_TYPE_ACCESS_NOT_FOUND */
  async revokeAccess(caller: Caller, idOrName: string, projectId: ProjectId): Promise<void> {
    requireRole(caller, 'admin');
    await this.#change(caller, idOrName, async (type, { volumeTypes }) => {
      const { typeId, name } = requirePrivate(type);
      if (!(await volumeTypes.listAccess(typeId)).includes(projectId)) {
        throw new VbsError('VOLUME_TYPE_ACCESS_NOT_FOUND', { projectId, name });
      }
      await volumeTypes.revoke(typeId, projectId);
    });
  }

  async #change(
    caller: Caller,
    idOrName: string,
    write: (type: VolumeType, records: CatalogRecords) => Promise<void>,
  ): Promise<VolumeType> {
    return await this.#deps.catalog.administer(async (records) => {
      const type = await this.#require(records, caller, idOrName);
      await write(type, records);
      return (await records.volumeTypes.get(type.typeId)) ?? type;
    });
  }

  async #require(
    records: Pick<CatalogRecords, 'volumeTypes'>,
    caller: Caller,
    idOrName: string | null,
  ): Promise<VolumeType> {
    return await requireVolumeType(records, caller, caller.projectId, idOrName);
  }
}

/** @throws EXTRA_SPEC_NOT_FOUND */
export function requireExtraSpec({ name, extraSpecs }: VolumeType, key: string): string {
  const value = Object.hasOwn(extraSpecs, key) ? extraSpecs[key] : undefined;
  if (value === undefined) throw new VbsError('EXTRA_SPEC_NOT_FOUND', { name, key: key.slice(0, 255) });
  return value;
}

function requirePrivate(type: VolumeType): VolumeType {
  if (!type.isPublic) return type;
  throw new VbsError('VOLUME_TYPE_FIXED', { name: type.name, reason: 'it is public, so everybody has access' });
}

function isDefault({ typeId }: VolumeType): boolean {
  return typeId === DEFAULT_VOLUME_TYPE_ID;
}

// Quotas of projects as admins read and set them (contract 3.27): limits of their own before those of all projects,
// and those before the settings. What enforces them is quota.ts.
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import { QUOTA_RESOURCES, type QuotaResource, type VolumeType } from '../core/model.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { Counted, SetLimit, StockUsage } from '../db/record-types.ts';
import { type Caller, requireRole } from './caller.ts';
import { limitsOf, type QuotaLimits, readSetLimits, UNLIMITED, UNLIMITED_QUOTAS } from './quota.ts';

/** What types of volumes can have quotas of their own for. */
export const TYPE_RESOURCES = ['volumes', 'snapshots', 'gigabytes'] as const satisfies readonly QuotaResource[];
export type TypeResource = (typeof TYPE_RESOURCES)[number];

/** One line of a quota set; `volumeType` names the type that it is about. */
export type QuotaLine = {
  readonly resource: QuotaResource;
  readonly volumeType?: string;
  readonly limit: number;
  readonly used: number;
  readonly reserved: number;
};

export type QuotaChange = { readonly resource: QuotaResource; readonly volumeType?: string; readonly limit: number };

/** The ten figures of GET /limits; -1 = unlimited. */
export type AbsoluteLimits = {
  readonly limits: QuotaLimits;
  readonly used: Readonly<Record<'volumes' | 'snapshots' | 'gigabytes' | 'backups' | 'backupGigabytes', number>>;
};

export type QuotaServiceDeps = { readonly catalog: Catalog; readonly quotas: QuotaLimits };

const NONE: Counted = { used: 0, reserved: 0 };

export class QuotaService {
  readonly #deps: QuotaServiceDeps;

  constructor(deps: QuotaServiceDeps) {
    this.#deps = deps;
  }

  /** Of one's own project; admins may ask for any. @throws PROJECT_NOT_FOUND, ROLE_DENIED */
  async getQuotas(caller: Caller, projectId: ProjectId): Promise<QuotaLine[]> {
    requireRole(caller, caller.projectId === projectId ? 'reader' : 'admin');
    await this.#requireKnown(projectId);
    return await this.#describe(this.#deps.catalog, projectId);
  }

  /** What projects have that were given nothing of their own. */
  async getDefaults(caller: Caller): Promise<QuotaLine[]> {
    requireRole(caller, 'reader');
    const { catalog, quotas } = this.#deps;
    const set = await catalog.quotas.listDefaults();
    return listLines(set, quotas, await catalog.volumeTypes.listAll(), () => NONE);
  }

  /**
   * Sets limits of one project, for admins. A limit below what is used is refused, unless `isForced`.
   * @throws PROJECT_NOT_FOUND, QUOTA_LIMIT_INVALID, VOLUME_TYPE_NOT_FOUND
   */
  async setQuotas(
    caller: Caller,
    projectId: ProjectId,
    changes: readonly QuotaChange[],
    options: { readonly isForced: boolean },
  ): Promise<QuotaLine[]> {
    requireRole(caller, 'admin');
    return await this.#deps.catalog.transact(projectId, async (records) => {
      const wanted = await resolveTypes(records, changes);
      for (const [index, limit] of wanted.entries()) {
        if (!options.isForced) await this.#requireAboveUsage(records, projectId, limit, changes[index]?.volumeType);
      }
      for (const limit of wanted) await records.quotas.saveLimit(projectId, limit);
      return await this.#describe(records, projectId);
    });
  }

  /** The project has the limits of all others again; for admins. @throws PROJECT_NOT_FOUND */
  async resetQuotas(caller: Caller, projectId: ProjectId): Promise<void> {
    requireRole(caller, 'admin');
    await this.#deps.catalog.transact(projectId, ({ quotas }) => quotas.dropLimits(projectId));
  }

  /** Sets the limits of all projects that have none of their own; for admins. @throws VOLUME_TYPE_NOT_FOUND */
  async setDefaults(caller: Caller, changes: readonly QuotaChange[]): Promise<QuotaLine[]> {
    requireRole(caller, 'admin');
    await this.#deps.catalog.administer(async (records) => {
      for (const limit of await resolveTypes(records, changes)) await records.quotas.saveDefault(limit);
    });
    return await this.getDefaults(caller);
  }

  /** Of the caller's project, or for admins of any. @throws PROJECT_NOT_FOUND, ROLE_DENIED */
  async getAbsoluteLimits(caller: Caller, projectId: ProjectId): Promise<AbsoluteLimits> {
    requireRole(caller, caller.projectId === projectId ? 'reader' : 'admin');
    await this.#requireKnown(projectId);
    const { catalog, quotas } = this.#deps;
    const limits = limitsOf(await readSetLimits(catalog, projectId), quotas, '');
    const stock = await catalog.quotas.stock(projectId);
    const backups = await catalog.quotas.usage(projectId);
    const total = ({ used, reserved }: Counted) => used + reserved;
    return {
      limits,
      used: {
        volumes: total(stock.volumes),
        snapshots: total(stock.snapshots),
        gigabytes: total(stock.gigabytes),
        backups: backups.usedCount + backups.reservedCount,
        backupGigabytes: backups.usedGib + backups.reservedGib,
      },
    };
  }

  async #requireKnown(projectId: ProjectId): Promise<void> {
    const project = await this.#deps.catalog.projects.get(projectId);
    if (project === undefined) throw new VbsError('PROJECT_NOT_FOUND', { projectId });
  }

  async #describe(records: Pick<CatalogRecords, 'quotas' | 'volumeTypes'>, projectId: ProjectId): Promise<QuotaLine[]> {
    const types = await records.volumeTypes.listAll();
    const set = await readSetLimits(records, projectId);
    const usage = await readUsage(records, projectId);
    const ofTypes = new Map<string, StockUsage>();
    for (const { name } of types) ofTypes.set(name, await records.quotas.stock(projectId, name));
    return listLines(set, this.#deps.quotas, types, (resource, volumeType) => {
      if (volumeType === undefined) return usage[resource];
      return resource === 'volumes' || resource === 'snapshots' || resource === 'gigabytes'
        ? (ofTypes.get(volumeType)?.[resource] ?? NONE)
        : NONE;
    });
  }

  async #requireAboveUsage(
    records: Pick<CatalogRecords, 'quotas'>,
    projectId: ProjectId,
    { resource, limit }: SetLimit,
    volumeType: string | undefined,
  ): Promise<void> {
    if (limit === UNLIMITED) return;
    const { used, reserved } = (await readUsage(records, projectId, volumeType))[resource];
    if (limit >= used + reserved) return;
    const reason = `${limit} is less than the ${used + reserved} in use`;
    throw new VbsError('QUOTA_LIMIT_INVALID', { field: resource, reason });
  }
}

async function readUsage(
  { quotas }: Pick<CatalogRecords, 'quotas'>,
  projectId: ProjectId,
  volumeType?: string,
): Promise<Readonly<Record<QuotaResource, Counted>>> {
  const stock = await quotas.stock(projectId, volumeType);
  const backups = await quotas.usage(projectId);
  return {
    ...stock,
    perVolumeGigabytes: NONE,
    backups: { used: backups.usedCount, reserved: backups.reservedCount },
    backupGigabytes: { used: backups.usedGib, reserved: backups.reservedGib },
    groups: NONE,
  };
}

function listLines(
  set: readonly SetLimit[],
  defaults: QuotaLimits,
  types: readonly VolumeType[],
  usageOf: (resource: QuotaResource, volumeType?: string) => Counted,
): QuotaLine[] {
  const limits = limitsOf(set, defaults, '');
  const common = QUOTA_RESOURCES.map((resource) => ({ resource, limit: limits[resource], ...usageOf(resource) }));
  const ofTypes = types.flatMap(({ typeId, name: volumeType }) => {
    const typeLimits = limitsOf(set, UNLIMITED_QUOTAS, typeId);
    return TYPE_RESOURCES.map((resource) => {
      const limit = typeLimits[resource];
      return { resource, volumeType, limit, ...usageOf(resource, volumeType) };
    });
  });
  return [...common, ...ofTypes];
}

/** @throws VOLUME_TYPE_NOT_FOUND */
async function resolveTypes(
  { volumeTypes }: Pick<CatalogRecords, 'volumeTypes'>,
  changes: readonly QuotaChange[],
): Promise<SetLimit[]> {
  const limits: SetLimit[] = [];
  for (const { resource, volumeType, limit } of changes) {
    const type = volumeType === undefined ? undefined : await volumeTypes.findByName(volumeType);
    if (volumeType !== undefined && type === undefined) throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType });
    limits.push({ resource, typeId: type?.typeId ?? '', limit });
  }
  return limits;
}

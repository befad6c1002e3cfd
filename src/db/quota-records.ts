// What a project uses of its quotas, counted from the rows each time so that it can never drift, and the limits that
// somebody set: for one project, or for all that have none of their own.
import { type SqlBool, sql } from 'kysely';
import { GIB } from '../core/bytes.ts';
import type { ProjectId, VolumeTypeId } from '../core/ids.ts';
import type { QuotaResource } from '../core/model.ts';
import type { Counted, QuotaUsage, SetLimit, StockUsage } from './record-types.ts';
import type { Scope } from './scope.ts';

/** Each thing counts in whole GiB, rounded up: the sum of the sizes that the API shows. */
const SIZE_GIB = sql<number>`(size_bytes + ${sql.lit(GIB - 1)}) / ${sql.lit(GIB)}`;
const IS_RESERVED = sql<number>`case when status = 'creating' then 1 else 0 end`;
/** PostgreSQL adds bigints up to a numeric, which would arrive as text. */
const TOTAL_GIB = sql<number>`cast(sum(${SIZE_GIB}) as bigint)`;

type Tally = { readonly count: Counted; readonly gib: Counted };

export class QuotaRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Backups. */
  async usage(projectId: ProjectId): Promise<QuotaUsage> {
    const { count, gib } = await this.#tally('backups', projectId, undefined);
    return { usedCount: count.used, usedGib: gib.used, reservedCount: count.reserved, reservedGib: gib.reserved };
  }

  /** Volumes and snapshots: all of the project, or those of one type, given by its name. */
  async stock(projectId: ProjectId, volumeType?: string): Promise<StockUsage> {
    const volumes = await this.#tally('volumes', projectId, volumeType);
    const snapshots = await this.#tally('snapshots', projectId, volumeType);
    return {
      volumes: volumes.count,
      snapshots: snapshots.count,
      gigabytes: {
        used: volumes.gib.used + snapshots.gib.used,
        reserved: volumes.gib.reserved + snapshots.gib.reserved,
      },
    };
  }

  async listLimits(projectId: ProjectId): Promise<SetLimit[]> {
    const rows = await this.#scope.executor
      .selectFrom('quota_limits')
      .select(['resource', 'type_id', 'hard_limit'])
      .where('project_id', '=', projectId)
      .execute();
    return rows.map(toLimit);
  }

  async saveLimit(projectId: ProjectId, { resource, typeId, limit }: SetLimit): Promise<void> {
    await this.#scope.executor
      .insertInto('quota_limits')
      .values({ project_id: projectId, resource, type_id: typeId, hard_limit: limit })
      .onConflict((conflict) =>
        conflict.columns(['project_id', 'resource', 'type_id']).doUpdateSet({ hard_limit: limit }),
      )
      .execute();
  }

  /** The project is limited as all others again. */
  async dropLimits(projectId: ProjectId): Promise<void> {
    await this.#scope.executor.deleteFrom('quota_limits').where('project_id', '=', projectId).execute();
  }

  async listDefaults(): Promise<SetLimit[]> {
    const rows = await this.#scope.executor.selectFrom('quota_defaults').selectAll().execute();
    return rows.map(toLimit);
  }

  async saveDefault({ resource, typeId, limit }: SetLimit): Promise<void> {
    await this.#scope.executor
      .insertInto('quota_defaults')
      .values({ resource, type_id: typeId, hard_limit: limit })
      .onConflict((conflict) => conflict.columns(['resource', 'type_id']).doUpdateSet({ hard_limit: limit }))
      .execute();
  }

  async #tally(
    table: 'backups' | 'snapshots' | 'volumes',
    projectId: ProjectId,
    volumeType: string | undefined,
  ): Promise<Tally> {
    const conditions = [
      sql<SqlBool>`project_id = ${projectId}`,
      ...(table === 'backups' ? [sql<SqlBool>`deleted_at is null`] : []),
      ...(volumeType === undefined ? [] : [sql<SqlBool>`volume_type = ${volumeType}`]),
    ];
    const rows = await this.#scope.executor
      .selectFrom(sql`${sql.table(table)}`.as('counted'))
      .select((query) => [
        IS_RESERVED.as('is_reserved'),
        query.fn.countAll<number>().as('count'),
        TOTAL_GIB.as('size_gib'),
      ])
      .where(sql<SqlBool>`${sql.join(conditions, sql` and `)}`)
      .groupBy('is_reserved')
      .execute();
    const used = rows.find((row) => row.is_reserved === 0);
    const reserved = rows.find((row) => row.is_reserved === 1);
    return {
      count: { used: used?.count ?? 0, reserved: reserved?.count ?? 0 },
      gib: { used: used?.size_gib ?? 0, reserved: reserved?.size_gib ?? 0 },
    };
  }
}

function toLimit(row: { resource: string; type_id: string; hard_limit: number }): SetLimit {
  // Casts: `saveLimit` and `saveDefault` take typed values only.
  return { resource: row.resource as QuotaResource, typeId: row.type_id as VolumeTypeId | '', limit: row.hard_limit };
}

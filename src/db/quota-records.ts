// What a project uses of its quotas: counted from the rows each time, so it can never drift.
import { sql } from 'kysely';
import { GIB } from '../core/bytes.ts';
import type { ProjectId } from '../core/ids.ts';
import type { QuotaUsage } from './record-types.ts';
import type { Scope } from './scope.ts';

export class QuotaRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async usage(projectId: ProjectId): Promise<QuotaUsage> {
    // Each backup counts in whole GiB, rounded up: the sum of the sizes that the API shows.
    const sizeGib = sql<number>`(size_bytes + ${sql.lit(GIB - 1)}) / ${sql.lit(GIB)}`;
    const rows = await this.#scope.executor
      .selectFrom('backups')
      .select((query) => [
        sql<number>`case when status = 'creating' then 1 else 0 end`.as('is_reserved'),
        query.fn.countAll<number>().as('count'),
        // PostgreSQL adds bigints up to a numeric, which would arrive as text.
        sql<number>`cast(sum(${sizeGib}) as bigint)`.as('size_gib'),
      ])
      .where('project_id', '=', projectId)
      .where('deleted_at', 'is', null)
      .groupBy('is_reserved')
      .execute();
    const used = rows.find((row) => row.is_reserved === 0);
    const reserved = rows.find((row) => row.is_reserved === 1);
    return {
      usedCount: used?.count ?? 0,
      usedGib: used?.size_gib ?? 0,
      reservedCount: reserved?.count ?? 0,
      reservedGib: reserved?.size_gib ?? 0,
    };
  }
}

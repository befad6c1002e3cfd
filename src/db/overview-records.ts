// What is so now in all projects together, for figures. Read outside of transactions, by statements that find what they
// want through an index: the catalog may be large, and selects of SQLite run on the main thread.
import { type SqlBool, sql } from 'kysely';
import { countBitmap } from '../core/bitmap.ts';
import type { JobKind } from '../core/model.ts';
import type { Condition } from './list-rows.ts';
import type { Scope } from './scope.ts';

/** Spelled out, so that the planners see which of the partial indexes has all there is to find. */
const IS_OPEN: Condition = sql<SqlBool>`status in ('INIT', 'RUNNING')`;
const IS_LIVE: Condition = sql<SqlBool>`state = 'live'`;
const IS_DAMAGED: Condition = sql<SqlBool>`is_damaged = 1`;

export type CatalogOverview = {
  readonly jobs: readonly { readonly kind: JobKind; readonly isRunning: boolean; readonly count: number }[];
  readonly damagedChunkCount: number;
  readonly damagedPackCount: number;
  readonly damagedBackupCount: number;
  readonly unverifiedPackCount: number;
  readonly oldestVerifiedAt: number | undefined;
};

export class OverviewRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async read(): Promise<CatalogOverview> {
    const bad = await this.#listBad();
    return {
      jobs: await this.#countOpenJobs(),
      damagedChunkCount: bad.reduce((total, count) => total + count, 0),
      damagedPackCount: bad.length,
      damagedBackupCount: await this.#countDamagedBackups(),
      ...(await this.#readVerification()),
    };
  }

  async #countOpenJobs(): Promise<CatalogOverview['jobs']> {
    const rows = await this.#scope.executor
      .selectFrom('jobs')
      .select(({ fn }) => ['kind', 'status', fn.countAll<number>().as('count')])
      .where(IS_OPEN)
      .groupBy(['kind', 'status'])
      .orderBy('kind')
      .execute();
    // The cast: rows of jobs hold only kinds of ours.
    return rows.map(({ kind, status, count }) => ({
      kind: kind as JobKind,
      isRunning: status === 'RUNNING',
      count: Number(count),
    }));
  }

  /** How many slots of each damaged pack are bad; nearly always there is none. */
  async #listBad(): Promise<readonly number[]> {
    const rows = await this.#scope.executor
      .selectFrom('packs')
      .select(['bad', 'slot_count', 'state'])
      .where('bad', 'is not', null)
      .execute();
    // Of a pack that is distrusted as a whole every bit is set, also beyond its last slot.
    const count = ({ bad, slot_count }: (typeof rows)[number]) => Math.min(countBitmap(bad), Number(slot_count ?? 0));
    // Asked for by the statement, `live` would make SQLite walk through the index of all live packs instead.
    return rows.filter(({ state }) => state === 'live').map(count);
  }

  async #countDamagedBackups(): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('backups')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where(IS_DAMAGED)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    return Number(row?.count ?? 0);
  }

  /** Project by project: the index begins with the project. */
  async #readVerification(): Promise<Pick<CatalogOverview, 'unverifiedPackCount' | 'oldestVerifiedAt'>> {
    const rows = await this.#scope.executor
      .selectFrom('projects')
      .select((projects) => {
        const live = projects
          .selectFrom('packs')
          .whereRef('packs.project_id', '=', 'projects.project_id')
          .where(IS_LIVE);
        return [
          live
            .where('verified_at', '>', 0)
            .select(({ fn }) => fn.min('verified_at').as('oldest'))
            .as('oldest'),
          live
            .where('verified_at', '=', 0)
            .select(({ fn }) => fn.countAll<number>().as('count'))
            .as('unverified'),
        ];
      })
      .execute();
    const oldest = rows.flatMap((row) => (row.oldest === null ? [] : [Number(row.oldest)]));
    return {
      unverifiedPackCount: rows.reduce((count, { unverified }) => count + Number(unverified ?? 0), 0),
      oldestVerifiedAt: oldest.length === 0 ? undefined : Math.min(...oldest),
    };
  }
}

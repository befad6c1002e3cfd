// Brings the tables up to date: migrations run in order, each once, all of a start in one transaction under a lock. The
// list only ever grows at its end; a migration that was released is never changed.
import { sql } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { Capabilities, Database, Executor } from './database.ts';
import { createFirstTables } from './migrations/0001-first-tables.ts';
import { createPolicies } from './migrations/0002-policies.ts';
import { createSharingAndAudit } from './migrations/0003-sharing-audit.ts';
import { createIdentity } from './migrations/0004-identity.ts';
import { extendVolumes } from './migrations/0005-volumes.ts';
import { createSnapshots } from './migrations/0006-snapshots.ts';
import { extendBackups } from './migrations/0007-backups.ts';
import { addPruneState } from './migrations/0010-prune.ts';
import { createBaselineTrash } from './migrations/0011-baselines.ts';
import { addVerification } from './migrations/0012-verify.ts';
import { addKeyNumbers } from './migrations/0013-keys.ts';
import { createLabels } from './migrations/0014-labels.ts';
import { labelAllBackups } from './migrations/0015-label-origins.ts';
import { addJobRequests } from './migrations/0016-job-requests.ts';

export type Migration = {
  readonly name: string;
  run(executor: Executor, capabilities: Capabilities): Promise<void>;
};

const MIGRATIONS: readonly Migration[] = [
  { name: '0001-first-tables', run: createFirstTables },
  { name: '0002-policies', run: createPolicies },
  { name: '0003-sharing-audit', run: createSharingAndAudit },
  { name: '0004-identity', run: createIdentity },
  { name: '0005-volumes', run: extendVolumes },
  { name: '0006-snapshots', run: createSnapshots },
  { name: '0007-backups', run: extendBackups },
  { name: '0010-prune', run: addPruneState },
  { name: '0011-baselines', run: createBaselineTrash },
  { name: '0012-verify', run: addVerification },
  { name: '0013-keys', run: addKeyNumbers },
  { name: '0014-labels', run: createLabels },
  { name: '0015-label-origins', run: labelAllBackups },
  { name: '0016-job-requests', run: addJobRequests },
];

/** @throws CATALOG_UNKNOWN_FORMAT when a newer version of the program has been here */
export async function runMigrations(database: Database): Promise<void> {
  const { capabilities } = database;
  await database.transact(async (transaction) => {
    await capabilities.lockCatalog(transaction);
    await sql`create table if not exists migrations (name ${capabilities.textType} primary key)`.execute(transaction);
    const rows = await transaction.selectFrom('migrations').select('name').orderBy('name').execute();
    const done = new Set(rows.map((row) => row.name));
    for (const migration of MIGRATIONS) {
      if (!done.delete(migration.name)) {
        await migration.run(transaction, capabilities);
        await transaction.insertInto('migrations').values({ name: migration.name }).execute();
      }
    }
    const [unknown] = done;
    if (unknown !== undefined) {
      throw new VbsError('CATALOG_UNKNOWN_FORMAT', { migration: unknown });
    }
  });
}

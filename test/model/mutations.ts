// Each takes one mechanism of src/engine/README.md away, by stepping between the program and its ledger or its store.
// The model must notice every one. What they are for stands there under "What each mechanism is there for".
import type { SQLInputValue } from 'node:sqlite';
import type { AttemptId, BackupId, JobId, ObjectId, PackId } from '../../src/core/ids.ts';
import type { JobClaim, PackLocation } from '../../src/core/ledger.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import type { LedgerRecords } from '../../src/db/ledger-records.ts';
import type { Repository } from '../../src/engine/repository.ts';
import type { Row } from './model-catalog.ts';
import type { Mutation, World } from './world.ts';

/** Several calls as one transaction of the project, so that nothing but the mechanism is taken away. */
function atomically<T>(world: World, work: (ledger: LedgerRecords) => Promise<T>): Promise<T> {
  const projectIds = [world.projectId, world.otherProjectId];
  return world.catalog.catalog.transactAcross(projectIds, ({ ledger }) => work(ledger));
}

/** Runs `work` as if rows of a table were not there. */
async function without<T>(world: World, table: string, where: string, work: () => Promise<T>): Promise<T> {
  const { catalog } = world;
  const hidden = catalog.query(`select * from ${table} where ${where}`);
  catalog.query(`delete from ${table} where ${where}`);
  try {
    return await work();
  } finally {
    for (const row of hidden) insert(world, table, row);
  }
}

function insert({ catalog }: World, table: string, row: Row): void {
  const places = Object.keys(row).map(() => '?');
  const columns = Object.keys(row).join(', ');
  catalog.query(`insert or ignore into ${table} (${columns}) values (${places.join(', ')})`, ...Object.values(row));
}

function trash({ catalog, projectId }: World, objectName: string, recordOf: BackupId | null = null): void {
  catalog.query(
    `insert or ignore into trash (project_id, object_name, is_record, backup_id) values (?, ?, ?, ?)`,
    projectId,
    objectName,
    recordOf === null ? 0 : 1,
    recordOf,
  );
}

/** Attempts of all roots, as condemning finds them in its own transaction. */
async function attemptsOfRoots(ledger: LedgerRecords, world: World): Promise<Set<AttemptId>> {
  return new Set((await ledger.listRoots(world.projectId)).map((root) => root.attemptId));
}

function packRow(world: World, packId: PackId): (PackLocation & { next: string | null }) | undefined {
  const [row] = world.catalog.query('select * from packs where pack_id = ?', packId);
  // The casts: the row holds what was reserved from typed values.
  return (
    row && { packId, kind: row.kind as 'data', objectId: row.object_id as ObjectId, next: row.next_object_id as string }
  );
}

/** Which rows are of jobs that nobody works on at this moment, in words of SQL. */
function isOrphaned({ catalog, scheduler }: World): string {
  const isRun = ({ job_id, attempt }: Row) =>
    scheduler.actors.some(
      ({ hasEnded, claim }) => !hasEnded && claim?.jobId === job_id && claim?.attempt === Number(attempt),
    );
  const open = catalog.query(`select job_id, attempt from jobs where status in ('INIT', 'RUNNING')`);
  const orphans = open.filter((job) => !isRun(job)).map(({ job_id }) => `'${job_id}'`);
  return `job_id in (${orphans.join(', ')})`;
}

function ignoreEpoch(repository: Repository): void {
  repository.checkEpoch = async ({ projectId }) => {
    const state = await repository.ledger.readEpoch(projectId);
    return state ?? repository.ledger.startEpoch(projectId);
  };
  repository.raiseEpoch = ({ projectId }) => repository.ledger.raiseEpoch(projectId);
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'pack rows are writing before their bytes',
    ledger: (real, world) => ({
      reservePacks: (claim, packs) =>
        atomically(world, async (ledger) => {
          await ledger.reservePacks(claim, packs);
          for (const { packId } of packs)
            world.catalog.query(`update packs set state = 'live' where pack_id = ?`, packId);
        }),
      listOwnPacks: () => Promise.resolve([]),
      commitBackup: (claim, commit, endedAt) =>
        atomically(world, async (ledger) => {
          world.catalog.query(`update packs set state = 'writing' where job_id = ?`, claim.jobId);
          await ledger.commitBackup(claim, commit, endedAt);
        }),
      failBackup: (claim, failure, endedAt) =>
        atomically(world, async (ledger) => {
          world.catalog.query(`update packs set state = 'writing' where job_id = ?`, claim.jobId);
          return ledger.failBackup(claim, failure, endedAt);
        }),
      locatePacks: real.locatePacks.bind(real),
    }),
  },
  {
    name: 'the row lock of the project',
    profile: 0,
    ledger: (real, world) => ({
      // What is checked in one transaction is acted upon in another.
      condemnSlots: async (projectId, request, nowAt) => {
        const before = new Set(world.catalog.query('select pack_id from uses').map((row) => row.pack_id));
        const roots = await real.listRoots(projectId);
        const unmarked = roots.filter((root) => !request.markedAttemptIds.has(root.attemptId));
        if (unmarked.length > 0) return { status: 'roots-unmarked', roots: unmarked };
        for (let i = 0; i < 25; i += 1) await real.readQuarantine(projectId);
        return atomically(world, async (ledger) => {
          const markedAttemptIds = await attemptsOfRoots(ledger, world);
          const unseen = world.catalog
            .query('select pack_id from uses')
            .filter((row) => !before.has(row.pack_id))
            .map((row) => `'${row.pack_id}'`);
          return without(world, 'uses', `pack_id in (${unseen.join(', ')})`, () =>
            ledger.condemnSlots(projectId, { ...request, markedAttemptIds }, nowAt),
          );
        });
      },
    }),
  },
  {
    name: 'roots are checked again when slots are condemned',
    ledger: (_real, world) => ({
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, async (ledger) => {
          const markedAttemptIds = await attemptsOfRoots(ledger, world);
          return ledger.condemnSlots(projectId, { ...request, markedAttemptIds }, nowAt);
        }),
    }),
  },
  {
    name: 'pins are roots, and what is pinned is not deleted',
    ledger: (_real, world) => ({
      takeForDeletion: (claim, backupId) =>
        atomically(world, (ledger) => without(world, 'pins', '1', () => ledger.takeForDeletion(claim, backupId))),
      listRoots: (projectId) =>
        atomically(world, (ledger) => without(world, 'pins', '1', () => ledger.listRoots(projectId))),
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, (ledger) =>
          without(world, 'pins', '1', () => ledger.condemnSlots(projectId, request, nowAt)),
        ),
    }),
  },
  {
    name: 'a pin of another project counts in the project of the backup',
    ledger: (_real, world) => ({
      takeForDeletion: (claim, backupId) =>
        atomically(world, (ledger) => {
          const foreign = `job_id in (select job_id from jobs where project_id = '${world.otherProjectId}')`;
          return without(world, 'pins', foreign, () => ledger.takeForDeletion(claim, backupId));
        }),
    }),
  },
  {
    name: 'a verification pins its backup',
    profile: 3,
    isScripted: true,
    ledger: (real, world) => ({
      pinBackup: async (claim, backupId) => {
        const pinned = await real.pinBackup(claim, backupId);
        world.catalog.query(
          `delete from pins where job_id in (select job_id from jobs where job_id = ? and kind = 'verify')`,
          claim.jobId,
        );
        return pinned;
      },
    }),
  },
  {
    name: 'what was condemned is not missed by a verification',
    profile: 3,
    isScripted: true,
    ledger: (real) => ({
      locatePacks: async (projectId, packIds) => {
        const found = await real.locatePacks(projectId, packIds);
        return found.map((pack) => ({ ...pack, condemned: null }));
      },
    }),
  },
  {
    name: 'a use keeps a pack from being condemned',
    ledger: (_real, world) => ({
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, (ledger) =>
          without(world, 'uses', '1', () => ledger.condemnSlots(projectId, request, nowAt)),
        ),
    }),
  },
  {
    name: 'condemned slots are returned with the use',
    profile: 3,
    ledger: (real) => ({
      usePack: async (claim, packId) => {
        const use = await real.usePack(claim, packId);
        return use && { ...use, condemned: null };
      },
    }),
  },
  {
    name: 'trailers are kept in memory by the name of their object',
    repository: (repository) => {
      const real = repository.packIndex.bind(repository);
      const byPack = new Map<PackId, ReturnType<typeof real>>();
      repository.packIndex = (project, location) => {
        const index = byPack.get(location.packId) ?? real(project, location);
        byPack.set(location.packId, index);
        index.catch(() => byPack.delete(location.packId));
        return index;
      };
    },
  },
  {
    name: 'a record that the catalog does not know is a root',
    profile: 2,
    // The epoch notices nearly every catalog that lacks a record, and is there before.
    repository: ignoreEpoch,
    ledger: (real, world) => ({
      reviewRecords: (projectId, records, options) =>
        atomically(world, async (ledger) => {
          const { unknown } = await ledger.reviewRecords(projectId, records, options);
          for (const { backupId, attemptId } of unknown)
            trash(world, recordName(projectId, backupId, attemptId), backupId);
          return { unknown: [] };
        }),
      listTrash: real.listTrash.bind(real),
    }),
  },
  {
    name: 'the epoch in the store',
    profile: 2,
    repository: ignoreEpoch,
  },
  {
    name: 'the commit checks its own rows',
    profile: 2,
    isScripted: true,
    ledger: (_real, world) => ({
      commitBackup: (claim, commit, endedAt) =>
        atomically(world, async (ledger) => {
          mendRows(world, claim, commit);
          await ledger.commitBackup(claim, commit, endedAt);
        }),
    }),
  },
  {
    name: 'names of compacted objects are drawn at random',
    store: (store) => {
      store.replacesObjects = true;
    },
    ledger: (real, world) => ({
      beginCompaction: (projectId, packId) => {
        const row = packRow(world, packId);
        // The same name for whoever compacts this version of the pack.
        const next = row ? `${row.objectId.slice(0, 8)}${row.objectId.slice(9).replaceAll('-', '')}0000` : '';
        const uuid = `${next.slice(0, 8)}-aaaa-4aaa-8aaa-${next.slice(8, 20)}` as ObjectId;
        return real.beginCompaction(projectId, packId, uuid);
      },
    }),
  },
  {
    name: 'a compacted object is made current by compare-and-swap',
    ledger: (_real, world) => ({
      finishCompaction: (projectId, result) =>
        atomically(world, async () => {
          const row = packRow(world, result.packId);
          if (!row) return false;
          world.catalog.query(
            'update packs set object_id = ?, next_object_id = null, stored_bytes = ? where pack_id = ?',
            result.nextObjectId,
            result.storedBytes,
            result.packId,
          );
          trash(world, packObjectName(projectId, row));
          return true;
        }),
    }),
  },
  {
    name: 'records are named by their attempt, and never replaced',
    store: (store) => {
      store.replacesObjects = true;
      store.alias = (name) => name.replace(/(\/backups\/[^.]+)\..*$/, '$1');
    },
  },
  {
    name: 'what a job wrote is removed only when its backup is found uncommitted',
    profile: 1,
    settlesBlindly: true,
    ledger: (_real, world) => ({
      failBackup: (claim, _failure, _endedAt) =>
        atomically(world, async () => {
          for (const row of world.catalog.query('select * from packs where job_id = ?', claim.jobId)) {
            const packId = row.pack_id as PackId;
            const location = packRow(world, packId);
            if (location) trash(world, packObjectName(world.projectId, location));
            world.catalog.query(`update packs set state = 'retired' where pack_id = ?`, packId);
          }
          for (const row of world.catalog.query('select * from attempts where job_id = ?', claim.jobId)) {
            const backupId = row.backup_id as BackupId;
            trash(world, recordName(world.projectId, backupId, row.attempt_id as AttemptId), backupId);
          }
          world.catalog.query(`update jobs set status = 'FAIL', ended_at = 1 where job_id = ?`, claim.jobId);
          return { isCommitted: false };
        }),
    }),
  },
  {
    name: 'pins, uses and packs belong to the job and outlive an attempt',
    profile: 1,
    isScripted: true,
    ledger: (_real, world) => ({
      takeForDeletion: (claim, backupId) =>
        atomically(world, (ledger) =>
          without(world, 'pins', isOrphaned(world), () => ledger.takeForDeletion(claim, backupId)),
        ),
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, (ledger) => {
          const orphaned = isOrphaned(world);
          for (const { pack_id } of world.catalog.query(
            `select * from packs where state = 'writing' and ${orphaned}`,
          )) {
            const location = packRow(world, pack_id as PackId);
            if (location) trash(world, packObjectName(projectId, location));
          }
          return without(world, 'pins', orphaned, () =>
            without(world, 'uses', orphaned, () => ledger.condemnSlots(projectId, request, nowAt)),
          );
        }),
    }),
  },
  {
    name: 'a backup is a root whatever its status',
    profile: 1,
    ledger: (real, world) => ({
      listRoots: async (projectId) => {
        const roots = await real.listRoots(projectId);
        return roots.filter((root) => isAvailable(world, root.backupId));
      },
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, async (ledger) => {
          const roots = await ledger.listRoots(projectId);
          const others = roots.filter((root) => !isAvailable(world, root.backupId)).map((root) => root.attemptId);
          const markedAttemptIds = new Set([...request.markedAttemptIds, ...others]);
          return ledger.condemnSlots(projectId, { ...request, markedAttemptIds }, nowAt);
        }),
    }),
  },
  {
    name: 'a root that cannot be read ends the prune',
    profile: 1,
    ledger: (real, world) => ({
      listRoots: async (projectId) => {
        const readable: Awaited<ReturnType<LedgerRecords['listRoots']>>[number][] = [];
        for (const root of await real.listRoots(projectId)) {
          const name = recordName(projectId, root.backupId, root.attemptId);
          const isThere = await world.store.head(name).catch(() => undefined);
          if (isThere) readable.push(root);
        }
        return readable;
      },
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, async (ledger) => {
          const markedAttemptIds = await attemptsOfRoots(ledger, world);
          return ledger.condemnSlots(projectId, { ...request, markedAttemptIds }, nowAt);
        }),
    }),
  },
  {
    name: 'records are deleted first, and confirmed',
    profile: 3,
    // From the chunks up, so that nothing is forgotten: a deletion ends with its record in the trash, and the record
    // goes after what it led to.
    ledger: (real, world) => {
      const ripe = new Set<number>();
      return {
        finishDeletion: (claim, backupId, endedAt) =>
          atomically(world, (ledger) =>
            without(world, 'trash', 'is_record = 1', () => ledger.finishDeletion(claim, backupId, endedAt)),
          ),
        // A prune has condemned and swept by then.
        dropCompactions: async (projectId) => {
          await real.dropCompactions(projectId);
          const records = world.catalog.query('select trash_id from trash where is_record = 1');
          for (const row of records) ripe.add(Number(row.trash_id));
        },
        listTrash: async (projectId, limit, nowAt) => {
          const due = nowAt - 24 * 3600 * 1000;
          // A gate as before.
          await real.listTrash(projectId, limit, nowAt);
          return world.catalog
            .query('select * from trash where project_id = ? order by is_record, trash_id', projectId)
            .filter((row) => row.deleted_at === null || Number(row.deleted_at) <= due)
            .map((row) => ({ ...row, trashId: Number(row.trash_id) }) as Row & { readonly trashId: number })
            .filter((row) => row.is_record === 0 || ripe.has(row.trashId))
            .map(({ trashId, object_name }) => ({ trashId, projectId, objectName: String(object_name) }));
        },
      };
    },
  },
  {
    name: 'everything is deleted a second time',
    profile: 1,
    ledger: (real, world) => ({
      confirmTrash: async (items, nowAt) => {
        await real.confirmTrash(items, nowAt);
        for (const { trashId } of items) world.catalog.query('delete from trash where trash_id = ?', trashId);
      },
    }),
  },
  {
    name: 'what an earlier attempt stored is made durable before it is taken up',
    profile: 1,
    store: (store) => {
      store.ensureDurable = async () => undefined;
    },
  },
  {
    name: 'rows are entered before bytes are written',
    profile: 1,
    ledger: (_real, world) => {
      const kept = new Map<JobId, { claim: JobClaim; packs: PackLocation[] }>();
      return {
        reservePacks: async (claim, packs) => {
          kept.set(claim.jobId, { claim, packs: [...(kept.get(claim.jobId)?.packs ?? []), ...packs] });
        },
        commitBackup: (claim, commit, endedAt) =>
          atomically(world, async (ledger) => {
            await ledger.reservePacks(claim, kept.get(claim.jobId)?.packs ?? []);
            kept.delete(claim.jobId);
            await ledger.commitBackup(claim, commit, endedAt);
          }),
      };
    },
  },
  {
    name: 'the fence',
    profile: { weights: { backup: 8, 'full-backup': 2, delete: 2, prune: 4, 'take-over': 10 } },
    ledger: (real, world) => ({
      reservePacks: (claim, packs) =>
        atomically(world, async (ledger) => {
          const [job] = world.catalog.query('select status, attempt from jobs where job_id = ?', claim.jobId);
          if (!job) return ledger.reservePacks(claim, packs);
          const put = (status: SQLInputValue = null, attempt: SQLInputValue = null) =>
            world.catalog.query(
              'update jobs set status = ?, attempt = ? where job_id = ?',
              status,
              attempt,
              claim.jobId,
            );
          put('RUNNING', claim.attempt);
          await ledger.reservePacks(claim, packs);
          put(job.status, job.attempt);
        }),
      listOwnPacks: real.listOwnPacks.bind(real),
    }),
  },
  {
    name: 'an adopted project condemns nothing for a week',
    profile: 2,
    isScripted: true,
    ledger: (_real, world) => ({
      readQuarantine: async () => undefined,
      condemnSlots: (projectId, request, nowAt) =>
        atomically(world, (ledger) => {
          world.catalog.query('update projects set condemn_after = null');
          return ledger.condemnSlots(projectId, request, nowAt);
        }),
    }),
  },
];

function isAvailable({ catalog }: World, backupId: BackupId): boolean {
  const [row] = catalog.query('select status from backups where backup_id = ?', backupId);
  return row?.status === 'available';
}

/** Puts back whatever a commit would miss. */
function mendRows(world: World, claim: JobClaim, commit: Parameters<LedgerRecords['commitBackup']>[1]): void {
  const { catalog, projectId } = world;
  const { jobId } = claim;
  insert(world, 'attempts', {
    attempt_id: commit.attemptId,
    job_id: jobId,
    attempt: claim.attempt,
    backup_id: commit.backupId,
  });
  if (commit.parentId) insert(world, 'pins', { job_id: jobId, backup_id: commit.parentId });
  for (const packId of commit.usedPackIds) insert(world, 'uses', { job_id: jobId, pack_id: packId });
  for (const packId of commit.usedPackIds) catalog.query(`update packs set state = 'live' where pack_id = ?`, packId);
  for (const { packId } of commit.packs) {
    const stored = world.truth.versionsOf(packId)[0];
    if (!stored) continue;
    insert(world, 'packs', {
      pack_id: packId,
      project_id: projectId,
      kind: stored.kind,
      state: 'writing',
      job_id: jobId,
      object_id: stored.objectId,
      next_object_id: null,
      condemned: null,
      bad: null,
      is_closed: 0,
      slot_count: 0,
      stored_bytes: 0,
    });
    catalog.query(`update packs set state = 'writing' where pack_id = ? and state = 'retired'`, packId);
  }
}

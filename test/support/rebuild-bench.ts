// A repository with many small backups, and catalogs that are made anew from it.
import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { type BackupId, type JobId, newUuid, type VolumeId } from '../../src/core/ids.ts';
import { type Clock, silentLogger, systemClock } from '../../src/core/ports.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { Repository } from '../../src/engine/repository.ts';
import { restoreBackup } from '../../src/engine/restore-writer.ts';
import { type RebuiltCatalog, rebuildCatalog } from '../../src/services/catalog-rebuild.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type EngineBench, fileTarget, PASSPHRASE } from './engine-bench.ts';
import { fixedBytes } from './fixed-bytes.ts';

const KIB = 1024;
/** Nobody's password is at stake. */
const CHEAP_COST = { logN: 4, r: 1, p: 1 };

/** A disk of 70 MiB, so that pages are stored too, and some changes later; answers the backups and what they hold. */
export async function backUpVersions(bench: EngineBench, count: number): Promise<Map<BackupId, Buffer>> {
  const versions = new Map<BackupId, Buffer>();
  const disk = await bench.makeDisk('versions', 70 * KIB * KIB, [{ offsetBytes: 0, bytes: fixedBytes(1, 300 * KIB) }]);
  for (let i = 0; i < count; i += 1) {
    await using file = await open(disk, 'r+');
    await file.write(fixedBytes(100 + i, 70 * KIB), 0, 70 * KIB, (i * 7 + 1) * KIB * KIB);
    const { commit } = await bench.backUp(disk);
    versions.set(commit.backupId, await readFile(disk));
  }
  return versions;
}

/** Restores a backup through a catalog. */
export async function readThrough(
  bench: EngineBench,
  repository: Repository,
  catalog: Catalog,
  backupId: BackupId,
): Promise<Buffer> {
  const { projectId, volumeId } = bench;
  const job = { jobId: newUuid<JobId>(), projectId, kind: 'restore', createdAt: 0 } as const;
  const claim = await catalog.jobs.insertTaken(job, { runnerId: 'test', leaseUntil: Number.MAX_SAFE_INTEGER });
  const backup = await catalog.backups.get(projectId, backupId);
  assert(backup !== undefined);
  const path = bench.path(`restored-${backupId}`);
  await restoreBackup(repository, {
    claim,
    backupId,
    volumeId,
    target: await fileTarget(path, backup.sizeBytes, true),
    heldBackup: undefined,
    verify: true,
    zeroBeyond: false,
    report: () => undefined,
    signal: new AbortController().signal,
  });
  await catalog.jobs.end(claim, { status: 'SUCCESS' }, 0);
  return await readFile(path);
}

/** The repository on a catalog, as the service opens it. */
export async function openOn(bench: EngineBench, catalog: Catalog, clock: Clock = systemClock): Promise<Repository> {
  const { store, workers } = bench;
  return await Repository.open({ store, ledger: catalog.ledger, workers, clock, logger: silentLogger }, PASSPHRASE);
}

/** Backs up a small disk again and again: each of a volume of its own, some bytes new, some shared with all others. */
export async function fillRepository(bench: EngineBench, count: number): Promise<void> {
  const shared = fixedBytes(1, 128 * KIB);
  for (let i = 0; i < count; i += 1) {
    const path = await bench.makeDisk('many', 512 * KIB, [
      { offsetBytes: 0, bytes: shared },
      { offsetBytes: 256 * KIB, bytes: fixedBytes(i + 2, 100 * KIB) },
    ]);
    const isIncremental = i % 10 !== 0;
    if (!isIncremental) bench.volumeId = newUuid<VolumeId>();
    await bench.backUp(path, { isIncremental });
  }
}

export type RebuildOptions = {
  readonly store?: ObjectStore;
  readonly passphrase?: string;
  readonly signal?: AbortSignal;
};

export async function rebuild(
  bench: EngineBench,
  catalog: Catalog,
  { store = bench.store, passphrase = PASSPHRASE, signal }: RebuildOptions = {},
): Promise<RebuiltCatalog> {
  const deps = { store, catalog, workers: bench.workers, clock: systemClock, logger: silentLogger };
  const options = { passphrase, adminPassword: 'secret', passwordCost: CHEAP_COST };
  return await rebuildCatalog(deps, { ...options, signal: signal ?? new AbortController().signal });
}

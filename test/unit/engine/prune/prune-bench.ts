// What tests of prune start from: a bench whose deletions are swept, prunes in short words, and what must lie in the
// store when everything dead is gone.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { BackupId } from '../../../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../../../src/core/limits.ts';
import { epochName, packObjectName, projectKeyName, recordName } from '../../../../src/core/object-names.ts';
import { type PruneOptions, type PruneReport, runPrune } from '../../../../src/engine/prune/run-prune.ts';
import type { EngineBench } from '../../../support/engine-bench.ts';
import { fixedBytes } from '../../../support/fixed-bytes.ts';
import { listNames } from '../../../support/stored-objects.ts';

export const MIB = 1024 * 1024;
export const signal = new AbortController().signal;

export function prune(bench: EngineBench, options: PruneOptions = {}): Promise<PruneReport> {
  return runPrune(bench.repository, bench.projectId, options, signal);
}

/** Chunk `index` of the disk holds the bytes of `seed`. */
export function chunk(index: number, seed: number) {
  return { offsetBytes: index * CHUNK_SIZE_BYTES, bytes: fixedBytes(seed, CHUNK_SIZE_BYTES) };
}

/** A disk with `count` different chunks, those at `changed` with other contents than the first time. */
export function makeDisk(bench: EngineBench, name: string, count: number, changed: ReadonlyMap<number, number>) {
  const pieces = Array.from({ length: count }, (_, i) => chunk(i, changed.get(i) ?? 1000 + i));
  return bench.makeDisk(name, count * CHUNK_SIZE_BYTES, pieces);
}

export async function assertRestores(bench: EngineBench, backupId: BackupId, path: string): Promise<void> {
  const expected = await readFile(path);
  const restored = await bench.restore(backupId, 'restored', { readsZero: true, sizeBytes: expected.length });
  assert(expected.equals(await readFile(restored)), 'the restored disk differs');
}

/** Every object is named by a root or a live pack, and all of those are there. */
export async function assertNothingElseStored(
  bench: Pick<EngineBench, 'ledger' | 'projectId' | 'store'>,
): Promise<void> {
  const { ledger, projectId } = bench;
  const keys = (await ledger.listKeys()).flatMap(({ keyId, projectId: owner }) =>
    owner === projectId ? [projectKeyName(projectId, keyId)] : [],
  );
  const roots = await ledger.listRoots(projectId);
  const records = roots.map(({ backupId, attemptId }) => recordName(projectId, backupId, attemptId));
  const packs = (await ledger.listLivePacks(projectId, -1, 10_000)).map((pack) => packObjectName(projectId, pack));
  const expected = [epochName(projectId), ...keys, ...records, ...packs].sort();
  assert.deepEqual(await listNames(bench.store, `projects/${projectId}/`), expected);
}

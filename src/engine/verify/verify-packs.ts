// Verifies many packs, some at a time, and keeps what was found.
import type { Pace } from '../../core/background-pace.ts';
import { bitmapEnd } from '../../core/bitmap.ts';
import type { PackId } from '../../core/ids.ts';
import type { PackUse } from '../../core/ledger.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { type Damage, type PackVerdict, verifyPack } from './verify-pack.ts';

export type PackToVerify = PackUse & {
  readonly slotCount?: number;
  /** Absent: all of it. */
  readonly wanted?: Uint8Array | undefined;
  readonly trailerOnly?: boolean;
};

export type VerifyPacksOptions = {
  /** Of a run in the background, which has one read under way at a time; absent, it reads as fast as it can. */
  readonly pace?: Pace | undefined;
  readonly signal: AbortSignal;
  readonly done?: (pack: PackToVerify, verdict: PackVerdict | undefined) => void;
};

export type PacksVerdict = { readonly damage: Damage[]; readBytes: number; packCount: number };

/** Packs compacted just while they are read are looked up again this often. */
const TRY_MAX = 5;
/** One read from the store while another is opened, for each thread. */
const PACKS_PER_THREAD = 2;

/** @throws STORAGE_IO and others when the store as a whole does not answer; the signal's reason */
export async function verifyPacks(
  repository: Repository,
  project: OpenProject,
  packs: Iterable<PackToVerify>,
  options: VerifyPacksOptions,
): Promise<PacksVerdict> {
  const total: PacksVerdict = { damage: [], readBytes: 0, packCount: 0 };
  const queue = packs[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      options.signal.throwIfAborted();
      const verdict = await verifyCurrent(repository, project, next.value, options);
      if (verdict) {
        total.damage.push(...verdict.damage);
        total.readBytes += verdict.readBytes;
        total.packCount += 1;
      }
      options.done?.(next.value, verdict);
    }
  };
  const workerCount = options.pace ? 1 : repository.workers.threads.length * PACKS_PER_THREAD;
  const outcomes = await Promise.allSettled(Array.from({ length: workerCount }, work));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return total;
}

/** Verifies whichever object of the pack is current, and notes it. Undefined for a pack that is retired. */
async function verifyCurrent(
  repository: Repository,
  project: OpenProject,
  pack: PackToVerify,
  { pace, signal }: VerifyPacksOptions,
): Promise<PackVerdict | undefined> {
  const { ledger, logger } = repository;
  const { projectId } = project;
  const { wanted, slotCount, trailerOnly } = pack;
  let current: PackUse | undefined = pack;
  for (let i = 0; i < TRY_MAX && current; i += 1) {
    const verdict: PackVerdict | undefined = await verifyPack(repository, project, current, {
      ...{ wanted, slotCount, trailerOnly, pace, signal },
    });
    if (verdict && (await noteUnlessNew(repository, project, verdict))) {
      for (const damage of verdict.damage) logger.error({ projectId, ...damage }, 'damage was found in the repository');
      return verdict;
    }
    [current] = await ledger.locatePacks(projectId, [pack.packId]);
  }
  return undefined;
}

/** True when it was noted, or when the pack belongs to a job that has not committed yet: nothing is kept of it then. */
async function noteUnlessNew(
  { ledger }: Repository,
  { projectId }: OpenProject,
  { finding, packId, objectId }: PackVerdict,
): Promise<boolean> {
  if (await ledger.noteFinding(projectId, finding)) return true;
  const [row] = await ledger.locatePacks(projectId, [packId]);
  return row?.objectId === objectId;
}

/** Looks the rows up of all that was marked; a pack without a row is damage of its own. */
export async function locateMarked(
  { ledger }: Repository,
  { projectId }: OpenProject,
  marked: Iterable<readonly [PackId, Uint8Array]>,
): Promise<{ readonly packs: PackToVerify[]; readonly damage: Damage[] }> {
  const wantedOf = new Map(marked);
  const packs: PackToVerify[] = [];
  for (const row of await ledger.locatePacks(projectId, [...wantedOf.keys()])) {
    const wanted = wantedOf.get(row.packId);
    packs.push({ ...row, wanted, slotCount: bitmapEnd(wanted) });
    wantedOf.delete(row.packId);
  }
  const damage = [...wantedOf].map(([packId]) => {
    const reason = 'a manifest refers to it, and the catalog has no row of it';
    return { packId, objectName: `pack ${packId}`, offsetBytes: 0, slots: [], reason };
  });
  return { packs, damage };
}

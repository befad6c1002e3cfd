// Stored versions of packs that no row names though their packs are live: left by a catalog that was lost while it
// compacted or repaired (src/engine/README.md, "Spare versions"). Nobody reads them; but what a spare holds must be
// known to be elsewhere before it goes.
import { bitmapHas } from '../../core/bitmap.ts';
import { packObjectName, packObjectOf, type StoredPack } from '../../core/object-names.ts';
import { DIGEST_SIZE_BYTES } from '../format/pack-format.ts';
import { type PackIndex, readPackIndex } from '../pack/pack-index.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';
import { markDamagedBackups } from '../verify/damaged-backups.ts';
import { type PackToVerify, type VerifyPacksOptions, verifyPacks } from '../verify/verify-packs.ts';

/**
 * True when the object was a spare, and is in the trash now.
 * @throws STORAGE_IO, CATALOG_UNAVAILABLE, the signal's reason
 */
export async function retireIfSpare(
  repository: Repository,
  project: OpenProject,
  objectName: string,
  options: Pick<VerifyPacksOptions, 'pace' | 'signal'>,
): Promise<boolean> {
  const { ledger, clock } = repository;
  const { projectId } = project;
  const spare = packObjectOf(projectId, objectName);
  if (!spare) return false;
  const [pack] = await ledger.locatePacks(projectId, [spare.packId]);
  if (!pack || pack.kind !== spare.kind) return false;
  const held = await tryIndex(repository, project, spare);
  const current = await tryIndex(repository, project, pack);
  if (!held || !current || !holdsAllOf(current, pack.condemned, held)) return false;
  // One of the two must be there after a power cut too.
  if (!(await isDurable(repository, packObjectName(projectId, pack)))) return false;
  if (!(await isSound(repository, project, { ...pack, slotCount: current.slotCount }, options))) return false;
  return await ledger.retireSpare(projectId, spare, pack.objectId, clock.now());
}

/** Every slot of the spare is in the current object, with the same content, or will never be needed again. */
export function holdsAllOf(current: PackIndex, condemned: Uint8Array | null, spare: PackIndex): boolean {
  const found = new Map<number, Buffer>();
  current.forEachDigest((slot, digests, at) => found.set(slot, digests.subarray(at, at + DIGEST_SIZE_BYTES)));
  let isHeld = true;
  spare.forEachDigest((slot, digests, at) => {
    const isSame = found.get(slot)?.equals(digests.subarray(at, at + DIGEST_SIZE_BYTES)) === true;
    if (!isSame && !bitmapHas(condemned, slot)) isHeld = false;
  });
  return isHeld;
}

/**
 * Reads all of the current version. When it was read before is nothing to go by: a catalog that was put back says so of
 * a version that was found damaged since, and the spare may be what it was repaired to.
 */
async function isSound(
  repository: Repository,
  project: OpenProject,
  pack: PackToVerify,
  { pace, signal }: Pick<VerifyPacksOptions, 'pace' | 'signal'>,
): Promise<boolean> {
  const { damage } = await verifyPacks(repository, project, [pack], { pace, signal });
  if (damage.length > 0) await markDamagedBackups(repository, project, signal);
  return damage.length === 0;
}

/** From the store, whatever is in memory. Undefined when it cannot be read: such an object is only reported. */
async function tryIndex({ store }: Repository, project: OpenProject, pack: StoredPack): Promise<PackIndex | undefined> {
  try {
    return await readTwice(() => readPackIndex(store, project.keys, project, pack));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/** False also when it was replaced meanwhile: the next prune looks again. */
async function isDurable({ store }: Repository, objectName: string): Promise<boolean> {
  try {
    await store.ensureDurable(objectName);
    return true;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return false;
  }
}

// A pack whose trailer or header is damaged: its frames say in the clear where they begin and which slots they hold,
// and each is authentic or not (docs/repository-format.md). What can be opened gets a new trailer.
import type { PackUse } from '../../core/ledger.ts';
import { PACK_TARGET_BYTES, TRAILER_SIZE_MAX_BYTES } from '../../core/limits.ts';
import { packObjectName } from '../../core/object-names.ts';
import { deriveObjectKey } from '../crypto/sealing.ts';
import { encodeHeader, HEADER_SIZE_BYTES, parseHeader, saltOf } from '../format/object-header.ts';
import { PackIndex } from '../pack/pack-index.ts';
import { pickLeastLoaded } from '../pipeline/worker-pool.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';

/** Packs end at about PACK_TARGET_BYTES; a segment under way and the trailer come on top. */
const OBJECT_MAX_BYTES = 2 * PACK_TARGET_BYTES + TRAILER_SIZE_MAX_BYTES;

/** Undefined when nothing of the object can be opened. */
export async function rebuildIndex(
  repository: Repository,
  project: OpenProject,
  pack: PackUse,
): Promise<PackIndex | undefined> {
  const objectName = packObjectName(project.projectId, pack);
  const { store, workers } = repository;
  let bytes: Buffer;
  try {
    bytes = await readTwice(() => store.get(objectName, OBJECT_MAX_BYTES));
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
  const storedBytes = bytes.length;
  for (const { header, key } of candidateKeys(project, pack, bytes)) {
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    const thread = pickLeastLoaded(workers.threads);
    const request = { type: 'find-frames', kind: pack.kind, objectName, header, key, bytes: copy } as const;
    const { frames } = await thread.call(request, [copy.buffer as ArrayBuffer]);
    if (frames.length === 0) continue;
    const trailer = {
      frames: frames.map(({ entry }) => entry),
      digests: Buffer.concat(frames.map(({ digests }) => digests)),
      lengths: pack.kind === 'page' ? Uint32Array.from(frames.flatMap(({ lengths }) => lengths)) : undefined,
    };
    return new PackIndex({ location: pack, objectName, header, key, storedBytes }, trailer);
  }
  return undefined;
}

/** The header as it is, and, since all of it but the salt is known, as it must have been under each of the keys. */
function candidateKeys(project: OpenProject, pack: PackUse, bytes: Buffer): { header: Buffer; key: Buffer }[] {
  if (bytes.length < HEADER_SIZE_BYTES) return [];
  const { repositoryId, projectId, keys } = project;
  const place = { repositoryId, projectId, kind: pack.kind, logicalId: pack.packId, objectId: pack.objectId };
  const salt = saltOf(bytes);
  return [...keys.keys].map(([keyId, projectKey]) => {
    const header = encodeHeader(pack.kind, keyId, salt);
    return { header, key: deriveObjectKey(projectKey, parseHeader(header, pack.kind, 'header').salt, place) };
  });
}

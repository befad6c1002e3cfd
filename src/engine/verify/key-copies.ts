// Wrapped keys are kept twice, in the catalog and in the store: where one copy is lost or altered, the other one is put
// in its place. Without a key all that it sealed is lost.
import type { KeyId } from '../../core/ids.ts';
import type { WrappedKeyRow } from '../../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../../core/limits.ts';
import { masterKeyName, projectKeyName } from '../../core/object-names.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';

export type KeyGap = { readonly keyId: KeyId; readonly objectName: string; readonly reason: string };

/** Keys of the repository and of the project whose copy in the store is not what the catalog has. @throws STORAGE_IO */
export async function findKeyGaps({ ledger, store }: Repository, { projectId }: OpenProject): Promise<KeyGap[]> {
  const gaps: KeyGap[] = [];
  for (const row of await ledger.listKeys()) {
    if (row.projectId !== null && row.projectId !== projectId) continue;
    const objectName = nameOf(row);
    const reason = await compare(store, objectName, row.wrapped);
    if (reason !== undefined) gaps.push({ keyId: row.keyId, objectName, reason });
  }
  return gaps;
}

/**
 * Writes the catalog's copies over those in the store. The repository is open, so the catalog's copies are known to
 * open; should the catalog's be lost, the program does not start, and that is a matter of putting the catalog back.
 */
export async function mendKeys(repository: Repository, project: OpenProject): Promise<KeyGap[]> {
  const gaps = await findKeyGaps(repository, project);
  const rows = new Map((await repository.ledger.listKeys()).map((row) => [row.keyId, row]));
  for (const { keyId, objectName } of gaps) {
    const row = rows.get(keyId);
    if (row) await repository.store.replace(objectName, row.wrapped);
  }
  return gaps;
}

function nameOf({ keyId, projectId }: WrappedKeyRow): string {
  return projectId === null ? masterKeyName(keyId) : projectKeyName(projectId, keyId);
}

async function compare(
  store: Repository['store'],
  objectName: string,
  wrapped: Uint8Array,
): Promise<string | undefined> {
  try {
    if (!(await readTwice(() => store.head(objectName)))) return 'it is missing';
    const bytes = await readTwice(() => store.get(objectName, RECORD_SIZE_MAX_BYTES));
    return bytes.equals(wrapped) ? undefined : 'it is not what the catalog has';
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

// The keys of a project, from the store into an empty catalog.
import type { KeyId, ProjectId } from '../../core/ids.ts';
import type { KeyLedger, RebuildLedger, WrappedKeyRow } from '../../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../../core/limits.ts';
import { projectKeyName } from '../../core/object-names.ts';
import { createProjectKey } from '../crypto/wrapped-key.ts';
import { openProjectRow } from '../key-ring.ts';
import type { StoredRepository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';
import type { StoredProject } from './stored-project.ts';

export type RecoveredKeys = {
  /** Keys that open, and that the catalog has now. */
  readonly keyCount: number;
  readonly unreadable: readonly { readonly keyId: KeyId; readonly reason: string }[];
};

/**
 * Enters the keys of a project that the catalog does not have. Which of several was for writing, only the lost catalog
 * knew, and one of them may have been replaced since it leaked: a fresh one is drawn to write with.
 */
export async function recoverProjectKeys(
  { repository, ring, masterKey }: StoredRepository,
  ledger: KeyLedger & RebuildLedger,
  { projectId, keyIds }: Pick<StoredProject, 'projectId' | 'keyIds'>,
): Promise<RecoveredKeys> {
  const known = new Set((await ledger.listKeys()).map(({ keyId }) => keyId));
  const found: WrappedKeyRow[] = [];
  const unreadable: { keyId: KeyId; reason: string }[] = [];
  for (const keyId of keyIds) {
    try {
      const wrapped = await readTwice(() => readKey(repository, projectId, keyId));
      openProjectRow(ring, projectId, { keyId, projectId, wrapped });
      found.push({ keyId, projectId, wrapped });
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      unreadable.push({ keyId, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  const missing = found.filter(({ keyId }) => !known.has(keyId));
  if (missing.length > 0) {
    const fresh =
      keyIds.length > 1 ? [{ ...createProjectKey(masterKey, ring.repositoryId, projectId), projectId }] : [];
    await ledger.enterKeys([...missing, ...fresh.map(({ keyId, wrapped }) => ({ keyId, projectId, wrapped }))]);
  }
  return { keyCount: found.length, unreadable };
}

function readKey({ store }: StoredRepository['repository'], projectId: ProjectId, keyId: KeyId): Promise<Buffer> {
  return store.get(projectKeyName(projectId, keyId), RECORD_SIZE_MAX_BYTES);
}

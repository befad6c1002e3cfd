// The master keys that a passphrase opens, and the keys below them. There is one master key, wrapped once for each
// passphrase; while it is being replaced there are two, and everything opens with either.
// Source: docs/repository-format.md, "Keys".
import { isVbsError, VbsError } from '../core/errors.ts';
import type { KeyId, ProjectId, RepositoryId } from '../core/ids.ts';
import type { WrappedKeyRow } from '../core/ledger.ts';
import { masterKeyName, projectKeyName } from '../core/object-names.ts';
import { openMasterKey, openProjectKey } from './crypto/wrapped-key.ts';

export type OpenMasterKey = { readonly keyId: KeyId; readonly masterKey: Buffer };

export type KeyRing = {
  readonly repositoryId: RepositoryId;
  /** At least one; in the order in which they were saved, so a new one comes last. */
  readonly masterKeys: readonly OpenMasterKey[];
};

/** @throws PASSPHRASE_WRONG when it opens none of the rows; DATA_CORRUPT when none can even be read */
export async function openKeyRing(passphrase: string, masterRows: readonly WrappedKeyRow[]): Promise<KeyRing> {
  const masterKeys: OpenMasterKey[] = [];
  let repositoryId: RepositoryId | undefined;
  let failure: unknown;
  for (const { keyId, wrapped } of masterRows) {
    try {
      const opened = await openMasterKey(passphrase, wrapped, masterKeyName(keyId));
      repositoryId ??= opened.repositoryId;
      masterKeys.push({ keyId, masterKey: opened.masterKey });
    } catch (error) {
      if (!isVbsError(error, 'PASSPHRASE_WRONG') && !isVbsError(error, 'DATA_CORRUPT')) throw error;
      // A wrong passphrase says more than a damaged key beside it.
      if (failure === undefined || isVbsError(error, 'PASSPHRASE_WRONG')) failure = error;
    }
  }
  if (repositoryId === undefined) throw failure ?? new VbsError('PASSPHRASE_WRONG');
  return { repositoryId, masterKeys };
}

/** @throws DATA_CORRUPT unless it is a key of this project of this repository, under one of the master keys */
export function openProjectRow(
  { repositoryId, masterKeys }: KeyRing,
  projectId: ProjectId,
  { keyId, wrapped }: WrappedKeyRow,
): Buffer {
  const place = { repositoryId, projectId, object: projectKeyName(projectId, keyId) };
  let failure: unknown;
  for (const { masterKey } of masterKeys) {
    try {
      return openProjectKey(masterKey, wrapped, place).projectKey;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

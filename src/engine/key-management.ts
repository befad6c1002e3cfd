// Passphrases and keys of a repository that nobody serves meanwhile: added, removed, replaced, destroyed. Each step is
// durable before the next and all may run again, so that a crash anywhere leaves a repository that opens.
// Source: docs/repository-format.md, "Keys".
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import type { KeyId, ProjectId } from '../core/ids.ts';
import type { DestructionOutcome, KeyLedger, WrappedKeyRow } from '../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { CONFIG_NAME, masterKeyName, projectKeyName, projectPrefix } from '../core/object-names.ts';
import type { Clock } from '../core/ports.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { createProjectKey, KEY_SIZE_BYTES, wrapMasterKey, wrapProjectKey } from './crypto/wrapped-key.ts';
import { type KeyRing, type OpenMasterKey, openKeyRing, openProjectRow } from './key-ring.ts';
import { checkConfig, encodeConfig } from './repository.ts';

const DELETE_BATCH_COUNT = 1000;

export type KeyPlaces = { readonly store: ObjectStore; readonly ledger: KeyLedger };

/** One passphrase's wrapping of the master key. */
export type PassphraseKey = { readonly keyId: KeyId; readonly isOpened: boolean; readonly isInStore: boolean };

type OpenKeys = {
  readonly ring: KeyRing;
  /** What config is authenticated with. */
  readonly current: Buffer;
  readonly masterRows: readonly WrappedKeyRow[];
  readonly projectRows: readonly WrappedKeyRow[];
};

/** @throws PASSPHRASE_WRONG, REPOSITORY_MISMATCH, DATA_CORRUPT, OBJECT_NOT_FOUND */
async function openKeys({ store, ledger }: KeyPlaces, passphrase: string): Promise<OpenKeys> {
  const rows = await ledger.listKeys();
  const masterRows = rows.filter(({ projectId }) => projectId === null);
  const ring = await openKeyRing(passphrase, masterRows);
  const current = await checkConfig(store, ring);
  return { ring, current, masterRows, projectRows: rows.filter(({ projectId }) => projectId !== null) };
}

/** Every passphrase's key, and which of them the given one opens. */
export async function listPassphrases(places: KeyPlaces, passphrase: string): Promise<PassphraseKey[]> {
  const { ring, masterRows } = await openKeys(places, passphrase);
  const keys: PassphraseKey[] = [];
  for (const { keyId } of masterRows) {
    const isOpened = ring.masterKeys.some((opened) => opened.keyId === keyId);
    keys.push({ keyId, isOpened, isInStore: (await places.store.head(masterKeyName(keyId))) !== undefined });
  }
  return keys;
}

/** Lets another passphrase open the repository too. */
export async function addPassphrase(places: KeyPlaces, passphrase: string, added: string): Promise<KeyId> {
  const { ring, current } = await openKeys(places, passphrase);
  return await saveMasterKey(places, ring, current, added);
}

/**
 * Replaces one passphrase by another. The new key is written and read back before the old one goes. Whoever has a copy
 * of the old key and the old passphrase still has the master key: only `rotateKeys` helps against that.
 */
export async function changePassphrase(
  places: KeyPlaces,
  passphrase: string,
  changed: string,
  /** Called while both passphrases open the repository: whoever must know the new one learns it here. */
  onBothOpen: () => Promise<void> = async () => undefined,
): Promise<KeyId> {
  const { ring, current } = await openKeys(places, passphrase);
  const keyId = await saveMasterKey(places, ring, current, changed);
  await onBothOpen();
  await dropMasterKeys(
    places,
    ring.masterKeys.map((opened) => opened.keyId),
  );
  return keyId;
}

/** @throws KEY_NOT_FOUND; KEY_LAST when nothing else would open the repository */
export async function removePassphrase(places: KeyPlaces, passphrase: string, keyId: KeyId): Promise<void> {
  const { masterRows } = await openKeys(places, passphrase);
  if (!masterRows.some((row) => row.keyId === keyId)) throw new VbsError('KEY_NOT_FOUND', { keyId });
  if (masterRows.length === 1) throw new VbsError('KEY_LAST', { keyId });
  await dropMasterKeys(places, [keyId]);
}

export type RotatedKeys = { readonly keyId: KeyId; readonly projectCount: number };

/**
 * A new master key, every project key wrapped by it, and a new project key for whatever each project writes from now
 * on. What is stored already keeps its keys. Only the passphrase given opens the repository afterwards: the others
 * would have to be known. They must be removed first, so that nobody is locked out by surprise.
 * A rotation that was cut short is completed by the next one.
 * @throws KEYS_OTHERS_EXIST
 */
export async function rotateKeys(places: KeyPlaces, passphrase: string): Promise<RotatedKeys> {
  const { store } = places;
  const { ring, current, masterRows, projectRows } = await openKeys(places, passphrase);
  const others = masterRows.filter(({ keyId }) => !ring.masterKeys.some((opened) => opened.keyId === keyId));
  if (others.length > 0) {
    throw new VbsError('KEYS_OTHERS_EXIST', { keyIds: others.map(({ keyId }) => keyId).join(', ') });
  }
  const next =
    (await resumeRotation(places, ring, current, masterRows)) ?? (await drawMasterKey(places, ring, passphrase));
  const { repositoryId } = ring;
  const whole: KeyRing = { repositoryId, masterKeys: [...ring.masterKeys, next] };
  for (const row of projectRows) await rewrapProjectKey(places, whole, row, next.masterKey);
  const projectIds = new Set(projectRows.flatMap(({ projectId }) => (projectId === null ? [] : [projectId])));
  for (const projectId of projectIds) {
    const created = createProjectKey(next.masterKey, repositoryId, projectId);
    await saveProjectKey(places, { ...created, projectId });
  }
  await store.replace(CONFIG_NAME, encodeConfig(repositoryId, next.masterKey));
  await checkConfig(store, { repositoryId, masterKeys: [next] });
  const oldIds = ring.masterKeys.map(({ keyId }) => keyId).filter((keyId) => keyId !== next.keyId);
  await dropMasterKeys(places, oldIds);
  return { keyId: next.keyId, projectCount: projectIds.size };
}

/** The new master key of a rotation that ended before config named it: the last one saved, where there are several. */
async function resumeRotation(
  { store }: KeyPlaces,
  { masterKeys }: KeyRing,
  current: Buffer,
  rows: readonly WrappedKeyRow[],
): Promise<OpenMasterKey | undefined> {
  const last = masterKeys.at(-1);
  const row = rows.find(({ keyId }) => keyId === last?.keyId);
  // Named already, or never drawn: then what is left over of an earlier rotation are old keys.
  if (last === undefined || row === undefined || last.masterKey.equals(current)) return undefined;
  // It may have ended before the key was in the store.
  await store.replace(masterKeyName(last.keyId), row.wrapped);
  return last;
}

async function drawMasterKey(places: KeyPlaces, ring: KeyRing, passphrase: string): Promise<OpenMasterKey> {
  const masterKey = randomBytes(KEY_SIZE_BYTES);
  const keyId = await saveMasterKey(places, ring, masterKey, passphrase);
  return { keyId, masterKey };
}

/** In both places, and read back from both with the passphrase. */
async function saveMasterKey(
  { store, ledger }: KeyPlaces,
  { repositoryId }: KeyRing,
  masterKey: Buffer,
  passphrase: string,
): Promise<KeyId> {
  const { keyId, wrapped } = await wrapMasterKey(masterKey, passphrase, repositoryId);
  await ledger.saveKey({ keyId, projectId: null, wrapped });
  await store.replace(masterKeyName(keyId), wrapped);
  const stored = await store.get(masterKeyName(keyId), RECORD_SIZE_MAX_BYTES);
  const kept = (await ledger.listKeys()).find((row) => row.keyId === keyId)?.wrapped ?? Buffer.alloc(0);
  for (const copy of [stored, kept]) await openKeyRing(passphrase, [{ keyId, projectId: null, wrapped: copy }]);
  return keyId;
}

/** From the store first: a row without an object is noticed and can be dropped again; not the other way round. */
async function dropMasterKeys({ store, ledger }: KeyPlaces, keyIds: readonly KeyId[]): Promise<void> {
  await store.delete(keyIds.map(masterKeyName));
  await ledger.deleteKeys(keyIds);
}

async function rewrapProjectKey(
  places: KeyPlaces,
  ring: KeyRing,
  row: WrappedKeyRow,
  masterKey: Buffer,
): Promise<void> {
  const { keyId, projectId } = row;
  if (projectId === null) return;
  const projectKey = openProjectRow(ring, projectId, row);
  const wrapped = wrapProjectKey(projectKey, masterKey, { keyId, repositoryId: ring.repositoryId, projectId });
  await saveProjectKey(places, { keyId, projectId, wrapped });
}

async function saveProjectKey(
  { store, ledger }: KeyPlaces,
  { keyId, projectId, wrapped }: { keyId: KeyId; projectId: ProjectId; wrapped: Buffer },
): Promise<void> {
  await ledger.saveKey({ keyId, projectId, wrapped });
  await store.replace(projectKeyName(projectId, keyId), wrapped);
}

/** The catalog's part in the destruction of a project. */
export type DestructionLedger = Pick<KeyLedger, 'listKeys'> & {
  forgetProject(projectId: ProjectId, deletedAt: number): Promise<DestructionOutcome>;
};

export type DestroyedProject = {
  readonly backupCount: number;
  readonly keyCount: number;
  readonly objectCount: number;
};

/**
 * Destroys every key of a project in both places, and with them all that it ever stored; then its objects. What keeps
 * old versions by itself (snapshots of a file system, mirrors, copies of the catalog, a write-ahead log) is out of
 * reach from here: the caller must say so. What was cut short is completed by the next call.
 * @throws PROJECT_JOBS_OPEN; PROJECT_KEYS_REMAIN when a listing still finds a key
 */
export async function destroyProject(
  { store, ledger, clock }: { readonly store: ObjectStore; readonly ledger: DestructionLedger; readonly clock: Clock },
  projectId: ProjectId,
): Promise<DestroyedProject> {
  const keysFolder = `${projectPrefix(projectId)}keys/`;
  const outcome = await ledger.forgetProject(projectId, clock.now());
  if ('openJobCount' in outcome) throw new VbsError('PROJECT_JOBS_OPEN', { projectId, count: outcome.openJobCount });
  const keyNames = await listNames(store, keysFolder);
  await store.delete(keyNames);
  const left = await listNames(store, keysFolder);
  const kept = (await ledger.listKeys()).filter((row) => row.projectId === projectId);
  if (left.length > 0 || kept.length > 0) {
    const reason = `${left.length} in the store, ${kept.length} in the catalog`;
    throw new VbsError('PROJECT_KEYS_REMAIN', { projectId, reason });
  }
  const names = await listNames(store, projectPrefix(projectId));
  for (let i = 0; i < names.length; i += DELETE_BATCH_COUNT) await store.delete(names.slice(i, i + DELETE_BATCH_COUNT));
  return { backupCount: outcome.backupCount, keyCount: keyNames.length, objectCount: names.length };
}

async function listNames(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}

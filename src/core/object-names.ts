// Names of objects in the repository (docs/repository-format.md). The catalog puts such names in its trash and the
// engine writes under them: both take them from here, so that nothing is ever deleted under a name that was never
// written.
import {
  type AttemptId,
  type BackupId,
  type KeyId,
  type ObjectId,
  type PackId,
  type ProjectId,
  parseUuid,
} from './ids.ts';

/** Format version, repository id and MAC. */
export const CONFIG_NAME = 'config';
export const MASTER_KEY_PREFIX = 'keys/';

type StoredPack = { readonly packId: PackId; readonly kind: 'data' | 'page'; readonly objectId: ObjectId };

/** Begins every object of a project. */
export function projectPrefix(projectId: ProjectId): string {
  return `projects/${projectId}/`;
}

/** One stored version of a pack: `projects/<project>/packs|pages/<xx>/<pack>.<object>`. */
export function packObjectName(projectId: ProjectId, pack: StoredPack): string {
  const folder = pack.kind === 'data' ? 'packs' : 'pages';
  return `${projectPrefix(projectId)}${folder}/${pack.packId.slice(0, 2)}/${pack.packId}.${pack.objectId}`;
}

/** The pack that an object of the project is a version of; undefined for anything but a pack. */
export function packIdOf(projectId: ProjectId, objectName: string): PackId | undefined {
  const prefix = projectPrefix(projectId);
  const rest = objectName.startsWith(prefix) ? objectName.slice(prefix.length) : '';
  const [, packId] = /^(?:packs|pages)\/[0-9a-f]{2}\/([^./]+)\.[^./]+$/.exec(rest) ?? [];
  return packId === undefined ? undefined : parseUuid<PackId>(packId);
}

/** The record that one attempt writes; it is never replaced. */
export function recordName(projectId: ProjectId, backupId: BackupId, attemptId: AttemptId): string {
  return `${recordPrefix(projectId)}${backupId}.${attemptId}`;
}

export function recordPrefix(projectId: ProjectId): string {
  return `${projectPrefix(projectId)}backups/`;
}

export function epochName(projectId: ProjectId): string {
  return `${projectPrefix(projectId)}epoch`;
}

export function projectKeyName(projectId: ProjectId, keyId: KeyId): string {
  return `${projectPrefix(projectId)}keys/${keyId}`;
}

export function masterKeyName(keyId: KeyId): string {
  return `${MASTER_KEY_PREFIX}${keyId}`;
}

export function labelName(projectId: ProjectId, backupId: BackupId): string {
  return `${projectPrefix(projectId)}labels/${backupId}`;
}

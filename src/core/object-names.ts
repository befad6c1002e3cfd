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

export type StoredPack = { readonly packId: PackId; readonly kind: 'data' | 'page'; readonly objectId: ObjectId };

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

/** The stored version of a pack that a name of the project stands for; undefined for anything but a pack. */
export function packObjectOf(projectId: ProjectId, objectName: string): StoredPack | undefined {
  const prefix = projectPrefix(projectId);
  const rest = objectName.startsWith(prefix) ? objectName.slice(prefix.length) : '';
  const [, folder, packText, objectText] = /^(packs|pages)\/[0-9a-f]{2}\/([^./]+)\.([^./]+)$/.exec(rest) ?? [];
  const packId = parseUuid<PackId>(packText ?? '');
  const objectId = parseUuid<ObjectId>(objectText ?? '');
  if (packId === undefined || objectId === undefined) return undefined;
  return { packId, kind: folder === 'packs' ? 'data' : 'page', objectId };
}

/** Where all versions of a pack stand. */
export function packFolder(projectId: ProjectId, pack: Pick<StoredPack, 'packId' | 'kind'>): string {
  return `${projectPrefix(projectId)}${pack.kind === 'data' ? 'packs' : 'pages'}/${pack.packId.slice(0, 2)}/`;
}

/** The record that one attempt writes; it is never replaced. */
export function recordName(projectId: ProjectId, backupId: BackupId, attemptId: AttemptId): string {
  return `${recordPrefix(projectId)}${backupId}.${attemptId}`;
}

/** The backup and attempt that the name of a record tells; undefined for anything but a record. */
export function recordOf(
  projectId: ProjectId,
  objectName: string,
): { backupId: BackupId; attemptId: AttemptId } | undefined {
  const prefix = recordPrefix(projectId);
  const rest = objectName.startsWith(prefix) ? objectName.slice(prefix.length) : '';
  const [backupText, attemptText, ...others] = rest.split('.');
  const backupId = parseUuid<BackupId>(backupText ?? '');
  const attemptId = parseUuid<AttemptId>(attemptText ?? '');
  return backupId && attemptId && others.length === 0 ? { backupId, attemptId } : undefined;
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

export function labelPrefix(projectId: ProjectId): string {
  return `${projectPrefix(projectId)}labels/`;
}

/** The backup whose label an object of the project is; undefined for anything else. */
export function labelOf(projectId: ProjectId, objectName: string): BackupId | undefined {
  const prefix = labelPrefix(projectId);
  return objectName.startsWith(prefix) ? parseUuid<BackupId>(objectName.slice(prefix.length)) : undefined;
}

/** Name and description of the project itself. */
export function projectLabelName(projectId: ProjectId): string {
  return `${labelPrefix(projectId)}project`;
}

// What a listing shows of each project in the store: keys, packs by their stored versions, records.
import { type KeyId, type PackId, type ProjectId, parseHexId, parseUuid } from '../../core/ids.ts';
import type { PackKind, RecordRef } from '../../core/ledger.ts';
import { packObjectOf, projectPrefix, recordOf, type StoredPack } from '../../core/object-names.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

export type StoredVersion = StoredPack & { readonly sizeBytes: number };

export type StoredProject = {
  readonly projectId: ProjectId;
  readonly keyIds: KeyId[];
  /** All stored versions of each pack. */
  readonly packs: Readonly<Record<PackKind, Map<PackId, StoredVersion[]>>>;
  readonly records: RecordRef[];
};

/** Projects by id; names that are none of the format's are passed over. */
export async function listStoredProjects(store: ObjectStore, signal: AbortSignal): Promise<StoredProject[]> {
  const projects = new Map<ProjectId, StoredProject>();
  for await (const { name, sizeBytes } of store.list('projects/', signal)) {
    const projectId = parseHexId<ProjectId>(name.split('/')[1] ?? '');
    if (!projectId) continue;
    const project = projects.get(projectId) ?? emptyProject(projectId);
    projects.set(projectId, project);
    addObject(project, name, sizeBytes);
  }
  return [...projects.values()];
}

function emptyProject(projectId: ProjectId): StoredProject {
  return { projectId, keyIds: [], packs: { data: new Map(), page: new Map() }, records: [] };
}

function addObject({ projectId, keyIds, packs, records }: StoredProject, name: string, sizeBytes: number): void {
  const version = packObjectOf(projectId, name);
  if (version) {
    const versions = packs[version.kind].get(version.packId) ?? [];
    versions.push({ ...version, sizeBytes });
    packs[version.kind].set(version.packId, versions);
    return;
  }
  const record = recordOf(projectId, name);
  if (record) records.push(record);
  const keysPrefix = `${projectPrefix(projectId)}keys/`;
  const keyId = name.startsWith(keysPrefix) ? parseUuid<KeyId>(name.slice(keysPrefix.length)) : undefined;
  if (keyId) keyIds.push(keyId);
}

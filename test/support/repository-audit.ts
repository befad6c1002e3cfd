// Compares the files of a repository with the catalog, by reading both from outside: what is stored and unknown would
// never be given back, what is known and missing is a backup lost.
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export type RepositoryAudit = {
  /** Stored, but no row names them. */
  readonly unknownNames: string[];
  /** Named by rows of committed data, but not stored. */
  readonly missingNames: string[];
  /** In the trash and still stored. */
  readonly trashedNames: string[];
};

type Row = Record<string, string | number | null | Uint8Array>;

/** Every row of every table, for comparing before and after. The service may be running. */
export function dumpCatalog(dataFolder: string): Record<string, unknown[]> {
  return withCatalog(dataFolder, (query) => {
    const tables = query(`select name from sqlite_master where type = 'table' order by name`);
    return Object.fromEntries(tables.map(({ name }) => [String(name), query(`select * from "${name}"`)]));
  });
}

/** To be called when no job is running. */
export async function auditRepository(dataFolder: string): Promise<RepositoryAudit> {
  const root = join(dataFolder, 'repository');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const stored = new Set(files.map((entry) => relative(root, join(entry.parentPath, entry.name))));
  const { required, permitted, trashed } = withCatalog(dataFolder, readNames);
  return {
    unknownNames: [...stored].filter((name) => !permitted.has(name) && !trashed.has(name)),
    missingNames: [...required].filter((name) => !stored.has(name)),
    trashedNames: [...trashed].filter((name) => stored.has(name)),
  };
}

/** The names, spelled out here anew: a mistake in the program's own naming must show. */
function readNames(query: (sql: string) => Row[]) {
  const permitted = new Set(['config']);
  const required = new Set(['config']);
  const add = (name: string): unknown => required.add(name) && permitted.add(name);
  for (const { project_id, key_id } of query('select project_id, key_id from keys')) {
    add(project_id === null ? `keys/${key_id}` : `projects/${project_id}/keys/${key_id}`);
  }
  for (const { project_id } of query('select project_id from projects where epoch is not null')) {
    add(`projects/${project_id}/epoch`);
    permitted.add(`projects/${project_id}/labels/project`);
  }
  for (const { project_id, pack_id, object_id, kind, state } of query('select * from packs')) {
    const folder = kind === 'data' ? 'packs' : 'pages';
    const name = `projects/${project_id}/${folder}/${String(pack_id).slice(0, 2)}/${pack_id}.${object_id}`;
    permitted.add(name);
    if (state === 'live') required.add(name);
  }
  for (const backup of query('select * from backups where attempt_id is not null and deleted_at is null')) {
    // An imported backup stands on the record of another one.
    const recordOf = backup.record_backup_id ?? backup.backup_id;
    permitted.add(`projects/${backup.project_id}/labels/${backup.backup_id}`);
    add(`projects/${backup.project_id}/backups/${recordOf}.${backup.attempt_id}`);
  }
  const trashed = new Set(query('select object_name from trash').map((row) => String(row.object_name)));
  return { required, permitted, trashed };
}

function withCatalog<Result>(dataFolder: string, read: (query: (sql: string) => Row[]) => Result): Result {
  const database = new DatabaseSync(join(dataFolder, 'catalog.sqlite'), { readOnly: true, timeout: 5000 });
  try {
    // The cast names the types of SQLite's values.
    return read((sql) => database.prepare(sql).all() as Row[]);
  } finally {
    database.close();
  }
}

// The embedded catalog: a SQLite file in the data folder, for one process at a time (folder-lock.ts sees to that).
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Kysely, type SqlBool, sql } from 'kysely';
import type { Capabilities, OpenedDatabase } from './database.ts';
import { NodeSqliteDialect } from './node-sqlite.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { describeFault, isForeignKeyViolation, isUniqueViolation, toCatalogError } from './sqlite-errors.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { Tables } from './tables.ts';

export const sqliteCapabilities: Capabilities = {
  isSingleProcess: true,
  // SQLite compares text by bytes unless told otherwise.
  textType: sql`text`,
  binaryType: sql`blob`,
  identityType: sql`integer primary key autoincrement`,
  keyOnlyTable: sql`without rowid`,
  lockProjects: async (transaction, projectIds) => {
    const rows = await transaction
      .selectFrom('projects')
      .select('project_id')
      .where('project_id', 'in', projectIds)
      .execute();
    return rows.map((row) => row.project_id);
  },
  lockCatalog: async () => {
    // BEGIN IMMEDIATE has locked everything.
  },
  contains: (column, text) => sql<SqlBool>`instr(${sql.ref(column)}, ${text}) > 0`,
  hasMember: (column, key, value) =>
    sql<SqlBool>`exists (select 1 from json_each(${sql.ref(column)}) as member
      where member.key = ${key} and member.value = ${value})`,
  isUniqueViolation,
  isForeignKeyViolation,
  // One writer at a time: nothing is ever rolled back for the sake of others.
  isTransient: () => false,
};

/** @throws CATALOG_UNAVAILABLE, DATA_CORRUPT */
export async function openSqlite(path: string): Promise<OpenedDatabase> {
  await mkdir(dirname(path), { recursive: true });
  const writer = await SqliteWriter.open(path);
  const reader = await openReader(path, writer);
  const kysely = new Kysely<Tables>({ dialect: new NodeSqliteDialect({ path, writer, reader }) });
  return { kysely, capabilities: sqliteCapabilities, close: () => kysely.destroy() };
}

async function openReader(path: string, writer: SqliteWriter): Promise<SqliteConnection> {
  try {
    return new SqliteConnection(path, 'read');
  } catch (error) {
    await writer.close();
    throw toCatalogError(describeFault(error), path);
  }
}

// Fills a catalog with as many rows as a benchmark needs, faster than the API could.
import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

/** Enters copies of the row of `table` named `first`: each with its own id and name, a second older than the last. */
export function multiplyRows(database: DatabaseSync, table: string, idColumn: string, count: number): void {
  const columns = database.prepare(`pragma table_info(${table})`).all() as { name: string }[];
  const values = columns.map(({ name }) => {
    if (name === idColumn) return '?';
    if (name === 'name') return "'copy-' || ?";
    return name === 'created_at' ? `${name} - 1000 * ?` : name;
  });
  const sql = `insert into ${table} select ${values.join(', ')} from (select * from ${table} where name = 'first')`;
  const insert = database.prepare(sql);
  database.exec('begin');
  for (let index = 1; index < count; index += 1) {
    const parameters = columns.flatMap<string | number>(({ name }) => {
      if (name === idColumn) return [randomUUID()];
      return name === 'name' || name === 'created_at' ? [index] : [];
    });
    insert.run(...parameters);
  }
  database.exec('commit');
}

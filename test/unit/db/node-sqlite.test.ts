// The embedded catalog's connections: who reads, who writes, and what their errors become.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sql, type Transaction } from 'kysely';
import { newUuid } from '../../../src/core/ids.ts';
import { Catalog } from '../../../src/db/catalog.ts';
import { Database, openDatabase } from '../../../src/db/database.ts';
import { runMigrations } from '../../../src/db/migrate.ts';
import { openSqlite } from '../../../src/db/sqlite.ts';
import { SqliteWriter } from '../../../src/db/sqlite-writer.ts';
import type { Tables } from '../../../src/db/tables.ts';
import { addProject, beginBackup, commitOf, tick, volumeRow } from '../../support/catalog-rows.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

describe('node-sqlite', () => {
  test('lists are answered while a write transaction is open, and see only what was committed', async () => {
    await using folder = await makeTemporaryFolder();
    await using catalog = new Catalog({
      database: await openDatabase({ kind: 'sqlite', path: join(folder.path, 'c.sqlite') }),
    });
    const projectId = await addProject(catalog);
    const volume = volumeRow(projectId);
    const seenBefore = await catalog.transact(projectId, async (records) => {
      await records.volumes.insert(volume);
      assert.notEqual(await records.volumes.get(projectId, volume.volumeId), undefined);
      // The transaction holds the only writer: were this read to go through it, it would wait for itself.
      const { items } = await catalog.volumes.list({ projectId }, { limit: 10, withTotalCount: true });
      return items.length;
    });
    assert.equal(seenBefore, 0);
    assert.notEqual(await catalog.volumes.get(projectId, volume.volumeId), undefined);
  });

  test('writers queue up and each sees what the one before it committed', async () => {
    await using folder = await makeTemporaryFolder();
    await using catalog = new Catalog({
      database: await openDatabase({ kind: 'sqlite', path: join(folder.path, 'c.sqlite') }),
    });
    const projectId = await addProject(catalog);
    await catalog.meta.set('count', '0');
    const increase = () =>
      catalog.transact(projectId, async (records) => {
        const count = Number(await records.meta.get('count'));
        await records.meta.set('count', String(count + 1));
      });
    await Promise.all(Array.from({ length: 20 }, increase));
    assert.equal(await catalog.meta.get('count'), '20');
  });

  test('bytes, large integers and nulls come back as they went in', async () => {
    await using folder = await makeTemporaryFolder();
    await using database = await openDatabase({ kind: 'sqlite', path: join(folder.path, 'c.sqlite') });
    const read = async (executor: typeof database.kysely, value: unknown) => {
      const query = executor.selectNoFrom(sql`${value}`.as('value'));
      return (await query.executeTakeFirstOrThrow()).value;
    };
    const pool = Buffer.from('a view of a larger buffer').subarray(2, 9);
    const values = [null, 'text', '', 0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1.5];
    await database.transact(async (transaction) => {
      for (const executor of [database.kysely, transaction]) {
        for (const value of values) {
          assert.equal(await read(executor, value), value);
        }
        assert.equal(await read(executor, 12n), 12);
        assert.equal(await read(executor, true), 1);
        assert.deepEqual(Buffer.from((await read(executor, pool)) as Uint8Array), Buffer.from(pool));
        await assert.rejects(read(executor, 2n ** 60n), /safe|range|large/i);
        await assert.rejects(read(executor, {}), /cannot hold/);
      }
    });
  });

  test('the settings that keep commits durable are in force', async () => {
    await using folder = await makeTemporaryFolder();
    const writer = await SqliteWriter.open(join(folder.path, 'c.sqlite'));
    const pragma = async (name: string) => Object.values((await writer.run(`pragma ${name}`, [])).rows[0] as object)[0];
    assert.equal(await pragma('journal_mode'), 'wal');
    assert.equal(await pragma('synchronous'), 2);
    assert.equal(await pragma('foreign_keys'), 1);
    await writer.close();
    await assert.rejects(writer.run('select 1', []), { code: 'CATALOG_UNAVAILABLE' });
    await writer.close();
  });

  test('a full disk is STORAGE_FULL, changes nothing, and the catalog goes on when there is room', async () => {
    await using folder = await makeTemporaryFolder();
    await using database = await openDatabase({ kind: 'sqlite', path: join(folder.path, 'c.sqlite') });
    const catalog = new Catalog({ database });
    const limitPages = (pages: number) => sql.raw(`pragma max_page_count = ${pages}`).execute(database.kysely);
    await limitPages(1);
    const big = 'x'.repeat(1_000_000);
    const filling = database.transact(async (transaction) => {
      await transaction.insertInto('meta').values({ name: 'small', value: 'x' }).execute();
      await transaction.insertInto('meta').values({ name: 'big', value: big }).execute();
    });
    await assert.rejects(filling, { code: 'STORAGE_FULL' });
    assert.equal(await catalog.meta.get('small'), undefined);
    await limitPages(1_000_000);
    await catalog.meta.set('big', big);
    assert.equal(await catalog.meta.get('big'), big);
  });

  test('a file that is no database is corruption, a folder that cannot be is an error at once', async () => {
    await using folder = await makeTemporaryFolder();
    const path = join(folder.path, 'c.sqlite');
    await writeFile(path, 'this is no database, whatever its name says. '.repeat(100));
    await assert.rejects(openDatabase({ kind: 'sqlite', path }), { code: 'DATA_CORRUPT' });
    await assert.rejects(openDatabase({ kind: 'sqlite', path: folder.path }), { code: 'CATALOG_UNAVAILABLE' });
  });

  test('a commit whose answer got lost counts as done, one that never came to be does not', async () => {
    await using folder = await makeTemporaryFolder();
    const opened = await openSqlite(join(folder.path, 'c.sqlite'));
    await using database = new LosingDatabase(opened);
    await runMigrations(database);
    const catalog = new Catalog({ database });
    const projectId = await addProject(catalog);
    const first = await beginBackup(catalog, projectId);
    const second = await beginBackup(catalog, projectId);
    database.loses = 'answer';
    await catalog.ledger.commitBackup(first.claim, commitOf(first), tick());
    assert.equal((await catalog.backups.get(projectId, first.backupId))?.status, 'available');
    database.loses = 'commit';
    await assert.rejects(catalog.ledger.commitBackup(second.claim, commitOf(second), tick()), /connection lost/);
    assert.equal((await catalog.backups.get(projectId, second.backupId))?.status, 'creating');
    database.loses = undefined;
    await catalog.ledger.commitBackup(second.claim, commitOf(second), tick());
  });

  test('a broken rule of the tables is an error and leaves no trace', async () => {
    await using folder = await makeTemporaryFolder();
    await using catalog = new Catalog({
      database: await openDatabase({ kind: 'sqlite', path: join(folder.path, 'c.sqlite') }),
    });
    const orphan = volumeRow(newUuid());
    await assert.rejects(catalog.volumes.insert(orphan), ({ cause }: Error) => /FOREIGN KEY/.test(String(cause)));
    assert.deepEqual((await catalog.volumes.list({}, { limit: 1 })).items, []);
  });
});

/** Loses the connection at the end of a transaction: after the commit, or before it. */
class LosingDatabase extends Database {
  loses: 'answer' | 'commit' | undefined;

  override async transact<T>(work: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> {
    const result = await super.transact(async (transaction) => {
      const value = await work(transaction);
      this.#loseWhen('commit');
      return value;
    });
    this.#loseWhen('answer');
    return result;
  }

  #loseWhen(moment: 'answer' | 'commit'): void {
    if (this.loses === moment) {
      throw new Error('connection lost');
    }
  }
}

// What only PostgreSQL does: deadlocks, lost connections, its own settings.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { Catalog } from '../../src/db/catalog.ts';
import { openDatabase } from '../../src/db/database.ts';
import { addProject } from '../support/catalog-rows.ts';
import { findPostgres, makePostgres } from '../support/test-catalog.ts';

const serverUrl = await findPostgres();
const skip = serverUrl === undefined ? 'no PostgreSQL answers' : false;

describe('catalog on PostgreSQL only', { skip }, () => {
  const make = () => makePostgres(serverUrl ?? '');

  test('commits are durable when answered, bigints are numbers, unsafe ones an error', async () => {
    await using made = await make();
    await using database = await openDatabase(made.config);
    const show = async (name: string) => {
      const { rows } = await sql<{ value: string }>`select current_setting(${name}) as value`.execute(database.kysely);
      return rows[0]?.value;
    };
    assert.equal(await show('synchronous_commit'), 'on');
    assert.equal(await show('transaction_isolation'), 'read committed');
    assert.equal(
      await show('idle_in_transaction_session_timeout'),
      '1min',
      'the lock of a project is not kept for ever',
    );
    const read = (value: bigint) => sql<{ value: number }>`select ${value}::bigint as value`.execute(database.kysely);
    assert.equal((await read(2n ** 53n - 1n)).rows[0]?.value, Number.MAX_SAFE_INTEGER);
    await assert.rejects(read(2n ** 53n), /safe integer/);
  });

  test('of two transactions in a deadlock the one that was rolled back runs again, whole', async () => {
    await using made = await make();
    await using database = await openDatabase(made.config);
    await database.kysely
      .insertInto('meta')
      .values([
        { name: 'a', value: '' },
        { name: 'b', value: '' },
      ])
      .execute();
    let runs = 0;
    let ready = 0;
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const append = (names: readonly [string, string], letter: string) =>
      database.transact(async (transaction) => {
        runs += 1;
        for (const [index, name] of names.entries()) {
          await sql`update meta set value = value || ${letter} where name = ${name}`.execute(transaction);
          if (index === 0) {
            ready += 1;
            if (ready === 2) {
              open();
            }
            await gate;
          }
        }
      });
    await Promise.all([append(['a', 'b'], 'x'), append(['b', 'a'], 'y')]);
    // Once more for the one rolled back, and again should it meet the other a second time.
    assert(runs >= 3, `${runs} runs`);
    const rows = await database.kysely.selectFrom('meta').select('value').orderBy('name').execute();
    for (const { value } of rows) {
      assert.deepEqual([...value].sort(), ['x', 'y']);
    }
  });

  test('a connection that the server ends is CATALOG_UNAVAILABLE, and the next query works again', async () => {
    await using made = await make();
    await using catalog = new Catalog({ database: await openDatabase(made.config) });
    await using killer = await openDatabase(made.config);
    const projectId = await addProject(catalog);
    const cut = catalog.transact(projectId, async (records) => {
      await records.meta.set('half', 'done');
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(killer.kysely);
      await records.meta.set('other', 'half');
    });
    await assert.rejects(cut, { code: 'CATALOG_UNAVAILABLE' });
    assert.equal(await catalog.meta.get('half'), undefined);
    await catalog.transact(projectId, (records) => records.meta.set('half', 'whole'));
    assert.equal(await catalog.meta.get('half'), 'whole');
  });

  test('a server that is not there is CATALOG_UNAVAILABLE at once', async () => {
    const nowhere = openDatabase({ kind: 'postgres', url: 'postgres://postgres@127.0.0.1:1/none' });
    await assert.rejects(nowhere, { code: 'CATALOG_UNAVAILABLE' });
  });
});

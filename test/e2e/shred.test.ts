// `openvbs repository shred`: what was deleted from the catalog is in no free page of its file, and nobody else can use
// the folder before that is so.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { startApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { silentLogger } from '../../src/core/ports.ts';
import { lockFolder } from '../../src/db/folder-lock.ts';
import { holdFolder, shredProject } from '../../src/maintenance.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const MARK = 'a text that nobody may find again';

describe('shredding a project', () => {
  let temporary: TemporaryFolder;
  let config: Config;
  let path = '';

  before(async () => {
    temporary = await makeTemporaryFolder();
    const env = { OPENVBS_DATA: join(temporary.path, 'data'), OPENVBS_LISTEN: '127.0.0.1:0', OPENVBS_WORKERS: '1' };
    config = loadConfig({ flags: {}, env, cwd: temporary.path }).config;
    path = join(config.dataFolder, 'catalog.sqlite');
    const app = await startApp(config, { logger: silentLogger });
    await app.close();
  });
  after(() => temporary[Symbol.asyncDispose]());

  test('what follows the work finds the catalog closed and the folder locked', async () => {
    const steps: string[] = [];
    await holdFolder(
      config,
      async () => void steps.push('work'),
      async () => {
        await assert.rejects(lockFolder(config.dataFolder), { code: 'REPOSITORY_LOCKED' });
        // An exclusive lock is had only when no other connection reads or writes.
        using database = new DatabaseSync(path, { timeout: 0 });
        database.exec('pragma locking_mode = exclusive; begin exclusive; commit');
        steps.push('afterwards');
      },
    );
    assert.deepEqual(steps, ['work', 'afterwards']);
    using _free = await lockFolder(config.dataFolder);
  });

  test('what follows the work is left out when the work failed', async () => {
    const failing = holdFolder(
      config,
      () => Promise.reject(new Error('on purpose')),
      () => assert.fail('nothing may follow'),
    );
    await assert.rejects(failing, /on purpose/);
  });

  test('leaves nothing of deleted rows in the file', async () => {
    {
      using database = new DatabaseSync(path);
      database.exec('pragma secure_delete = off; create table marks (mark text)');
      database.prepare('insert into marks values (?)').run(MARK.repeat(1000));
      database.exec('drop table marks; pragma wal_checkpoint(truncate)');
    }
    assert((await readFile(path)).includes(MARK), 'a free page still has it');
    const shredded = await shredProject(config, 'admin');
    assert.equal(shredded.backupCount, 0);
    assert(!(await readFile(path)).includes(MARK));
    using database = new DatabaseSync(path);
    assert.equal(database.prepare('pragma freelist_count').get()?.freelist_count, 0);
  });
});

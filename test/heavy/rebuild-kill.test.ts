// The rebuild of a catalog killed at random moments, again and again: it goes on, comes to what an undisturbed one
// comes to, and a service never starts on half of it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/core/ports.ts';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { runInProcess } from '../support/cli-process.ts';
import { makeRandom } from '../support/disk-files.ts';
import { EngineBench, PASSPHRASE } from '../support/engine-bench.ts';
import { PROJECT_ROOT } from '../support/live-service.ts';
import { backUpVersions, fillRepository } from '../support/rebuild-bench.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const BACKUP_COUNT = 600;
const KILL_COUNT = 20;
const SEED = process.env.SEED ?? 'rebuild';

/** Everything that a rebuild enters and that is not drawn anew by each. */
function summarize(data: string): unknown[] {
  using database = new DatabaseSync(join(data, 'catalog.sqlite'), { readOnly: true });
  const queries = [
    `select backup_id, project_id, attempt_id, parent_id, name, status, size_bytes, stored_bytes, hex(record_sha256)
      from backups order by backup_id`,
    'select pack_id, kind, state, object_id, slot_count, dropped_count, stored_bytes from packs order by pack_id',
    'select hex(hook) as hook, pack_id from hooks join packs using (pack_number) order by hook, pack_id',
    "select project_id, name from projects where name <> 'admin' order by project_id",
    'select key_id, project_id from keys order by key_id',
  ];
  return queries.map((query) => database.prepare(query).all());
}

/** A process of its own; `ended` is its exit code, null when it was killed. */
function startRebuild(cwd: string) {
  const args = [join(PROJECT_ROOT, 'src', 'main.ts'), 'repository', 'rebuild-catalog'];
  const child = spawn(process.execPath, args, { cwd, stdio: 'ignore', env: { PATH: process.env.PATH } });
  const ended = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null);
  return { child, ended };
}

test(`a rebuild that is killed ${KILL_COUNT} times comes to the same as one that is not (seed ${SEED})`, async () => {
  await using temporary = await makeTemporaryFolder();
  const [whole, killed] = [join(temporary.path, 'whole'), join(temporary.path, 'killed')];
  await mkdir(join(whole, 'data', 'repository'), { recursive: true });
  await using bench = await EngineBench.start(new FilesystemStore({ root: join(whole, 'data', 'repository') }));
  await fillRepository(bench, BACKUP_COUNT);
  await backUpVersions(bench, 5);
  await writeFile(join(whole, 'data', 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 });
  await cp(whole, killed, { recursive: true });
  const beganAt = systemClock.now();
  assert.equal(await startRebuild(whole).ended, 0);
  const durationMs = systemClock.now() - beganAt;

  const random = makeRandom(SEED);
  let killCount = 0;
  for (let i = 0; i < KILL_COUNT; i += 1) {
    const { child, ended } = startRebuild(killed);
    await delay(random() * durationMs);
    child.kill('SIGKILL');
    if ((await ended) === null) killCount += 1;
  }
  assert(killCount > KILL_COUNT / 2, `${killCount} were killed`);
  const last = await runInProcess('repository rebuild-catalog --json', { cwd: killed });
  assert.equal(last.code, 0, last.stderr);
  const [, , , , keys] = summarize(join(killed, 'data'));
  assert.equal((keys as unknown[]).length, 2, 'one key each of the repository and of the project');
  const expected = summarize(join(whole, 'data'));
  summarize(join(killed, 'data')).forEach((rows, i) => {
    assert.deepEqual(rows, expected[i]);
  });
});

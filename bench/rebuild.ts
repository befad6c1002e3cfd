// Times the rebuild of a catalog from a folder repository with many small backups, on SQLite in a file.
// Run: node bench/rebuild.ts [backups] [runs]
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../src/core/ports.ts';
import { FilesystemStore } from '../src/storage/filesystem-store.ts';
import { EngineBench } from '../test/support/engine-bench.ts';
import { fillRepository, rebuild } from '../test/support/rebuild-bench.ts';
import { makeTemporaryFolder } from '../test/support/temporary-folder.ts';
import { makeSqlite } from '../test/support/test-catalog.ts';

const [backupText = '2000', runText = '3'] = process.argv.slice(2);
const backupCount = Number(backupText);

await using temporary = await makeTemporaryFolder();
const root = join(temporary.path, 'repository');
await mkdir(root);
await using bench = await EngineBench.start(new FilesystemStore({ root }));
await fillRepository(bench, backupCount);
for (let run = 1; run <= Number(runText); run += 1) {
  await using database = await makeSqlite();
  const catalog = await database.open();
  const store = new FilesystemStore({ root });
  const beganAt = systemClock.now();
  const { projects } = await rebuild(bench, catalog, { store });
  const seconds = (systemClock.now() - beganAt) / 1000;
  await store.close();
  const [{ backupCount: found, packCount } = { backupCount: 0, packCount: 0 }] = projects;
  const rate = Math.round(found / seconds);
  console.log(`run ${run}: ${found} backups, ${packCount} packs in ${seconds.toFixed(2)} s, ${rate} backups a second`);
}

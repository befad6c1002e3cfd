// Times the lists of a project with 10,000 backups and 200 policies, over HTTP on one connection: a real server process
// and SQLite. Run: node bench/lists.ts
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LiveService } from '../test/support/live-service.ts';
import { makeTemporaryFolder } from '../test/support/temporary-folder.ts';
import { multiplyRows } from './support/multiply-rows.ts';

const BACKUP_COUNT = 10_000;
const POLICY_COUNT = 200;
const ROUNDS = 60;

await using temporary = await makeTemporaryFolder();
const { path: folder } = temporary;
{
  await using service = await LiveService.start({ folder });
  const { api } = service;
  const { volume } = (await api.must('POST', '/v3/{p}/volumes', { body: { volume: { size: 1 } } })) as {
    volume: { id: string };
  };
  await api.waitForJob(await api.startBackup(volume.id, 'first'));
  const schedule = { start_time: '12:00', frequency: 1, rentention_num: 5, status: 'OFF' };
  const body = { backup_policy_name: 'first', scheduled_policy: schedule };
  await api.must('POST', '/v2/{p}/backuppolicy', { body });
}
const database = new DatabaseSync(join(folder, 'data', 'catalog.sqlite'));
multiplyRows(database, 'backups', 'backup_id', BACKUP_COUNT);
multiplyRows(database, 'policies', 'policy_id', POLICY_COUNT);
database.close();

await using service = await LiveService.start({ folder });
const { api } = service;
const middle = (await api.must('GET', '/v3/{p}/backups?limit=1&offset=5000')) as { backups: { id: string }[] };
const marker = middle.backups[0]?.id;
const calls = [
  '/v3/{p}/backups?limit=100',
  '/v3/{p}/backups/detail?limit=100',
  '/v3/{p}/backups/detail',
  `/v3/{p}/backups/detail?limit=100&marker=${marker}`,
  '/v3/{p}/backups/detail?status=available&limit=100&offset=9000',
  '/v3/{p}/backups/detail?name=copy-7777',
  '/v3/{p}/backups?sort=size:asc&limit=100',
  '/v2/{p}/backuppolicy',
  '/v1/{p}/jobs?limit=100',
  '/v2/{p}/cloudbackups/quota',
];
console.log('| call | median ms | p90 ms |\n|---|---:|---:|');
for (const call of calls) {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = performance.now();
    await api.must('GET', call);
    times.push(performance.now() - startedAt);
  }
  times.sort((left, right) => left - right);
  const [median, p90] = [0.5, 0.9].map((part) => (times[Math.floor(part * times.length)] ?? 0).toFixed(1));
  console.log(`| \`GET ${call.replace(String(marker), '<id>')}\` | ${median} | ${p90} |`);
}

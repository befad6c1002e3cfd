// Times the native backup API of a project with 1,000 backups, over HTTP on loopback with SQLite: first one call at a
// time, then 200 requests a second for a minute while a backup job runs. Run: node bench/latency.ts [SECONDS]
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { makeImage } from '../test/support/disk-files.ts';
import type { LiveApi } from '../test/support/live-api.ts';
import { LiveService } from '../test/support/live-service.ts';
import { makeTemporaryFolder } from '../test/support/temporary-folder.ts';
import { multiplyRows } from './support/multiply-rows.ts';

const GIB = 1024 ** 3;
const BACKUP_COUNT = 1000;
const ROUNDS = 200;
const REQUESTS_PER_S = 200;
const LOAD_SECONDS = Number(process.argv[2] ?? 60);
/** A client that opened a connection for every call would time its handshakes. */
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

type Call = { readonly method: string; readonly path: string; readonly body?: unknown; readonly status: number };

/** Milliseconds until the whole answer is there. */
function time(api: LiveApi, { method, path, body, status }: Call): Promise<number> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    'x-auth-token': api.token,
    'openstack-api-version': 'volume 3.60',
    ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  const url = new URL(path.replace('{p}', api.projectId), api.url);
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (answer) => {
      answer.resume();
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === status) resolve(performance.now() - startedAt);
        else reject(new Error(`${method} ${path}: ${answer.statusCode}`));
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

function describe(times: readonly number[], parts: readonly number[]): string {
  const sorted = times.toSorted((left, right) => left - right);
  return parts
    .map((part) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(1))
    .join(' | ');
}

async function printCall(
  api: LiveApi,
  label: string,
  goalMs: number,
  makeCall: () => Call,
  rounds = ROUNDS,
): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) times.push(await time(api, makeCall()));
  console.log(`| ${label} | ${describe(times, [0.5, 0.9, 0.99])} | ${goalMs} |`);
}

async function createVolume(api: LiveApi): Promise<string> {
  const volumeId = await api.createVolume({ size: 1 });
  await api.waitForVolume(volumeId);
  return volumeId;
}

/** Sent when they are due, whether or not earlier ones were answered: a slow server is not spared. */
async function loadAt(api: LiveApi, calls: readonly Call[], seconds: number): Promise<number[]> {
  const times: number[] = [];
  const pending: Promise<unknown>[] = [];
  const beganAt = performance.now();
  for (let index = 0; index < seconds * REQUESTS_PER_S; index += 1) {
    const dueAt = beganAt + (index * 1000) / REQUESTS_PER_S;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const call = calls[index % calls.length];
    if (call) pending.push(time(api, call).then(() => times.push(performance.now() - dueAt)));
  }
  await Promise.all(pending);
  return times;
}

await using temporary = await makeTemporaryFolder();
const { path: folder } = temporary;
{
  await using service = await LiveService.start({ folder });
  await service.api.backUp(await createVolume(service.api), 'first');
}
const database = new DatabaseSync(join(folder, 'data', 'catalog.sqlite'));
multiplyRows(database, 'backups', 'backup_id', BACKUP_COUNT);
database.close();

await using service = await LiveService.start({ folder });
const { api } = service;
const [backup] = await api.listBackups();
const show: Call = { method: 'GET', path: `/v3/{p}/backups/${backup?.id}`, status: 200 };
const detail = (limit: number): Call => ({ method: 'GET', path: `/v3/{p}/backups/detail?limit=${limit}`, status: 200 });
// The first calls of a process are compiled while they run.
for (let round = 0; round < ROUNDS; round += 1) await time(api, round % 4 === 0 ? detail(100) : show);

console.log(
  '| call, 1,000 backups in the project | median ms | p90 ms | p99 ms | goal ms |\n|---|---:|---:|---:|---:|',
);
await printCall(api, 'show a backup', 3, () => show);
await printCall(api, 'detail list of 100', 6, () => detail(100));
await printCall(api, 'detail list of 1,000', 40, () => detail(1000));
const volumeIds: string[] = [];
for (let index = 0; index < 50; index += 1) volumeIds.push(await createVolume(api));
await printCall(
  api,
  'create a backup (the POST)',
  10,
  () => {
    const body = { backup: { volume_id: volumeIds.pop(), name: 'created' } };
    return { method: 'POST', path: '/v3/{p}/backups', body, status: 202 };
  },
  volumeIds.length,
);

const image = join(service.disksFolder, 'disk.img');
await makeImage(image, 4 * GIB, 3 * GIB);
const volumeId = await api.adoptVolume(image, 'disk');
let isOver = false;
let jobCount = 0;
const backingUp = (async () => {
  // Full ones: an unchanged disk would be read only.
  for (; !isOver; jobCount += 1) await api.backUp(volumeId, `load-${jobCount}`, true);
})();
const volume: Call = { method: 'GET', path: `/v3/{p}/volumes/${volumeId}`, status: 200 };
const calls = [show, show, show, volume, show, show, detail(20), show, show, volume];
const times = await loadAt(api, calls, LOAD_SECONDS);
isOver = true;
await backingUp;
console.log(
  `\n${times.length} requests at ${REQUESTS_PER_S}/s beside ${jobCount} full backups of 3 GiB of data:\n` +
    `\n| median ms | p90 ms | p99 ms | max ms |\n|---:|---:|---:|---:|\n| ${describe(times, [0.5, 0.9, 0.99, 1])} |`,
);
agent.destroy();

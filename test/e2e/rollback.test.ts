// What changed since a backup, and the way back to it, through the API and the command line.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { type CliOptions, runInProcess } from '../support/cli-process.ts';
import { assertSameImage, copyImage, overwrite } from '../support/disk-files.ts';
import type { Json } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService } from '../support/live-service.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const SIZE_BYTES = 150 * MIB;
const reflinks = await makeReflinkFolder();
/** With changed extents where that is possible; all but the ways of reading is the same without. */
const hasReflinks = 'path' in reflinks;
let temporary: TemporaryFolder;
let service: LiveService;
let cli: CliOptions;
const paths = { disk: '', first: '' };
const ids = { volume: '', other: '', first: '', second: '', foreign: '' };

before(async () => {
  temporary = await makeTemporaryFolder();
  const folder = hasReflinks ? reflinks.path : temporary.path;
  service = await LiveService.start({ folder });
  cli = { cwd: temporary.path };
  const login = `login --url ${service.url} --password-file -`;
  const { code, stderr } = await runInProcess(login, { ...cli, stdin: `${ADMIN_PASSWORD}\n` });
  assert.equal(code, 0, stderr);
  paths.disk = join(service.disksFolder, 'disk.img');
  paths.first = join(temporary.path, 'first.img');
  const { api } = service;
  for (const name of ['disk', 'other']) {
    await using file = await open(join(service.disksFolder, `${name}.img`), 'wx');
    await file.truncate(SIZE_BYTES);
    await file.write(randomBytes(MIB), 0, MIB, 70 * MIB);
  }
  ids.volume = await api.adoptVolume(paths.disk, 'disk');
  ids.other = await api.adoptVolume(join(service.disksFolder, 'other.img'), 'other');
  ids.first = (await api.backUp(ids.volume, 'first')).id;
  await copyImage(paths.disk, paths.first);
  await overwrite(paths.disk, 70 * MIB + 5, randomBytes(10));
  await overwrite(paths.disk, 3 * MIB, randomBytes(128 * 1024));
  ids.second = (await api.backUp(ids.volume, 'second')).id;
  ids.foreign = (await api.backUp(ids.other, 'foreign')).id;
});

after(async () => {
  await service?.[Symbol.asyncDispose]();
  if ('remove' in reflinks) reflinks.remove();
  await temporary?.[Symbol.asyncDispose]();
});

async function resultOf(jobId: string): Promise<Json> {
  const job = await service.api.must('GET', `/v1/{p}/jobs/${jobId}?progress=true`);
  assert(job.result !== null && typeof job.result === 'object', JSON.stringify(job));
  return job.result as Json;
}

test('a job tells how the backup read its disk', async () => {
  const jobs = await service.api.listJobs();
  const job = jobs.find(({ backupId }) => backupId === ids.second) ?? assert.fail();
  const { mode, mismatch_count, sample_count } = await resultOf(job.jobId);
  assert.equal(mode, hasReflinks ? 'changed-extents' : 'scan');
  assert.equal(mismatch_count, 0);
  if (hasReflinks) assert(Number(sample_count) > 0);
});

test('two backups are compared over the API, page by page', async () => {
  const { api } = service;
  const ranges = [
    { offset: 3 * MIB, length: 131_072 },
    { offset: 70 * MIB, length: 65_536 },
  ];
  const { diff } = await api.must('GET', `/v1/{p}/backups/${ids.second}/diff?from=${ids.first}`);
  assert.deepEqual(diff, {
    from_backup_id: ids.first,
    backup_id: ids.second,
    volume_id: ids.volume,
    from_size_bytes: SIZE_BYTES,
    size_bytes: SIZE_BYTES,
    granularity_bytes: 65_536,
    ranges,
    next_offset: null,
  });
  const page = (await api.must('GET', `/v1/{p}/backups/${ids.second}/diff?from=${ids.first}&limit=1`)).diff as Json;
  assert.deepEqual([page.ranges, page.next_offset], [ranges.slice(0, 1), 70 * MIB]);
});

test('what cannot be compared is refused with the field named', async () => {
  const { api } = service;
  const missing = '11111111-2222-3333-4444-555555555555';
  const cases: [string, number, RegExp][] = [
    [`${ids.second}/diff`, 400, /from/],
    [`${ids.second}/diff?from=x`, 400, /from/],
    [`${ids.second}/diff?from=${ids.foreign}`, 400, /another volume/],
    [`${ids.second}/diff?from=${ids.first}&limit=0`, 400, /limit/],
    [`${ids.second}/diff?from=${missing}`, 404, /11111111/],
    [`${missing}/diff?from=${ids.first}`, 404, /11111111/],
  ];
  for (const [tail, status, pattern] of cases) {
    const answer = await api.call('GET', `/v1/{p}/backups/${tail}`);
    assert.equal(answer.status, status, tail);
    assert.match(JSON.stringify(answer.body), pattern);
  }
  const open = (await api.listJobs()).filter(({ status }) => status === 'RUNNING' || status === 'INIT');
  assert.deepEqual(open, [], 'no job stays behind');
});

test('the command line shows the same', async () => {
  const shown = await runInProcess('backup diff first second --json', cli);
  assert.equal(shown.code, 0, shown.stderr);
  assert.deepEqual(JSON.parse(shown.stdout), {
    from: ids.first,
    to: ids.second,
    changedBytes: 196_608,
    ranges: [
      { offsetBytes: 3 * MIB, lengthBytes: 131_072 },
      { offsetBytes: 70 * MIB, lengthBytes: 65_536 },
    ],
  });
  assert.match((await runInProcess('backup diff first second', cli)).stdout, /3145728\s+131072\n.*192 KiB differ/s);
  assert.match((await runInProcess('backup diff first first', cli)).stdout, /No differences/);
  assert.notEqual((await runInProcess('backup diff first foreign', cli)).code, 0);
});

test('a rollback writes what differs, reads it back, and the job says so', async () => {
  const restored = await runInProcess('restore first --in-place --verify --yes --json', cli);
  assert.equal(restored.code, 0, restored.stderr);
  await assertSameImage(paths.disk, paths.first);
  const { job } = JSON.parse(restored.stdout) as { job: { id: string } };
  assert.deepEqual(await resultOf(job.id), {
    mode: hasReflinks ? 'changed-extents' : 'compare',
    // Two of the three chunks were zeros.
    written_bytes: 65_536,
    is_verified: true,
  });
});

test('--verify is for volumes, and the API takes true or false for it', async () => {
  assert.notEqual((await runInProcess('restore first --file x.img --verify', cli)).code, 0);
  const body = { restore: { volume_id: ids.volume, verify: 'yes' } };
  const answer = await service.api.call('POST', `/v2/{p}/cloudbackups/${ids.first}/restore`, { body });
  assert.equal(answer.status, 400);
  assert.match(JSON.stringify(answer.body), /restore\.verify/);
});

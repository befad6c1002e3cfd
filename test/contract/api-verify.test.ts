// Verification over HTTP, with real services: the job, what a damaged backup looks like, check, repair, health.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid, parseUuid, type VolumeId } from '../../src/core/ids.ts';
import { ApiBench } from '../support/api-bench.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';

let bench: ApiBench;
let base = '';
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
  base = `/v1/${bench.admin.projectId}`;
});
after(() => bench[Symbol.asyncDispose]());

type Run = { operation: string; status: string; report: Record<string, unknown> | null };
type JobBody = { status: string; job_type: string; fail_reason: string | null; entities: { backup_id: string } };

const asAdmin = () => ({ token: bench.admin.token });

async function settled(): Promise<Run> {
  return await bench.services.waitFor(async () => {
    const { run } = (await bench.ask(200, 'GET', `${base}/repository/run`, asAdmin())) as { run: Run };
    return run.status === 'running' ? undefined : run;
  });
}

async function verify(backupId: string): Promise<JobBody> {
  const { job_id: jobId } = await bench.ask(202, 'POST', `${base}/backups/${backupId}/verify`);
  return await bench.services.waitFor(async () => {
    const job = (await bench.ask(200, 'GET', `${base}/jobs/${String(jobId)}`)) as JobBody;
    return job.status === 'SUCCESS' || job.status === 'FAIL' ? job : undefined;
  });
}

async function health(): Promise<{ damaged_pack_count: number; damaged_backups: { backup_id: string }[] }> {
  const answer = await bench.ask(200, 'GET', `${base}/repository/health`);
  return answer.health as Awaited<ReturnType<typeof health>>;
}

async function makeVolume(bytes: Uint8Array): Promise<string> {
  const answer = await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } });
  const { id } = answer.volume as { id: string };
  const { catalog } = bench.services;
  const volume = await bench.services.waitFor(async () => {
    const found = await catalog.volumes.get(bench.admin.projectId, parseUuid<VolumeId>(id) ?? newUuid());
    return found?.status === 'available' ? found : undefined;
  });
  await bench.services.writeDisk(volume, [{ offsetBytes: 0, bytes }]);
  return id;
}

async function backUp(volumeId: string): Promise<string> {
  const answer = await bench.ask(202, 'POST', `${bench.v3}/backups`, { body: { backup: { volume_id: volumeId } } });
  const { id } = answer.backup as { id: string };
  await bench.services.waitFor(async () => {
    const { backup } = await bench.ask(200, 'GET', `${bench.v3}/backups/${id}`);
    return (backup as { status: string }).status === 'available' ? true : undefined;
  });
  return id;
}

async function largestPack(): Promise<{ name: string; sizeBytes: number }> {
  const found = [];
  for await (const object of bench.services.store.list(`projects/${bench.admin.projectId}/packs/`)) found.push(object);
  found.sort((a, b) => b.sizeBytes - a.sizeBytes);
  assert(found[0]);
  return found[0];
}

test('damage fails the job by its name, is shown, and is repaired from the disk by the server itself', async () => {
  const { services } = bench;
  const id = await backUp(await makeVolume(fixedBytes(1, 2_000_000)));
  const sound = await verify(id);
  assert.deepEqual([sound.status, sound.job_type, sound.entities.backup_id], ['SUCCESS', 'bksVerifyBackup', id]);
  const { name } = await largestPack();
  await services.store.flipBit(name, 8 * 5000);
  const damaged = await verify(id);
  assert.equal(damaged.status, 'FAIL');
  assert(damaged.fail_reason?.includes(name), `${damaged.fail_reason}`);
  await services.scrubber.settle();
  assert.equal((await settled()).operation, 'repair');
  assert.deepEqual((await health()).damaged_backups, []);
  assert.equal((await verify(id)).status, 'SUCCESS');
});

test('a check tells what is missing and which backups need it; a repair cannot make what nobody has', async () => {
  const { services } = bench;
  const id = await backUp(await makeVolume(fixedBytes(2, 4_000_000)));
  await bench.ask(202, 'POST', `${base}/repository/check`, { ...asAdmin(), body: { read_percent: 100 } });
  assert.equal((await settled()).report?.is_sound, true);
  const { name } = await largestPack();
  await services.store.delete([name]);
  await bench.ask(202, 'POST', `${base}/repository/check`, asAdmin());
  const { report } = await settled();
  assert.deepEqual([report?.is_sound, report?.damaged_backup_ids], [false, [id]]);
  assert.deepEqual(
    (await health()).damaged_backups.map((backup) => backup.backup_id),
    [id],
  );
  const { backup } = await bench.ask(200, 'GET', `${bench.v3}/backups/${id}`);
  assert((backup as { fail_reason: string }).fail_reason.includes('cannot be read'));
  await bench.ask(202, 'POST', `${base}/repository/repair`, asAdmin());
  assert.deepEqual((await settled()).report?.damaged_backup_ids, [id]);
});

test('what cannot be verified is refused with its code, and only administrators check and repair', async () => {
  await bench.ask(404, 'POST', `${base}/backups/${newUuid()}/verify`);
  await bench.ask(400, 'POST', `${base}/repository/check`, { ...asAdmin(), body: { read_percent: 101 } });
  await bench.ask(400, 'POST', `${base}/repository/check`, { ...asAdmin(), body: [] });
  for (const operation of ['check', 'repair']) await bench.ask(403, 'POST', `${base}/repository/${operation}`);
});

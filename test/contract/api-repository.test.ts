// /v1/{project_id}/repository: prune, adoption and use of space over HTTP, with real services.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../src/core/ids.ts';
import { ApiBench } from '../support/api-bench.ts';

let bench: ApiBench;
let base = '';
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
  base = `/v1/${bench.admin.projectId}`;
});
after(() => bench[Symbol.asyncDispose]());

type Run = {
  operation: string;
  status: string;
  report: Record<string, unknown> | null;
  error: { code: string } | null;
};

const asAdmin = () => ({ token: bench.admin.token });

async function settled(): Promise<Run> {
  return await bench.services.waitFor(async () => {
    const { run } = (await bench.ask(200, 'GET', `${base}/repository/run`, asAdmin())) as { run: Run };
    return run.status === 'running' ? undefined : run;
  });
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

test('a prune is asked for, followed, and tells what it did; a dry run changes nothing', async () => {
  assert.deepEqual(await bench.ask(200, 'GET', `${base}/repository/run`, asAdmin()), { run: null });
  const answer = await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } });
  const { id: volumeId } = answer.volume as { id: string };
  const first = await backUp(volumeId);
  const second = await backUp(volumeId);
  const { usage } = await bench.ask(200, 'GET', `${base}/backups/${second}/usage`);
  assert.deepEqual(usage, {
    backup_id: second,
    volume_id: volumeId,
    logical_bytes: 2 ** 30,
    unique_bytes: 0,
    shared_bytes: 0,
  });
  const whole = (await bench.ask(200, 'GET', `${base}/repository/usage`, asAdmin())) as {
    usage: { backups: { backup_id: string }[]; logical_bytes: number };
  };
  assert.deepEqual(whole.usage.backups.map((backup) => backup.backup_id).sort(), [first, second].sort());
  assert.equal(whole.usage.logical_bytes, 2 * 2 ** 30);
  const begun = await bench.ask(202, 'POST', `${base}/repository/prune`, { ...asAdmin(), body: { dry_run: true } });
  assert.equal((begun.run as Run).operation, 'prune-dry-run');
  const planned = await settled();
  assert.deepEqual([planned.status, planned.report?.is_dry_run, planned.report?.root_count], ['done', true, 2]);
  await bench.ask(202, 'POST', `${base}/repository/prune`, asAdmin());
  const done = await settled();
  assert.deepEqual([done.operation, done.status, done.report?.condemned_count], ['prune', 'done', 0]);
});

test('an adoption of a healthy repository finds everything sound', async () => {
  await bench.ask(202, 'POST', `${base}/repository/adopt`, asAdmin());
  const run = await settled();
  assert.deepEqual([run.status, run.report?.sound_count, run.report?.adopted], ['done', 2, []]);
});

test('only administrators of the project may, and bad requests name their field', async () => {
  const member = { token: bench.member.token };
  const reader = { token: bench.reader.token };
  for (const [method, path] of [
    ['POST', 'prune'],
    ['POST', 'adopt'],
    ['GET', 'run'],
    ['GET', 'usage'],
  ] as const) {
    assert.equal((await bench.send(method, `${base}/repository/${path}`, member)).statusCode, 403, path);
    assert.equal((await bench.send(method, `${base}/repository/${path}`, reader)).statusCode, 403, path);
  }
  assert.equal((await bench.send('GET', `${base}/repository/usage`, { token: bench.stranger.token })).statusCode, 403);
  const bad = await bench.send('POST', `${base}/repository/prune`, { ...asAdmin(), body: { dry_run: 'yes' } });
  assert.equal(bad.statusCode, 400);
  assert.match(bad.body, /dry_run/);
  const list = await bench.send('POST', `${base}/repository/prune`, { ...asAdmin(), body: [] });
  assert.equal(list.statusCode, 400);
  for (const record of ['', 'x.y', `${newUuid()}`, `${newUuid()}.${newUuid()}.x`, 7]) {
    const send = { ...asAdmin(), body: { record } };
    assert.equal((await bench.send('POST', `${base}/repository/give-up`, send)).statusCode, 400, String(record));
  }
  assert.equal((await bench.send('GET', `${base}/backups/${newUuid()}/usage`)).statusCode, 404);
});

test('a record that the catalog does not know is given up once', async () => {
  const record = `${newUuid()}.${newUuid()}`;
  await bench.ask(202, 'POST', `${base}/repository/give-up`, { ...asAdmin(), body: { record } });
  const again = await bench.send('POST', `${base}/repository/give-up`, { ...asAdmin(), body: { record } });
  assert.equal(again.statusCode, 409);
});

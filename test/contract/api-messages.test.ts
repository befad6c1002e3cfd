// Messages (contract 3.27): what failed after it had been accepted is told to the project's users.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { newUuid, type VolumeId } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

type Message = Record<string, unknown> & { id: string };

const at = (version: string, send: Send = {}): Send => ({
  ...send,
  headers: { 'openstack-api-version': `volume ${version}` },
});

test('a failed backup leaves a message, which its project reads, finds and deletes', async () => {
  const url = `${bench.v3}/messages`;
  assert.deepEqual(await bench.ask(200, 'GET', url, at('3.3')), { messages: [] });
  const { volume } = await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } });
  const volumeId = (volume as Message).id as VolumeId;
  await rm((await bench.services.getVolume(volumeId)).source);
  const body = { backup: { volume_id: volumeId, name: 'lost' } };
  const asked = await bench.send('POST', `${bench.v3}/backups`, { body });
  assert.equal(asked.statusCode, 202);
  const { backup } = asked.json<{ backup: Message }>();
  const { items } = await bench.services.catalog.jobs.list({ volumeId }, { limit: 1 });
  assert.ok(items[0] !== undefined);
  await bench.services.waitFor(async () => {
    bench.services.clock.advance(10_000);
    bench.services.runner.wake();
    const current = await bench.services.catalog.jobs.get(bench.member.projectId, items[0]?.jobId ?? newUuid());
    return current?.status === 'FAIL' ? current : undefined;
  });
  const [message, ...others] = (await bench.ask(200, 'GET', url, at('3.3'))).messages as Message[];
  assert.ok(message !== undefined && others.length === 0);
  const { id, created_at, guaranteed_until, user_message, links, ...rest } = message;
  const resource_uuid = (backup as Message).id;
  assert.deepEqual(rest, {
    ...{
      event_id: 'VOLUME_VOLUME_BACKUP_013_001',
      message_level: 'ERROR',
      request_id: asked.headers['x-openstack-request-id'],
    },
    ...{ resource_uuid, resource_type: 'VOLUME_BACKUP' },
  });
  assert.match(String(user_message), /^create backup: .*\(VOLUME_UNAVAILABLE\)$/);
  assert.ok(String(guaranteed_until) > String(created_at));
  assert.equal((links as unknown[]).length, 2);
  const find = async (query: string) =>
    ((await bench.ask(200, 'GET', `${url}?${query}`, at('3.5'))).messages as Message[]).map((each) => each.id);
  assert.deepEqual(await find(`resource_uuid=${resource_uuid}&resource_type=volume_backup`), [id]);
  assert.deepEqual(await find('event_id=VOLUME_VOLUME_BACKUP_013_001'), [id]);
  assert.deepEqual(await find('event_id=VOLUME_VOLUME_BACKUP_014_001'), []);
  assert.deepEqual(await find('limit=0'), []);
  assert.deepEqual(await find(`marker=${id}`), []);
  await bench.assertFault(404, 'itemNotFound', 'GET', `${url}?marker=${newUuid()}`, at('3.5'));
  const one = `${url}/${id}`;
  assert.deepEqual((await bench.ask(200, 'GET', one, at('3.3'))).message, message);
  const foreign = { ...at('3.3'), token: bench.stranger.token };
  const theirs = `/v3/${bench.stranger.projectId}/messages`;
  await bench.assertFault(404, 'itemNotFound', 'GET', `${theirs}/${id}`, foreign);
  await bench.assertFault(404, 'itemNotFound', 'DELETE', `${theirs}/${id}`, foreign);
  await bench.assertFault(403, 'forbidden', 'DELETE', one, { ...at('3.3'), token: bench.reader.token });
  await bench.ask(204, 'DELETE', one, at('3.3'));
  await bench.assertFault(404, 'itemNotFound', 'GET', one, at('3.3'));
  await bench.assertFault(404, 'itemNotFound', 'GET', `${url}/none`, at('3.3'));
  await bench.assertFault(404, 'itemNotFound', 'GET', url, at('3.2'));
});

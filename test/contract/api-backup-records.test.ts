// Backup records over the native API: written down, changed as clients do, and imported (contract 3.24).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

type Shown = Record<string, unknown> & { id: string; status: string };
type BackupRecord = { backup_service: string; backup_url: string };

let bench: ApiBench;
let token: string;
let backup: Shown;
before(async () => {
  bench = await ApiBench.start();
  token = bench.admin.token;
  await bench.services.runner.start();
  const volume = (await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } }))
    .volume as Shown;
  const body = { backup: { volume_id: volume.id, name: 'web root', description: 'plain', container: 'vault' } };
  const { id } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, { body })).backup as Shown;
  backup = await waitForBackup(id);
});
after(() => bench[Symbol.asyncDispose]());

async function waitForBackup(id: string): Promise<Shown> {
  return await bench.services.waitFor(async () => {
    const shown = (await bench.ask(200, 'GET', `${bench.v3}/backups/${id}`)).backup as Shown;
    assert.notEqual(shown.status, 'error');
    return shown.status === 'available' ? shown : undefined;
  });
}

async function exportRecord(id = backup.id): Promise<BackupRecord> {
  const answer = await bench.ask(200, 'GET', `${bench.v3}/backups/${id}/export_record`, { token });
  assert.deepEqual(Object.keys(answer), ['backup-record']);
  return answer['backup-record'] as BackupRecord;
}

const decode = (url: string) => JSON.parse(Buffer.from(url, 'base64').toString('utf8')) as Record<string, unknown>;
const encode = (members: unknown) => Buffer.from(JSON.stringify(members)).toString('base64');
const sendOf = (record: unknown): Send => ({ token, body: { 'backup-record': record } });

/** The record with members changed, as an importer may. */
async function changed(changes: Record<string, unknown>): Promise<BackupRecord> {
  const { backup_service, backup_url } = await exportRecord();
  return { backup_service, backup_url: encode({ ...decode(backup_url), ...changes }) };
}

describe('export_record', () => {
  test('answers a flat object that clients can read and change', async () => {
    const { backup_service, backup_url } = await exportRecord();
    assert.match(backup_service, /^cinder\.backup\.drivers/);
    const members = decode(backup_url);
    const { id, size, volume_id, status, display_name, display_description, container } = members;
    assert.deepEqual(
      { id, size, volume_id, status, display_name, display_description, container },
      {
        ...{ id: backup.id, size: 1, volume_id: backup.volume_id, status: 'available' },
        ...{ display_name: 'web root', display_description: 'plain', container: 'vault' },
      },
    );
    for (const key of ['created_at', 'service', 'service_metadata', 'object_count', 'availability_zone', 'parent_id']) {
      assert.ok(key in members, key);
    }
    for (const key of ['created_at', 'updated_at', 'data_timestamp']) {
      assert.match(String(members[key]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, key);
    }
    assert.deepEqual([members.deleted_at, members.deleted, members.metadata], [null, false, {}]);
    for (const base of [bench.v2, `${bench.v3}/native`]) {
      await bench.ask(200, 'GET', `${base}/backups/${backup.id}/export_record`, { token });
    }
  });

  test('is for admins, and of backups that are there and available', async () => {
    const url = `${bench.v3}/backups/${backup.id}/export_record`;
    await bench.assertFault(403, 'forbidden', 'GET', url);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/backups/${newUuid()}/export_record`, { token });
    const reset = (status: string) =>
      bench.ask(202, 'POST', `${bench.v3}/backups/${backup.id}/action`, {
        ...{ token, body: { 'os-reset_status': { status } } },
      });
    await reset('error');
    await bench.assertFault(400, 'badRequest', 'GET', url, { token });
    await reset('available');
  });
});

describe('import_record', () => {
  test('enters the backup under the id that the record has by then; both are listed and deleted', async () => {
    const id = newUuid();
    const record = await changed({ id, display_name: 'again' });
    const answer = await bench.ask(201, 'POST', `${bench.v3}/backups/import_record`, sendOf(record));
    const entered = answer.backup as Shown;
    assert.deepEqual(Object.keys(entered), ['id', 'name', 'links']);
    assert.deepEqual([entered.id, entered.name], [id, 'again']);
    const imported = await waitForBackup(id);
    assert.deepEqual(
      [imported.volume_id, imported.size, imported.container, imported.description, imported.object_count],
      [backup.volume_id, 1, 'vault', 'plain', backup.object_count],
    );
    const { backups } = (await bench.ask(200, 'GET', `${bench.v3}/backups`)) as { backups: Shown[] };
    assert.deepEqual(backups.map((each) => each.id).sort(), [backup.id, id].sort());
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/backups/import_record`, sendOf(record));

    const remove = async (backupId: string) => {
      await bench.ask(202, 'DELETE', `${bench.v3}/backups/${backupId}`);
      await bench.services.waitFor(async () =>
        (await bench.send('GET', `${bench.v3}/backups/${backupId}`)).statusCode === 404 ? true : undefined,
      );
    };
    await remove(id);
    const { restore } = (await bench.ask(202, 'POST', `${bench.v3}/backups/${backup.id}/restore`, {
      body: { restore: {} },
    })) as { restore: Record<string, string> };
    await bench.services.waitFor(async () => {
      const { volume } = (await bench.ask(200, 'GET', `${bench.v3}/volumes/${restore.volume_id}`)) as { volume: Shown };
      assert.doesNotMatch(volume.status, /^error/);
      return volume.status === 'available' ? true : undefined;
    });
  });

  test('refuses what is no record, naming what is wrong', async () => {
    const url = `${bench.v3}/backups/import_record`;
    const good = await exportRecord();
    const { service_metadata, ...placeless } = decode(good.backup_url);
    const place = JSON.parse(String(service_metadata)) as Record<string, string>;
    const withPlace = (changes: Record<string, unknown>) =>
      changed({ id: newUuid(), service_metadata: JSON.stringify({ ...place, ...changes }) });
    const bad: unknown[] = [
      {},
      { backup_url: good.backup_url },
      { backup_service: good.backup_service },
      { ...good, backup_service: '' },
      { ...good, backup_url: '' },
      { ...good, backup_service: 'cinder.backup.drivers.swift' },
      { ...good, backup_service: `${good.backup_service}${'x'.repeat(256)}` },
      { ...good, colour: 'red' },
      { ...good, backup_url: 'not base64!' },
      { ...good, backup_url: Buffer.from('{').toString('base64') },
      { ...good, backup_url: encode([1]) },
      { ...good, backup_url: encode({ ...decode(good.backup_url), id: undefined }) },
      { ...good, backup_url: encode({ ...placeless, id: newUuid() }) },
      await changed({ id: 'x' }),
      await changed({ id: newUuid(), size: undefined }),
      await changed({ id: newUuid(), size: 'many' }),
      await changed({ id: newUuid(), service_metadata: 'x' }),
      await changed({ id: newUuid(), metadata: { a: 1 } }),
      await changed({ id: newUuid(), display_name: 7 }),
      await withPlace({ repository_id: newUuid() }),
      await withPlace({ record_backup_id: '../../x' }),
      await withPlace({ record_backup_id: newUuid() }),
      await withPlace({ record_attempt_id: newUuid() }),
      good,
    ];
    for (const record of bad) await bench.assertFault(400, 'badRequest', 'POST', url, sendOf(record));
    await bench.assertFault(400, 'badRequest', 'POST', url, { token, body: {} });
    await bench.assertFault(403, 'forbidden', 'POST', url, { ...sendOf(good), token: bench.member.token });
  });
});

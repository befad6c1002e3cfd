// python-cinderclient's command `cinder` against a server of its own: what its users do every day, at the newest
// microversion that client and server both know.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CinderCli } from './support/cinder-cli.ts';
import { ClientBench } from './support/client-bench.ts';
import { missingProgram } from './support/programs.ts';

const skip = await missingProgram('cinder', 'python3-cinderclient');

describe('cinder', { skip }, () => {
  let bench: ClientBench;
  let ops: CinderCli;
  let boss: CinderCli;
  let auditor: CinderCli;
  let stranger: CinderCli;
  let disk: string;
  before(async () => {
    bench = await ClientBench.start();
    ops = new CinderCli(bench, bench.ops);
    boss = new CinderCli(bench, bench.boss);
    auditor = new CinderCli(bench, bench.auditor);
    stranger = new CinderCli(bench, bench.stranger);
    disk = await ops.createVolume('disk', '--metadata', 'tier=gold', 'rack=7');
  });
  after(() => bench[Symbol.asyncDispose]());

  test('finds out which versions the server speaks, and lowers its own to them', async () => {
    const versions = await ops.run('version-list');
    assert.match(versions, /\| v3\.0 +\| CURRENT .*\| 3\.0 +\| 3\.\d+ +\|/);
    await ops.run('--os-volume-api-version 3.70 list');
    await ops.run('--os-volume-api-version 3 list');
  });

  test('a wrong password is refused, and nothing else is asked', async () => {
    const env = { OS_PASSWORD: 'wrong' };
    const complaint = await bench.refused('cinder', ['list'], { env });
    assert.match(complaint, /requires authentication.*HTTP 401/);
  });

  describe('volumes', () => {
    test('list, show by name, filters and sorting', async () => {
      const other = await ops.createVolume('spare');
      assert.deepEqual(
        (await ops.rows('list --sort name:asc')).map(({ Name }) => Name),
        ['disk', 'spare'],
      );
      assert.deepEqual(
        (await ops.rows('list --name spare')).map(({ ID }) => ID),
        [other],
      );
      assert.deepEqual(
        (await ops.rows('list --metadata tier=gold')).map(({ ID }) => ID),
        [disk],
      );
      assert.deepEqual(await ops.rows('list --status error'), []);
      assert.equal((await ops.rows('list --limit 1')).length, 1);
      const shown = await ops.properties('show disk');
      assert.deepEqual([shown.id, shown.size, shown.bootable], [disk, '1', 'false']);
      assert.match(shown.metadata ?? '', /rack : 7|'rack': '7'/);
      await ops.run('delete spare');
      await ops.waitUntilGone('show spare');
    });

    test('another project sees none of them, an administrator asks for all projects', async () => {
      assert.deepEqual(await stranger.rows('list'), []);
      await stranger.refused(/No volume with a name or ID of/, `show ${disk}`);
      assert.ok((await boss.rows('list --all-tenants')).some(({ ID }) => ID === disk));
    });

    test('rename, metadata, bootable, read-only, extend', async () => {
      const id = await ops.createVolume('plain');
      await ops.run('rename plain --description', 'no longer plain');
      await ops.run(`rename ${id} fancy`);
      await ops.run('metadata fancy set colour=red weight=1');
      await ops.run('metadata fancy unset weight');
      await ops.run('set-bootable fancy true');
      await ops.run('readonly-mode-update fancy true');
      await ops.run('extend fancy 2');
      const shown = await ops.waitUntil('show fancy', 'available');
      assert.deepEqual([shown.id, shown.size, shown.bootable, shown.description], [id, '2', 'true', 'no longer plain']);
      assert.match(shown.metadata ?? '', /colour/);
      assert.match(shown.metadata ?? '', /readonly/);
      assert.doesNotMatch(shown.metadata ?? '', /weight/);
      await ops.refused(/HTTP 400/, 'extend fancy 1');
      await ops.run('delete fancy');
    });

    test('clone, and a volume larger than its source', async () => {
      const { id = '' } = await ops.properties(`create 2 --source-volid ${disk} --name clone --poll`);
      const shown = await ops.properties(`show ${id}`);
      assert.deepEqual([shown.source_volid, shown.size], [disk, '2']);
      await ops.run('delete clone');
      await ops.waitUntilGone('show clone');
    });

    test('a disk of the administrator’s is taken under management, and released unharmed', async () => {
      const path = join(bench.disksFolder, 'adopted.img');
      await writeFile(path, Buffer.alloc(1 << 20, 7));
      const { Host: host = '' } = (await boss.rows('service-list --binary cinder-volume'))[0] ?? {};
      const managed = await boss.properties(`manage ${host} ${path} --name adopted`);
      await boss.waitUntil(`show ${managed.id}`, 'available');
      await boss.backUp('adopted', 'of-adopted');
      await boss.run('unmanage adopted');
      await boss.waitUntilGone('show adopted');
    });

    test('states are reset by administrators only', async () => {
      await ops.refused(/HTTP 403|Unable to reset/, `reset-state ${disk} --state error`);
      assert.equal((await ops.properties(`show ${disk}`)).status, 'available');
      await boss.run(`reset-state ${disk} --state error`);
      assert.equal((await ops.properties(`show ${disk}`)).status, 'error');
      await boss.run(`reset-state ${disk} --state available`);
    });

    test('the summary counts what the project has', async () => {
      const summary = await ops.properties('summary');
      const { length } = await ops.rows('list');
      assert.equal(Number(summary.total_count), length);
    });
  });

  describe('backups', () => {
    test('create by the name of the volume, list with filters, show by name, rename, delete', async () => {
      const id = await ops.backUp('disk', 'daily', '--description', 'of today');
      assert.deepEqual(
        (await ops.rows('backup-list --name daily')).map(({ ID }) => ID),
        [id],
      );
      assert.deepEqual((await ops.rows(`backup-list --volume-id ${disk} --sort created_at:asc --limit 1`)).length, 1);
      assert.deepEqual(await ops.rows('backup-list --status error'), []);
      const shown = await ops.properties('backup-show daily');
      assert.deepEqual([shown.id, shown.volume_id, shown.size, shown.description], [id, disk, '1', 'of today']);
      await ops.run('backup-update daily --name weekly --metadata reason=test');
      assert.equal((await ops.properties(`backup-show ${id}`)).name, 'weekly');
      await ops.run('backup-delete weekly');
      await ops.waitUntilGone(`backup-show ${id}`);
    });

    test('an increment builds on a base, which shows it as long as it exists', async () => {
      const volume = await ops.createVolume('chained');
      await ops.refused(/HTTP 400/, `backup-create ${volume} --incremental`);
      const base = await ops.backUp(volume, 'base');
      const increment = await ops.backUp(volume, 'increment', '--incremental');
      assert.equal((await ops.properties(`backup-show ${increment}`)).is_incremental, 'True');
      assert.equal((await ops.properties(`backup-show ${base}`)).has_dependent_backups, 'True');
      await ops.run(`backup-delete ${increment}`);
      await ops.waitUntilGone(`backup-show ${increment}`);
      assert.equal((await ops.properties(`backup-show ${base}`)).has_dependent_backups, 'False');
      await ops.run(`backup-delete ${base}`);
      await ops.waitUntilGone(`backup-show ${base}`);
      await ops.run(`delete ${volume}`);
    });

    test('restore to a new volume, with the metadata of the old one, and to an existing one', async () => {
      const backup = await ops.backUp('disk', 'for-restore');
      const restored = await ops.properties(`backup-restore ${backup} --name revived`);
      assert.equal(restored.backup_id, backup);
      await ops.waitUntil(`backup-show ${backup}`, 'available');
      const revived = await ops.waitUntil(`show ${restored.volume_id}`, 'available');
      assert.equal(revived.name, 'revived');
      assert.match(revived.metadata ?? '', /gold/);
      const again = await ops.properties(`backup-restore ${backup} --volume revived`);
      assert.equal(again.volume_id, restored.volume_id);
      await ops.waitUntil(`backup-show ${backup}`, 'available');
      await ops.waitUntil('show revived', 'available');
      const made = await ops.properties(`create --backup-id ${backup} --name from-backup --poll`);
      assert.equal(made.status, 'available');
      await ops.run('delete revived from-backup');
    });

    test('a record is exported and imported by administrators, as another backup of the same data', async () => {
      const id = await boss.backUp('disk', 'to-export');
      await ops.refused(/HTTP 403/, `backup-export ${id}`);
      const record = await boss.properties(`backup-export ${id}`);
      const url = (record.backup_url ?? '').replaceAll(/\s/g, '');
      const fields = JSON.parse(Buffer.from(url, 'base64').toString()) as Record<string, unknown>;
      assert.equal(fields.id, id);
      const imported = '2f2a0a5e-6d60-4be4-8bd1-6c1b1f3f6c11';
      const changed = Buffer.from(JSON.stringify({ ...fields, id: imported })).toString('base64');
      await boss.run(`backup-import ${record.backup_service} ${changed}`);
      await boss.waitUntil(`backup-show ${imported}`, 'available');
      await boss.run(`backup-delete ${id}`);
      await boss.waitUntilGone(`backup-show ${id}`);
      const restored = await boss.properties(`backup-restore ${imported} --name of-the-import`);
      await boss.waitUntil(`show ${restored.volume_id}`, 'available');
      await boss.run(`backup-delete ${imported}`);
      await boss.waitUntilGone(`backup-show ${imported}`);
    });

    test('states are reset by administrators, who also delete by force', async () => {
      const id = await ops.backUp('disk', 'to-reset');
      await ops.refused(/HTTP 403/, `backup-reset-state ${id} --state error`);
      await boss.run(`backup-reset-state ${id} --state error`);
      await boss.waitUntilGone('backup-show no-such-backup');
      assert.equal((await ops.properties(`backup-show ${id}`)).status, 'error');
      await boss.run(`backup-delete --force ${id}`);
      await ops.waitUntilGone(`backup-show ${id}`);
    });
  });

  describe('snapshots', () => {
    test('create, list, show, rename, metadata, delete', async () => {
      const volume = await ops.createVolume('photographed');
      const { id = '' } = await ops.properties(`snapshot-create ${volume} --name before`);
      await ops.waitUntil(`snapshot-show ${id}`, 'available');
      assert.deepEqual(
        (await ops.rows(`snapshot-list --volume-id ${volume}`)).map(({ ID }) => ID),
        [id],
      );
      await ops.run('snapshot-rename before earlier --description', 'as it was');
      await ops.run(`snapshot-metadata ${id} set kept=yes`);
      const shown = await ops.properties('snapshot-show earlier');
      assert.deepEqual([shown.id, shown.volume_id, shown.description], [id, volume, 'as it was']);
      await ops.refused(/HTTP 400/, `delete ${volume}`);
      await ops.run(`snapshot-delete ${id}`);
      await ops.waitUntilGone(`snapshot-show ${id}`);
      await ops.run(`delete ${volume}`);
    });

    test('volumes and backups are made from one, the volume reverts to it and goes with it', async () => {
      const volume = await ops.createVolume('origin');
      const { id: snapshot = '' } = await ops.properties(`snapshot-create ${volume} --name point`);
      await ops.waitUntil(`snapshot-show ${snapshot}`, 'available');
      const made = await ops.properties(`create 1 --snapshot-id ${snapshot} --name from-snapshot --poll`);
      assert.deepEqual([made.status, made.snapshot_id], ['available', snapshot]);
      const backup = await ops.backUp(volume, 'of-snapshot', '--snapshot-id', snapshot);
      assert.equal((await ops.properties(`backup-show ${backup}`)).snapshot_id, snapshot);
      await ops.waitUntil(`snapshot-show ${snapshot}`, 'available');
      await ops.run(`revert-to-snapshot ${snapshot}`);
      await ops.waitUntil(`show ${volume}`, 'available');
      await ops.run(`delete --cascade ${volume}`);
      await ops.waitUntilGone(`show ${volume}`);
      await ops.waitUntilGone(`snapshot-show ${snapshot}`);
      await ops.run('delete from-snapshot');
    });
  });

  describe('quotas and small reads', () => {
    test('quotas are shown, set, enforced with 413 and reset', async () => {
      const { projectId } = bench.ops;
      const defaults = await boss.properties(`quota-defaults ${projectId}`);
      assert.ok('backups' in defaults && 'gigabytes' in defaults);
      const { length } = await ops.rows('backup-list');
      const updated = await boss.properties(`quota-update ${projectId} --backups ${length}`);
      assert.equal(updated.backups, String(length));
      await ops.refused(/HTTP 413/, `backup-create ${disk}`);
      const usage = (await ops.rows(`quota-usage ${projectId}`)).find(({ Type }) => Type === 'backups');
      assert.deepEqual([usage?.In_use, usage?.Limit], [String(length), String(length)]);
      await ops.refused(/HTTP 403/, `quota-update ${projectId} --backups 5`);
      await boss.run(`quota-delete ${projectId}`);
      assert.equal((await ops.properties(`quota-show ${projectId}`)).backups, defaults.backups);
      await boss.run('quota-class-show default');
    });

    test('limits, zones, types, extensions, filters and messages are read', async () => {
      const limits = await ops.rows('absolute-limits');
      assert.ok(limits.some(({ Name }) => Name === 'maxTotalBackups'));
      await ops.run('rate-limits');
      assert.equal((await ops.rows('availability-zone-list'))[0]?.Status, 'available');
      assert.ok((await ops.rows('type-list')).length > 0);
      await ops.run('type-default');
      assert.ok((await ops.rows('list-extensions')).some(({ Alias }) => Alias === 'backups'));
      assert.ok((await ops.rows('list-filters')).some(({ Resource }) => Resource === 'backup'));
      await ops.run('message-list');
    });

    test('types are made, given specs, used and deleted by administrators', async () => {
      await ops.refused(/HTTP 403/, 'type-create cold');
      const [made] = await boss.rows('type-create cold --description slow');
      await boss.run('type-key cold set vendor:spinning=yes');
      assert.match(await boss.run('extra-specs-list'), /spinning/);
      await boss.run(`type-update ${made?.ID} --name colder`);
      const volume = await ops.createVolume('on-cold', '--volume-type', 'colder');
      assert.equal((await ops.properties(`show ${volume}`)).volume_type, 'colder');
      await ops.run(`delete ${volume}`);
      await ops.waitUntilGone(`show ${volume}`);
      await boss.run('type-delete colder');
    });

    test('services and pools are shown to administrators; a disabled one takes no more work', async () => {
      const services = await boss.rows('service-list');
      for (const binary of ['cinder-backup', 'cinder-volume', 'cinder-scheduler']) {
        assert.equal(services.find(({ Binary }) => Binary === binary)?.State, 'up', binary);
      }
      await ops.refused(/HTTP 403/, 'service-list');
      assert.match(await boss.run('get-pools --detail'), /free_capacity_gb/);
      const host = services.find(({ Binary }) => Binary === 'cinder-backup')?.Host ?? '';
      await boss.run(`service-disable ${host} cinder-backup --reason maintenance`);
      await ops.refused(/HTTP 5\d\d|HTTP 4\d\d/, `backup-create ${disk}`);
      await boss.run(`service-enable ${host} cinder-backup`);
      await ops.backUp(disk, 'after-maintenance');
    });

    test('a reader reads everything and changes nothing', async () => {
      await auditor.run('list');
      await auditor.run('backup-list');
      await auditor.run('snapshot-list');
      await auditor.refused(/HTTP 403/, 'create 1 --name nothing');
      await auditor.refused(/HTTP 403/, `backup-create ${disk}`);
    });
  });

  test('attachments: the calls that a compute service makes', async () => {
    const volume = await ops.createVolume('attached');
    const server = '7f1c6a3e-54e2-4f1b-8b5e-0d9f0c2a3b4c';
    const made = await ops.properties(`attachment-create ${volume} ${server}`);
    const id = made.ID ?? made.id ?? '';
    assert.equal((await ops.properties(`show ${volume}`)).status, 'reserved');
    await ops.run(`attachment-update ${id} --initiator iqn.example --host ${hostname()} --mountpoint /dev/vdb`);
    await ops.run(`attachment-complete ${id}`);
    assert.equal((await ops.properties(`show ${volume}`)).status, 'in-use');
    await ops.refused(/HTTP 400/, `backup-create ${volume}`);
    await ops.backUp(volume, 'while-in-use', '--force');
    assert.equal((await ops.properties(`show ${volume}`)).status, 'in-use');
    await ops.refused(/HTTP 400/, `delete ${volume}`);
    assert.ok((await ops.rows('attachment-list')).length === 1);
    await ops.run(`attachment-delete ${id}`);
    await ops.waitUntil(`show ${volume}`, 'available');
    await ops.run(`delete ${volume}`);
  });
});

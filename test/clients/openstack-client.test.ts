// python-openstackclient's command `openstack` against a server of its own: login, volumes, backups, snapshots, types,
// quotas, and the management of users and projects.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ClientBench } from './support/client-bench.ts';
import { OpenstackCli } from './support/openstack-cli.ts';
import { missingProgram } from './support/programs.ts';

const skip = await missingProgram('openstack', 'python3-openstackclient');

describe('openstack', { skip }, () => {
  let bench: ClientBench;
  let ops: OpenstackCli;
  let boss: OpenstackCli;
  let auditor: OpenstackCli;
  before(async () => {
    bench = await ClientBench.start();
    ops = new OpenstackCli(bench, bench.ops);
    boss = new OpenstackCli(bench, bench.boss);
    auditor = new OpenstackCli(bench, bench.auditor);
  });
  after(() => bench[Symbol.asyncDispose]());

  describe('tokens and the catalog', () => {
    test('a token is issued, used instead of the password, and revoked', async () => {
      const { id, project_id } = await ops.object('token issue');
      assert.equal(project_id, bench.ops.projectId);
      const env = {
        OS_AUTH_TYPE: 'token',
        OS_TOKEN: String(id),
        OS_USERNAME: '',
        OS_PASSWORD: '',
        OS_USER_DOMAIN_NAME: '',
      };
      const byToken = new OpenstackCli(bench, bench.ops, env);
      await byToken.run('volume list');
      await ops.run('token revoke', String(id));
      await byToken.refused(/HTTP 401|requires authentication/, 'volume list');
    });

    test('the address may be that of the server, with or without a path', async () => {
      for (const path of ['', '/', '/v3', '/identity', '/identity/v3']) {
        const cli = new OpenstackCli(bench, bench.ops, { OS_AUTH_URL: `${bench.service.url}${path}` });
        await cli.run('volume list');
      }
    });

    test('the catalog holds what clients look for', async () => {
      const entries = await ops.list('catalog list');
      const types = new Set(entries.map(({ Type }) => Type));
      for (const type of ['identity', 'volumev3', 'block-storage', 'image', 'vbs', 'vbsv2', 'vbsv3']) {
        assert.ok(types.has(type), type);
      }
      await ops.run('catalog show block-storage');
    });

    test('an application credential stands in for the password, until it is deleted', async () => {
      const made = await ops.object('application credential create robot --role member');
      const env = {
        OS_AUTH_TYPE: 'v3applicationcredential',
        OS_APPLICATION_CREDENTIAL_ID: String(made.id),
        OS_APPLICATION_CREDENTIAL_SECRET: String(made.secret),
        ...{
          OS_USERNAME: '',
          OS_PASSWORD: '',
          OS_PROJECT_NAME: '',
          OS_USER_DOMAIN_NAME: '',
          OS_PROJECT_DOMAIN_NAME: '',
        },
      };
      const robot = new OpenstackCli(bench, bench.ops, env);
      await robot.run('volume list');
      assert.ok((await ops.list('application credential list')).some(({ Name }) => Name === 'robot'));
      await ops.run('application credential delete robot');
      await robot.refused(/HTTP 401|requires authentication/, 'volume list');
    });
  });

  describe('users and projects', () => {
    test('an administrator makes a project with a member, who works in it at once', async () => {
      const project = await boss.object('project create shop --description', 'the shop');
      const user = await boss.object('user create --password secret-of-anna anna');
      await boss.run('role add --project shop --user anna member');
      assert.equal((await boss.list('role assignment list --project shop --names')).length, 1);
      const person = {
        ...{ userName: 'anna', userId: String(user.id), password: 'secret-of-anna' },
        ...{ projectName: 'shop', projectId: String(project.id) },
      };
      const anna = new OpenstackCli(bench, person);
      await anna.createVolume('till');
      await boss.refused(/HTTP 4\d\d/, 'project delete shop');
      await anna.run('volume delete till');
      await anna.waitUntilGone('volume show till');
      await anna.run('user password set --original-password secret-of-anna --password new-secret-of-anna');
      await anna.refused(/HTTP 401|requires authentication/, 'volume list');
      const renewed = new OpenstackCli(bench, { ...person, password: 'new-secret-of-anna' });
      await renewed.run('volume list');
      await boss.run('user set --disable anna');
      await renewed.refused(/HTTP 401|requires authentication/, 'volume list');
      await boss.run('role remove --project shop --user anna member');
      await boss.run('user delete anna');
      await boss.run('project delete shop');
      assert.ok(!(await boss.list('project list')).some(({ Name }) => Name === 'shop'));
    });

    test('members manage nobody', async () => {
      await ops.refused(/HTTP 403/, 'user list');
      await ops.refused(/HTTP 403/, 'project create mine');
      assert.deepEqual(
        (await boss.list('domain list')).map(({ ID }) => ID),
        ['default'],
      );
    });
  });

  describe('volumes', () => {
    test('create, list, show, set, unset, extend, delete', async () => {
      const id = await ops.createVolume('disk', '--description', 'of the test', '--property', 'tier=gold');
      assert.deepEqual(
        (await ops.list('volume list --long --name disk')).map(({ ID }) => ID),
        [id],
      );
      await ops.run('volume set disk --name system --size 2 --property rack=7 --bootable');
      await ops.waitUntil('volume show system', 'available');
      await ops.run('volume unset system --property tier');
      const shown = await ops.object('volume show system');
      assert.deepEqual([shown.id, shown.size, shown.bootable, shown.description], [id, 2, 'true', 'of the test']);
      assert.deepEqual(shown.properties, { rack: '7' });
      await ops.run('volume set system --read-only');
      await ops.run('volume delete system');
      await ops.waitUntilGone('volume show system');
    });

    test('clone, and states by an administrator', async () => {
      const source = await ops.createVolume('source');
      const { id } = await ops.object(`volume create --source ${source} copy`);
      const copy = await ops.waitUntil(`volume show ${String(id)}`, 'available');
      assert.equal(copy.source_volid, source);
      await ops.refused(/HTTP 403/, `volume set --state error ${source}`);
      await boss.run(`volume set --state error ${source}`);
      assert.equal((await ops.object(`volume show ${source}`)).status, 'error');
      assert.ok((await boss.list('volume list --all-projects')).length >= 2);
      await ops.run(`volume delete ${source} copy`);
    });
  });

  describe('backups', () => {
    test('create, list, show, set, increment, delete', async () => {
      const volume = await ops.createVolume('ledger');
      const base = await ops.backUp('ledger', 'monday', '--description', 'full');
      const increment = await ops.backUp('ledger', 'tuesday', '--incremental');
      const rows = await ops.list('volume backup list --long --volume ledger');
      assert.deepEqual(rows.map(({ ID }) => ID).sort(), [base, increment].sort());
      const shown = await ops.object('volume backup show tuesday');
      assert.deepEqual([shown.id, shown.volume_id, shown.is_incremental], [increment, volume, true]);
      const newer = '--os-volume-api-version 3.47';
      await ops.run(`${newer} volume backup set tuesday --name wednesday --description later`);
      assert.equal((await ops.object(`volume backup show ${increment}`)).name, 'wednesday');
      await ops.run(`volume backup delete ${increment}`);
      await ops.waitUntilGone(`volume backup show ${increment}`);
      await ops.run('volume backup delete monday');
      await ops.waitUntilGone('volume backup show monday');
    });

    test('restore over the volume, and to a new one', async () => {
      const volume = await ops.createVolume('archive', '--property', 'shelf=3');
      const backup = await ops.backUp('archive', 'of-archive');
      await ops.refused(/--force/, `volume backup restore ${backup} archive`);
      // This version prints the answer of a restore with a defect of its own; what counts is what the server did.
      await bench.run('openstack', ['volume', 'backup', 'restore', '--force', backup, 'archive']);
      await ops.waitUntil(`volume show ${volume}`, 'available');
      await ops.waitUntil(`volume backup show ${backup}`, 'available');
      await bench.run('openstack', ['volume', 'backup', 'restore', backup, 'archive-again']);
      await ops.waitUntil(`volume backup show ${backup}`, 'available');
      const restored = await ops.waitUntil('volume show archive-again', 'available');
      assert.deepEqual(restored.properties, { shelf: '3' });
    });

    test('a record is exported and imported by an administrator', async () => {
      const volume = await boss.createVolume('recorded');
      const backup = await boss.backUp(volume, 'recorded-once');
      await ops.refused(/HTTP 403/, `volume backup record export ${backup}`);
      const record = await boss.object(`volume backup record export ${backup}`);
      const fields = JSON.parse(Buffer.from(String(record.backup_url), 'base64').toString()) as object;
      const id = '6d3d6f0b-43a1-4e6d-9a8b-5f7a6f1f9c11';
      const url = Buffer.from(JSON.stringify({ ...fields, id })).toString('base64');
      await boss.run(`volume backup record import ${String(record.backup_service)} ${url}`);
      await boss.waitUntil(`volume backup show ${id}`, 'available');
      await boss.run(`volume backup delete ${backup} ${id}`);
      await boss.waitUntilGone(`volume backup show ${id}`);
    });
  });

  test('snapshots: create, list, set, unset, volume and backup from one, delete', async () => {
    const volume = await ops.createVolume('filmed');
    const { id } = await ops.object('volume snapshot create --volume filmed scene --property take=1');
    const snapshot = String(id);
    await ops.waitUntil(`volume snapshot show ${snapshot}`, 'available');
    assert.deepEqual(
      (await ops.list('volume snapshot list --volume filmed')).map(({ ID }) => ID),
      [snapshot],
    );
    await ops.run('volume snapshot set scene --name cut --description final --property reel=2');
    await ops.run('volume snapshot unset cut --property take');
    const shown = await ops.object('volume snapshot show cut');
    assert.deepEqual([shown.id, shown.description, shown.properties], [snapshot, 'final', { reel: '2' }]);
    const made = await ops.object('volume create --snapshot cut remake');
    await ops.waitUntil(`volume show ${String(made.id)}`, 'available');
    const backup = await ops.backUp(volume, 'of-cut', '--snapshot', 'cut');
    assert.equal((await ops.object(`volume backup show ${backup}`)).snapshot_id, snapshot);
    await ops.run('volume snapshot delete cut');
    await ops.waitUntilGone('volume snapshot show cut');
    await ops.run('volume delete filmed remake');
  });

  test('types: create, set, unset, use, delete', async () => {
    await boss.run('volume type create --public --property vendor:spinning=yes cold');
    await boss.run('volume type set cold --description slow --property vendor:noise=low');
    await boss.run('volume type unset cold --property vendor:spinning');
    assert.deepEqual((await boss.object('volume type show cold')).properties, { 'vendor:noise': 'low' });
    assert.ok((await ops.list('volume type list --long')).some(({ Name }) => Name === 'cold'));
    await ops.run('volume type list --default');
    const volume = await ops.createVolume('on-cold', '--type', 'cold');
    assert.equal((await ops.object(`volume show ${volume}`)).type, 'cold');
    await ops.run(`volume delete ${volume}`);
    await ops.waitUntilGone(`volume show ${volume}`);
    await boss.run('volume type delete cold');
  });

  test('services are listed, disabled and enabled; zones are listed', async () => {
    const services = await boss.list('volume service list --long');
    const backups = services.find(({ Binary }) => Binary === 'cinder-backup');
    assert.deepEqual([backups?.Status, backups?.State], ['enabled', 'up']);
    const host = String(backups?.Host);
    await boss.run(`volume service set --disable --disable-reason repair ${host} cinder-backup`);
    const [disabled] = await boss.list('volume service list --long --service cinder-backup');
    assert.deepEqual([disabled?.Status, disabled?.['Disabled Reason']], ['disabled', 'repair']);
    await boss.run(`volume service set --enable ${host} cinder-backup`);
    assert.ok((await ops.list('availability zone list --volume')).length > 0);
  });

  test('a reader reads and changes nothing', async () => {
    await auditor.list('volume list');
    await auditor.list('volume backup list');
    await auditor.refused(/HTTP 403/, 'volume create --size 1 nothing');
  });
});

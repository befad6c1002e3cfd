// The keys on the wire, microversion by microversion: held against the response schemas that tempest ships, and against
// the keys that the API documents for each version, no more and no fewer.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asList, at, type Json, LiveApi, waitFor } from '../support/live-api.ts';
import { ClientBench, type Person } from './support/client-bench.ts';
import { readOutcomes, reportOutcomes } from './support/event-lines.ts';
import { findPython } from './support/programs.ts';

const CHECKER = fileURLToPath(new URL('programs/check-schemas.py', import.meta.url));
const NEWEST = 71;
const ALL = Array.from({ length: NEWEST + 1 }, (_, minor) => minor);
/** Versions that change what a creation answers, and those before them. */
const STEPS = [0, 12, 13, 42, 43, 47, 48, 60, 61, 62, 63, 64, 65, 66, 68, 69, NEWEST];

type Answer = { schema: string; call: string; version: string; status: number; body: unknown };
type Keys = readonly (readonly [since: number, ...keys: string[]])[];

const VOLUME_KEYS: Keys = [
  [0, 'id', 'name', 'description', 'status', 'size', 'availability_zone', 'created_at', 'updated_at', 'volume_type'],
  [0, 'snapshot_id', 'source_volid', 'metadata', 'links', 'user_id', 'bootable', 'encrypted', 'replication_status'],
  [0, 'consistencygroup_id', 'multiattach', 'attachments', 'os-vol-tenant-attr:tenant_id'],
  [13, 'group_id'],
  [48, 'service_uuid', 'shared_targets'],
  [63, 'volume_type_id'],
  [65, 'consumes_quota'],
];
const ADMIN_VOLUME_KEYS: Keys = [
  ...VOLUME_KEYS,
  [0, 'os-vol-host-attr:host', 'os-vol-mig-status-attr:migstat', 'os-vol-mig-status-attr:name_id', 'migration_status'],
  [61, 'cluster_name'],
];
const BACKUP_KEYS: Keys = [
  [0, 'id', 'volume_id', 'name', 'description', 'status', 'size', 'object_count', 'container', 'availability_zone'],
  [0, 'created_at', 'updated_at', 'data_timestamp', 'fail_reason', 'snapshot_id', 'is_incremental'],
  [0, 'has_dependent_backups', 'links'],
  [43, 'metadata'],
];
const ADMIN_BACKUP_KEYS: Keys = [...BACKUP_KEYS, [18, 'os-backup-project-attr:project_id'], [56, 'user_id']];
const SNAPSHOT_KEYS: Keys = [
  [0, 'id', 'name', 'description', 'volume_id', 'status', 'size', 'metadata', 'created_at', 'updated_at'],
  [0, 'os-extended-snapshot-attributes:progress', 'os-extended-snapshot-attributes:project_id'],
  [14, 'group_snapshot_id'],
  [41, 'user_id'],
  [65, 'consumes_quota'],
];

const python = (await findPython('tempest')) ?? '';
const needsTempest = python === '' ? 'tempest is not installed (Debian: python3-tempest)' : false;

describe('what the wire shows at each microversion', () => {
  let bench: ClientBench;
  let ops: LiveApi;
  let boss: LiveApi;
  let volumeId: string;
  let backupId: string;
  let snapshotId: string;
  before(async () => {
    bench = await ClientBench.start();
    ops = await logIn(bench, bench.ops);
    boss = await logIn(bench, bench.boss);
    volumeId = await createVolume({ size: 1, name: 'disk', metadata: { tier: 'gold' } });
    backupId = await create('backups', 'backup', { volume_id: volumeId, name: 'of disk', description: 'first' });
    snapshotId = await create('snapshots', 'snapshot', {
      volume_id: volumeId,
      name: 'of disk',
      metadata: { take: '1' },
    });
  });
  after(() => bench[Symbol.asyncDispose]());

  async function createVolume(volume: Json): Promise<string> {
    return await create('volumes', 'volume', volume);
  }

  /** Returns the id once the new thing is available. */
  async function create(collection: string, name: string, fields: Json): Promise<string> {
    const made = await ops.must('POST', `/v3/{p}/${collection}`, { body: { [name]: fields }, headers: headersOf(47) });
    const id = String(at(made, name).id);
    await waitUntilAvailable(collection, name, id);
    return id;
  }

  async function waitUntilAvailable(collection: string, name: string, id: string): Promise<void> {
    await waitFor(async () => {
      const { status } = at(await ops.must('GET', `/v3/{p}/${collection}/${id}`), name);
      assert.doesNotMatch(String(status), /error/);
      return status === 'available' ? true : undefined;
    });
  }

  test('the responses that tempest describes', { skip: needsTempest }, async (context) => {
    const answers = [...(await read()), ...(await change())];
    const stdin = answers.map((answer) => `${JSON.stringify(answer)}\n`).join('');
    const checked = readOutcomes(await bench.must(python, [CHECKER], { stdin }));
    assert.ok(checked.length > 30, 'all calls were checked');
    await reportOutcomes(context, checked);
  });

  /** Every call that reads, at every version that has it. */
  async function read(): Promise<Answer[]> {
    const project = bench.ops.projectId;
    const types = asList((await ops.must('GET', '/v3/{p}/types')).volume_types);
    const typeId = String(types[0]?.id);
    const reads: [by: LiveApi, schema: string, call: string, path: string, since?: number, until?: number][] = [
      [ops, 'volumes', 'list_volumes_no_detail', '/volumes'],
      [ops, 'volumes', 'list_volumes_with_detail', '/volumes/detail'],
      [boss, 'volumes', 'list_volumes_with_detail', '/volumes/detail?all_tenants=1'],
      [ops, 'volumes', 'show_volume', `/volumes/${volumeId}`],
      [boss, 'volumes', 'show_volume', `/volumes/${volumeId}`],
      [ops, 'volumes', 'show_volume_summary', '/volumes/summary', 12],
      [ops, 'volumes', 'show_volume_metadata', `/volumes/${volumeId}/metadata`],
      [ops, 'volumes', 'show_volume_metadata_item', `/volumes/${volumeId}/metadata/tier`],
      [ops, 'backups', 'list_backups_no_detail', '/backups'],
      [ops, 'backups', 'list_backups_with_detail', '/backups/detail'],
      [boss, 'backups', 'list_backups_with_detail', '/backups/detail?all_tenants=1'],
      [ops, 'backups', 'show_backup', `/backups/${backupId}`],
      [boss, 'backups', 'show_backup', `/backups/${backupId}`],
      [boss, 'backups', 'export_backup', `/backups/${backupId}/export_record`],
      // Tempest knows no later keys of snapshots; the test of the exact keys goes on.
      [ops, 'snapshots', 'list_snapshots_no_detail', '/snapshots', 0, 13],
      [ops, 'snapshots', 'list_snapshots_with_detail', '/snapshots/detail', 0, 13],
      [ops, 'snapshots', 'show_snapshot', `/snapshots/${snapshotId}`, 0, 13],
      [ops, 'snapshots', 'show_snapshot_metadata', `/snapshots/${snapshotId}/metadata`],
      [ops, 'snapshots', 'show_snapshot_metadata_item', `/snapshots/${snapshotId}/metadata/take`],
      [ops, 'volume_types', 'list_volume_types', '/types'],
      [boss, 'volume_types', 'list_volume_types', '/types'],
      [ops, 'volume_types', 'show_volume_type', `/types/${typeId}`],
      [boss, 'volume_types', 'list_volume_types_extra_specs', `/types/${typeId}/extra_specs`],
      [ops, 'limits', 'show_limits', '/limits'],
      [ops, 'quotas', 'show_quota_set', `/os-quota-sets/${project}`],
      [ops, 'quotas', 'show_quota_set', `/os-quota-sets/${project}/defaults`],
      [ops, 'quotas', 'show_quota_set_usage', `/os-quota-sets/${project}?usage=True`],
      [boss, 'quota_classes', 'show_quota_classes', '/os-quota-class-sets/default'],
      [boss, 'services', 'list_services', '/os-services'],
      [ops, 'extensions', 'list_extensions', '/extensions'],
      [boss, 'scheduler_stats', 'get_pools_no_detail', '/scheduler-stats/get_pools'],
      [boss, 'scheduler_stats', 'get_pools_with_detail', '/scheduler-stats/get_pools?detail=True'],
      [ops, 'messages', 'list_messages', '/messages', 3],
    ];
    const answers: Answer[] = [];
    for (const [by, schema, call, path, since = 0, until = NEWEST] of reads) {
      for (const minor of ALL.filter((version) => version >= since && version <= until)) {
        answers.push(await ask(by, schema, call, 'GET', path, minor));
      }
    }
    return answers;
  }

  /** The calls that change something, at the versions where their answers do. */
  async function change(): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (const minor of STEPS) {
      const tell = async (
        schema: string,
        call: string,
        method: string,
        path: string,
        body?: unknown,
      ): Promise<Json> => {
        const answer = await ask(ops, schema, call, method, path, minor, body);
        answers.push(answer);
        // The cast: all of these answer with an object, or with nothing.
        return (answer.body ?? {}) as Json;
      };
      const made = await tell('volumes', 'create_volume', 'POST', '/volumes', { volume: { size: 1, name: 'v' } });
      const id = String(at(made, 'volume').id);
      await waitUntilAvailable('volumes', 'volume', id);
      // Tempest's schema of this one answer has not followed what `detail` shows from 3.63 on.
      if (minor < 63) {
        await tell('volumes', 'update_volume', 'PUT', `/volumes/${id}`, { volume: { name: 'w' } });
      }
      await tell('volumes', 'update_volume_metadata', 'PUT', `/volumes/${id}/metadata`, { metadata: { a: 'b' } });
      await tell('volumes', 'create_volume_metadata', 'POST', `/volumes/${id}/metadata`, { metadata: { c: 'd' } });
      await tell('volumes', 'update_volume_metadata_item', 'PUT', `/volumes/${id}/metadata/a`, { meta: { a: 'e' } });
      await tell('volumes', 'delete_volume_metadata_item', 'DELETE', `/volumes/${id}/metadata/a`);
      await tell('volumes', 'set_bootable_volume', 'POST', `/volumes/${id}/action`, {
        'os-set_bootable': { bootable: true },
      });
      const backup = await tell('backups', 'create_backup', 'POST', '/backups', { backup: { volume_id: id } });
      const ofVolume = String(at(backup, 'backup').id);
      await waitUntilAvailable('backups', 'backup', ofVolume);
      if (minor >= 9) {
        await tell('backups', 'update_backup', 'PUT', `/backups/${ofVolume}`, { backup: { name: 'b' } });
      }
      const restore = { restore: { volume_id: id } };
      await tell('backups', 'restore_backup', 'POST', `/backups/${ofVolume}/restore`, restore);
      await waitUntilAvailable('volumes', 'volume', id);
      await waitUntilAvailable('backups', 'backup', ofVolume);
      await tell('backups', 'delete_backup', 'DELETE', `/backups/${ofVolume}`);
      if (minor < 14) {
        const body = { snapshot: { volume_id: id, name: 's' } };
        const snapshot = await tell('snapshots', 'create_snapshot', 'POST', '/snapshots', body);
        const snapshotOf = String(at(snapshot, 'snapshot').id);
        await waitUntilAvailable('snapshots', 'snapshot', snapshotOf);
        const update = { snapshot: { name: 't' } };
        await tell('snapshots', 'update_snapshot', 'PUT', `/snapshots/${snapshotOf}`, update);
        await tell('snapshots', 'delete_snapshot', 'DELETE', `/snapshots/${snapshotOf}`);
        await waitFor(async () => {
          const { status } = await ops.call('GET', `/v3/{p}/snapshots/${snapshotOf}`);
          return status === 404 ? true : undefined;
        });
      }
      await tell('volumes', 'delete_volume', 'DELETE', `/volumes/${id}`);
    }
    return answers;
  }

  test('the keys of a volume, for members and for administrators', async () => {
    for (const minor of ALL) {
      await assertKeys(ops, `/volumes/${volumeId}`, 'volume', minor, VOLUME_KEYS);
      await assertKeys(boss, `/volumes/${volumeId}`, 'volume', minor, ADMIN_VOLUME_KEYS);
      await assertKeys(ops, '/volumes/detail?limit=1', 'volumes', minor, VOLUME_KEYS);
    }
  });

  test('the keys of a backup, for members and for administrators', async () => {
    for (const minor of ALL) {
      await assertKeys(ops, `/backups/${backupId}`, 'backup', minor, BACKUP_KEYS);
      await assertKeys(boss, `/backups/${backupId}`, 'backup', minor, ADMIN_BACKUP_KEYS);
      await assertKeys(ops, '/backups/detail?limit=1', 'backups', minor, BACKUP_KEYS);
    }
  });

  test('the keys of a snapshot', async () => {
    for (const minor of ALL) {
      await assertKeys(ops, `/snapshots/${snapshotId}`, 'snapshot', minor, SNAPSHOT_KEYS);
      await assertKeys(ops, '/snapshots/detail?limit=1', 'snapshots', minor, SNAPSHOT_KEYS);
    }
  });

  test('summaries have id, name and links at every version', async () => {
    const keys: Keys = [[0, 'id', 'name', 'links']];
    for (const minor of ALL) {
      await assertKeys(ops, '/volumes?limit=1', 'volumes', minor, keys);
      await assertKeys(ops, '/backups?limit=1', 'backups', minor, keys);
    }
  });

  test('a version is echoed, one that is not there is 406, and what is none is 400', async () => {
    for (const minor of ALL) {
      const { headers } = await ops.call('GET', '/v3/{p}/volumes', { headers: headersOf(minor) });
      assert.equal(headers.get('openstack-api-version'), `volume 3.${minor}`);
      assert.match(headers.get('vary') ?? '', /OpenStack-API-Version/i);
    }
    const refusals = { 'volume 3.999': 406, 'volume 2.0': 406, 'volume 3': 400, 'volume foo': 400 };
    for (const [version, status] of Object.entries(refusals)) {
      const headers = { 'openstack-api-version': version };
      assert.equal((await ops.call('GET', '/v3/{p}/volumes', { headers })).status, status, version);
    }
    const latest = await ops.call('GET', '/v3/{p}/volumes', { headers: { 'openstack-api-version': 'volume latest' } });
    assert.equal(latest.headers.get('openstack-api-version'), `volume 3.${NEWEST}`);
  });
});

async function logIn(bench: ClientBench, { userName, password, projectId }: Person): Promise<LiveApi> {
  return await LiveApi.logIn(bench.service.url, password, { id: projectId }, userName);
}

function headersOf(minor: number): Record<string, string> {
  return { 'openstack-api-version': `volume 3.${minor}` };
}

async function ask(
  by: LiveApi,
  schema: string,
  call: string,
  method: string,
  path: string,
  minor: number,
  body?: unknown,
): Promise<Answer> {
  const options = { headers: headersOf(minor), ...(body === undefined ? {} : { body }) };
  const answer = await by.call(method, `/v3/{p}${path}`, options);
  return { schema, call, version: `3.${minor}`, status: answer.status, body: answer.body };
}

async function assertKeys(by: LiveApi, path: string, name: string, minor: number, table: Keys): Promise<void> {
  const { body } = await ask(by, '', '', 'GET', path, minor);
  // The cast: `call` returns objects.
  const found = (body as Json)[name];
  const shown = Array.isArray(found) ? asList(found)[0] : at(body, name);
  assert(shown !== undefined, path);
  const wanted = table.flatMap(([since, ...keys]) => (since <= minor ? keys : []));
  assert.deepEqual(Object.keys(shown).sort(), wanted.sort(), `${path} at 3.${minor}`);
}

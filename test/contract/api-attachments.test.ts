// Attaching volumes in both dialects (contract 3.25, 3.27), marks on volumes, and their metadata, over real services.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid, type VolumeId } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

type Shown = Record<string, unknown> & { id: string; status: string; metadata: Record<string, string> };
type ShownAttachment = Record<string, unknown> & { id: string; status: string };

const SERVER = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const at = (version: string, send: Send = {}): Send => ({
  ...send,
  headers: { 'openstack-api-version': `volume ${version}` },
});
const asAdmin = (send: Send = {}): Send => ({ ...send, token: bench.admin.token });

async function createVolume(): Promise<string> {
  const body = { volume: { size: 1, metadata: { tier: 'gold' } } };
  return ((await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body })).volume as Shown).id;
}
async function show(id: string, send: Send = {}): Promise<Shown> {
  return (await bench.ask(200, 'GET', `${bench.v3}/volumes/${id}`, send)).volume as Shown;
}
const act = (id: string, action: string, parameters: unknown = null, status = 202, send: Send = {}) =>
  bench.ask(status, 'POST', `${bench.v3}/volumes/${id}/action`, { ...send, body: { [action]: parameters } });
const refuseAct = (id: string, action: string, parameters: unknown = null, status = 400, send: Send = {}) => {
  const name = { 400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound' }[status] ?? '';
  const body = { [action]: parameters };
  return bench.assertFault(status, name, 'POST', `${bench.v3}/volumes/${id}/action`, { ...send, body });
};

describe('actions of compute', () => {
  test('a server reserves, attaches, begins to detach and detaches; each state refuses what does not fit', async () => {
    const id = await createVolume();
    await refuseAct(id, 'os-begin_detaching');
    await act(id, 'os-reserve');
    assert.equal((await show(id)).status, 'attaching');
    await refuseAct(id, 'os-reserve', {});
    await act(id, 'os-unreserve', {});
    assert.equal((await show(id)).status, 'available');
    await act(id, 'os-reserve', {});
    await act(id, 'os-attach', { instance_uuid: SERVER, mountpoint: '/dev/vdb', host_name: 'node-1' });
    const used = await show(id);
    assert.equal(used.status, 'in-use');
    assert.deepEqual(used.metadata, { tier: 'gold', readonly: 'False', attached_mode: 'rw' });
    const [attachment] = used.attachments as Record<string, unknown>[];
    const { attachment_id, attached_at, ...rest } = attachment ?? {};
    assert.deepEqual(rest, { id, volume_id: id, server_id: SERVER, host_name: null, device: '/dev/vdb' });
    assert.match(String(attached_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
    await refuseAct(id, 'os-attach', { instance_uuid: SERVER, mountpoint: '/dev/vdc' });
    await bench.assertFault(400, 'badRequest', 'DELETE', `${bench.v3}/volumes/${id}`);
    await refuseAct(id, 'os-force_delete', null, 400, asAdmin());
    await act(id, 'os-begin_detaching');
    await act(id, 'os-roll_detaching');
    await act(id, 'os-begin_detaching');
    await refuseAct(id, 'os-detach', { attachment_id: newUuid() }, 404);
    await act(id, 'os-detach', { attachment_id });
    const { status, metadata, attachments } = await show(id);
    assert.deepEqual([status, metadata, attachments], ['available', { tier: 'gold', readonly: 'False' }, []]);
    assert.deepEqual((await bench.ask(200, 'GET', `${bench.v3}/volumes/${id}/metadata`)).metadata, { tier: 'gold' });
  });

  test('a list in detail shows attachments too', async () => {
    const id = await createVolume();
    await act(id, 'os-attach', { instance_uuid: SERVER, mountpoint: '/dev/vdb' });
    const { volumes } = await bench.ask(200, 'GET', `${bench.v3}/volumes/detail?status=in-use`);
    assert.deepEqual(
      (volumes as Shown[]).map((volume) => [volume.id, (volume.attachments as unknown[]).length]),
      [[id, 1]],
    );
    await act(id, 'os-detach');
  });

  test('a connection is the path of the disk, on the machine that has it', async () => {
    const id = await createVolume();
    const connect = (connector: unknown) => act(id, 'os-initialize_connection', { connector }, 200);
    const { connection_info } = await connect({ host: 'host' });
    const { driver_volume_type, data } = connection_info as { driver_volume_type: string; data: object };
    assert.equal(driver_volume_type, 'local');
    const { source } = await bench.services.getVolume(id as VolumeId);
    assert.deepEqual(data, { device_path: source, access_mode: 'rw', encrypted: false, qos_specs: null });
    await refuseAct(id, 'os-initialize_connection', { connector: { host: 'elsewhere' } });
    await refuseAct(id, 'os-initialize_connection', { connector: null });
    await act(id, 'os-terminate_connection', { connector: { host: 'host' } });
    await refuseAct(id, 'os-initialize_connection', { connector: {} }, 403, { token: bench.reader.token });
  });

  test('what is read-only is attached for reading only', async () => {
    const id = await createVolume();
    await act(id, 'os-update_readonly_flag', { readonly: 'true' });
    assert.equal((await show(id)).metadata.readonly, 'True');
    await refuseAct(id, 'os-attach', { mountpoint: '/dev/vdb', mode: 'rw' });
    await act(id, 'os-attach', { mountpoint: '/dev/vdb' });
    assert.equal((await show(id)).metadata.attached_mode, 'ro');
    await refuseAct(id, 'os-update_readonly_flag', { readonly: false });
    await act(id, 'os-detach', {});
    await act(id, 'os-update_readonly_flag', { readonly: false });
    assert.equal((await show(id)).metadata.readonly, 'False');
  });

  test('an admin ends an attachment whatever the state, also of another project', async () => {
    const id = await createVolume();
    await act(id, 'os-attach', { mountpoint: '/dev/vdb' });
    await act(id, 'os-reset_status', { status: 'error' }, 202, asAdmin());
    await refuseAct(id, 'os-force_detach', {}, 403);
    await refuseAct(id, 'os-reset_status', { status: 'available' }, 400, asAdmin());
    await act(id, 'os-force_detach', {}, 202, asAdmin());
    await act(id, 'os-reset_status', { status: 'available' }, 202, asAdmin());
    const { status, attachments } = await show(id);
    assert.deepEqual([status, attachments], ['available', []]);
    await refuseAct(id, 'os-reset_status', { status: 'in-use' }, 400, asAdmin());
    await refuseAct(newUuid(), 'os-attach', {}, 404);
  });
});

describe('marks', () => {
  test('bootable, image metadata and type', async () => {
    const id = await createVolume();
    assert.deepEqual(await act(id, 'os-set_bootable', { bootable: true }, 200), {});
    assert.equal((await show(id)).bootable, 'true');
    await refuseAct(id, 'os-set_bootable', {});
    const set = await act(id, 'os-set_image_metadata', { metadata: { image_name: 'deb', kernel_id: '5' } }, 200);
    assert.deepEqual(set, { metadata: { image_name: 'deb', kernel_id: '5' } });
    await act(id, 'os-unset_image_metadata', { key: 'kernel_id' }, 200);
    await refuseAct(id, 'os-unset_image_metadata', { key: 'kernel_id' }, 404);
    assert.deepEqual(await act(id, 'os-show_image_metadata', null, 200), { metadata: { image_name: 'deb' } });
    assert.deepEqual((await show(id)).volume_image_metadata, { image_name: 'deb' });
    const body = { volume_type: { name: 'slow' } };
    await bench.ask(200, 'POST', `${bench.v3}/types`, asAdmin({ body }));
    await act(id, 'os-retype', { new_type: 'slow', migration_policy: 'never' });
    assert.equal((await show(id)).volume_type, 'slow');
    await refuseAct(id, 'os-retype', { new_type: 'slow' });
    await refuseAct(id, 'os-retype', { new_type: 'none' }, 404);
    await refuseAct(id, 'os-launch');
  });

  test('an extension in use needs 3.42, and never shrinks', async () => {
    const id = await createVolume();
    await act(id, 'os-attach', { mountpoint: '/dev/vdb' });
    await refuseAct(id, 'os-extend', { new_size: 2 });
    await act(id, 'os-extend', { new_size: 2 }, 202, at('3.42'));
    const { size, status } = await show(id);
    assert.deepEqual([size, status], [2, 'in-use']);
    await refuseAct(id, 'os-extend', { new_size: 2 }, 400, at('3.42'));
  });

  test('of many who change the metadata at once none loses what another set', async () => {
    const id = await createVolume();
    const url = `${bench.v3}/volumes/${id}/metadata`;
    const keys = Array.from({ length: 8 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => bench.ask(200, 'POST', url, { body: { metadata: { [key]: '' } } })));
    const { metadata } = await bench.ask(200, 'GET', url);
    assert.deepEqual(Object.keys(metadata as object).sort(), [...keys, 'tier']);
    await bench.ask(200, 'DELETE', `${url}/tier`);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${url}/tier`);
  });
});

describe('attachments as resources', () => {
  const url = () => `${bench.v3}/attachments`;
  const create = async (volumeId: string, more: Record<string, unknown>, version = '3.54') => {
    const body = { attachment: { volume_uuid: volumeId, instance_uuid: SERVER, ...more } };
    return (await bench.ask(200, 'POST', url(), at(version, { body }))).attachment as ShownAttachment;
  };

  test('exist from 3.27 on, their completion from 3.44', async () => {
    await bench.assertFault(404, 'itemNotFound', 'GET', url(), at('3.26'));
    await bench.ask(200, 'GET', url(), at('3.27'));
    const body = { 'os-complete': {} };
    await bench.assertFault(404, 'itemNotFound', 'POST', `${url()}/${newUuid()}/action`, at('3.43', { body }));
  });

  test('reserve, say which host, complete, end', async () => {
    const id = await createVolume();
    const { id: attachmentId, ...made } = await create(id, { mode: 'ro' });
    assert.deepEqual(made, {
      ...{ status: 'reserved', instance: SERVER, volume_id: id, attached_at: '', detached_at: '' },
      ...{ attach_mode: 'ro', connection_info: {} },
    });
    assert.equal((await show(id)).status, 'reserved');
    const one = `${url()}/${attachmentId}`;
    const complete = { body: { 'os-complete': null } };
    await bench.assertFault(400, 'badRequest', 'POST', `${one}/action`, at('3.44', complete));
    const connector = { host: 'host', mountpoint: '/dev/vdb' };
    const put = await bench.ask(200, 'PUT', one, at('3.54', { body: { attachment: { connector } } }));
    const { status, connection_info } = put.attachment as Record<string, Record<string, unknown>>;
    assert.equal(status, 'attaching');
    assert.equal(connection_info?.driver_volume_type, 'local');
    assert.equal(connection_info?.access_mode, 'ro');
    assert.equal((await show(id)).status, 'attaching');
    await bench.ask(204, 'POST', `${one}/action`, at('3.44', complete));
    const used = await show(id, asAdmin());
    assert.equal(used.status, 'in-use');
    assert.equal((used.attachments as Record<string, unknown>[])[0]?.host_name, 'host');
    const { attachments } = await bench.ask(200, 'GET', `${url()}/detail?volume_id=${id}`, at('3.27'));
    assert.deepEqual(
      (attachments as Shown[]).map((each) => each.status),
      ['attached'],
    );
    assert.deepEqual(await bench.ask(200, 'DELETE', one, at('3.27')), { attachments: [] });
    assert.equal((await show(id)).status, 'available');
    await bench.assertFault(404, 'itemNotFound', 'GET', one, at('3.27'));
  });

  test('before 3.44 a host is enough, and one server may prepare its next attachment', async () => {
    const id = await createVolume();
    const first = await create(id, { connector: { host: 'host' } }, '3.27');
    assert.equal(first.status, 'attached');
    const second = await create(id, {});
    assert.equal((await show(id)).status, 'in-use');
    const stranger = { attachment: { volume_uuid: id, instance_uuid: newUuid() } };
    await bench.assertFault(400, 'badRequest', 'POST', url(), at('3.54', { body: stranger }));
    await bench.ask(200, 'DELETE', `${url()}/${first.id}`, at('3.27'));
    assert.equal((await show(id)).status, 'reserved');
    await bench.ask(200, 'DELETE', `${url()}/${second.id}`, at('3.27'));
    assert.equal((await show(id)).status, 'available');
  });

  test('bad requests name the field, and other projects see nothing', async () => {
    const id = await createVolume();
    const refuse = (attachment: unknown, status = 400, name = 'badRequest', version = '3.54') =>
      bench.assertFault(status, name, 'POST', url(), at(version, { body: { attachment } }));
    await refuse({});
    const blank = await create(await createVolume(), { connector: {} });
    assert.equal(blank.status, 'reserved');
    await refuse({ volume_uuid: 'x' });
    await refuse({ volume_uuid: id, mode: 'rw' }, 400, 'badRequest', '3.53');
    await refuse({ volume_uuid: id, mode: 'x' });
    await refuse({ volume_uuid: id, connector: 'x' });
    await refuse({ volume_uuid: id, connector: { host: 'elsewhere' } });
    await refuse({ volume_uuid: newUuid() }, 404, 'itemNotFound');
    const { id: attachmentId } = await create(id, {});
    const foreign = { ...at('3.27'), token: bench.stranger.token };
    const path = `/v3/${bench.stranger.projectId}/attachments`;
    await bench.assertFault(404, 'itemNotFound', 'GET', `${path}/${attachmentId}`, foreign);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${path}/${attachmentId}`, foreign);
    assert.deepEqual(await bench.ask(200, 'GET', path, foreign), { attachments: [] });
  });
});

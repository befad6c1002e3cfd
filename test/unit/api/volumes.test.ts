// Requests of the volume API (contract 3.25).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkAttach,
  checkConnector,
  checkDetach,
  checkExtend,
  checkFlag,
  checkImageKey,
  checkImageMetadata,
  checkMetaBody,
  checkResetVolume,
  checkRetype,
  checkVolumeAction,
} from '../../../src/api/schemas/volume-actions.ts';
import {
  checkAdoptVolume,
  checkCreateVolume,
  checkUpdateVolume,
  checkVolumeId,
  parseVolumeFilter,
} from '../../../src/api/schemas/volumes.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const BACKUP = 'c41b9e07-2d5f-4c88-b1a6-0e7f63d2a915';
const create = (volume: Record<string, unknown>, version = 47) => checkCreateVolume(json({ volume }), version);

describe('creating a volume', () => {
  test('sizes are integers or their digits, from 1 on', () => {
    assert.equal(create({ size: 20 }).sizeGib, 20);
    assert.equal(create({ size: '20' }).sizeGib, 20);
    for (const size of [undefined, null, 0, -1, '0', '-1', '', '#$%', 1.5, true, [], {}, 1e300]) {
      expectCode('VOLUME_SIZE_INVALID', () => create({ size }), JSON.stringify(size));
    }
  });

  test('with a source the size may be absent', () => {
    assert.equal(create({ backup_id: BACKUP }).sizeGib, null);
    expectCode('VOLUME_SIZE_INVALID', () => create({ backup_id: BACKUP, size: 0 }));
  });

  test('at most one source, of an offered kind, from its microversion on', () => {
    expectCode('REQUEST_FIELD_INVALID', () => create({ backup_id: BACKUP, snapshot_id: BACKUP }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ backup_id: BACKUP, size: 1 }, 46));
    assert.equal(create({ source_volid: BACKUP }).sourceVolumeId, BACKUP);
    expectCode('REQUEST_FIELD_INVALID', () => create({ imageRef: BACKUP }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ backup_id: 'first' }));
    assert.equal(create({ snapshot_id: BACKUP }).snapshotId, BACKUP);
  });

  test('old names of name and description are understood, blanks trimmed, lengths checked', () => {
    const { name, description } = create({ size: 1, display_name: ' n ', display_description: 'd' });
    assert.deepEqual([name, description], ['n', 'd']);
    assert.equal(create({ size: 1, name: 'n'.repeat(255) }).name?.length, 255);
    expectCode('REQUEST_FIELD_INVALID', () => create({ size: 1, name: 'n'.repeat(256) }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ size: 1, description: 5 }));
  });

  test('what is not offered is refused', () => {
    expectCode('ROUTE_NOT_FOUND', () => create({ size: 1, group_id: BACKUP }));
    expectCode('ROUTE_NOT_FOUND', () => create({ size: 1, consistencygroup_id: 'x' }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ size: 1, multiattach: 'true' }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ size: 1, metadata: { k: 1 } }));
    assert.doesNotThrow(() => create({ size: 1, multiattach: false, group_id: null, imageRef: null }));
    assert.doesNotThrow(() => create({ size: 1, colour: 'red' }, 52));
    expectCode('REQUEST_FIELD_INVALID', () => create({ size: 1, colour: 'red' }, 53));
  });
});

test('an update leaves absent members alone, and wants one from 3.53 on', () => {
  assert.deepEqual(checkUpdateVolume(json({ volume: { name: null } }), 0), { name: null });
  assert.deepEqual(checkUpdateVolume(json({ volume: { colour: 1 } }), 52), {});
  expectCode('REQUEST_FIELD_INVALID', () => checkUpdateVolume(json({ volume: { colour: 1 } }), 53));
});

test('adopting needs host and reference', () => {
  const volume = { host: 'h@file#file', ref: { 'source-name': '/srv/disk.img' }, bootable: 'yes', name: 'db' };
  const input = checkAdoptVolume(json({ volume }));
  assert.deepEqual([input.host, input.reference, input.isBootable], ['h@file#file', '/srv/disk.img', true]);
  const wrong = [{ host: null }, { host: '' }, { host: 5 }, { ref: null }, { ref: {} }, { ref: { 'source-name': '' } }];
  for (const change of wrong) {
    expectCode('REQUEST_FIELD_INVALID', () => checkAdoptVolume(json({ volume: { ...volume, ...change } })));
  }
});

test('actions: exactly one key, an offered one', () => {
  assert.deepEqual(checkVolumeAction(json({ 'os-unmanage': null }), 0), { name: 'os-unmanage', parameters: null });
  expectCode('REQUEST_MALFORMED', () => checkVolumeAction(json({}), 71));
  expectCode('REQUEST_MALFORMED', () => checkVolumeAction(json({ 'os-extend': {}, 'os-unmanage': {} }), 71));
  for (const name of ['toString', '__proto__']) {
    expectCode('REQUEST_FIELD_INVALID', () => checkVolumeAction(json(JSON.parse(`{"${name}": {}}`)), 71));
  }
  expectCode('REQUEST_FIELD_INVALID', () => checkVolumeAction(json({ revert: {} }), 39));
  assert.equal(checkVolumeAction(json({ revert: {} }), 40).name, 'revert');
  expectCode('REQUEST_FIELD_INVALID', () => checkVolumeAction(json({ 'os-launch': {} }), 71));
  assert.equal(checkExtend({ new_size: '2' }), 2);
  for (const parameters of [null, {}, { new_size: null }, { new_size: 'big' }, { new_size: 0 }]) {
    expectCode('VOLUME_SIZE_INVALID', () => checkExtend(parameters));
  }
});

test('a status is reset to one that nothing has to end; of attachments and migrations it is only checked', () => {
  const reset = (parameters: unknown) => checkResetVolume(parameters);
  assert.deepEqual(reset({ status: 'Available', attach_status: null }), { status: 'available', isAttached: null });
  assert.deepEqual(reset({ attach_status: 'detached' }), { status: null, isAttached: false });
  assert.deepEqual(reset({ status: 'error', migration_status: 'none' }), { status: 'error', isAttached: null });
  const wrong = [{ status: 'extending' }, { status: 'deleting' }, { status: 5 }, { status: { toString: 1 } }, {}, null];
  const more = ['error', { status: 'error', attach_status: 'attaching' }, { migration_status: 'migrating' }];
  for (const parameters of [...wrong, ...more]) expectCode('REQUEST_FIELD_INVALID', () => reset(parameters));
});

test('attaching needs a mountpoint, and ids that are ids', () => {
  const server = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
  assert.deepEqual(checkAttach({ mountpoint: '/dev/vdb', instance_uuid: server.toUpperCase(), mode: 'ro' }), {
    device: '/dev/vdb',
    serverId: server,
    hostName: null,
    mode: 'ro',
  });
  const wrong = [null, {}, { mountpoint: '' }, { mountpoint: 5 }, { mountpoint: 'x'.repeat(256) }];
  const more = [
    { mountpoint: '/dev/vdb', instance_uuid: 'vm' },
    { mountpoint: '/dev/vdb', mode: 'w' },
  ];
  for (const parameters of [...wrong, ...more]) expectCode('REQUEST_FIELD_INVALID', () => checkAttach(parameters));
  assert.equal(checkDetach(null), null);
  assert.equal(checkDetach({}), null);
  assert.equal(checkDetach({ attachment_id: server.toUpperCase() }), server);
});

test('one key of the metadata is set by a body with that key', () => {
  assert.equal(checkMetaBody(json({ meta: { tier: 'gold' } }), 'tier'), 'gold');
  expectCode('REQUEST_FIELD_INVALID', () => checkMetaBody(json({ meta: { other: 'gold' } }), 'tier'));
  expectCode('REQUEST_FIELD_INVALID', () => checkMetaBody(json({ meta: { tier: 'gold', other: '' } }), 'tier'));
});

test('list filters: metadata as cinderclient writes it, bootable words by version', () => {
  const filter = (query: Record<string, string>, version = 0) => parseVolumeFilter(query, { version, isAdmin: false });
  assert.deepEqual(filter({ metadata: "{'k1': 'a'}" }), { metadata: { k1: 'a' } });
  assert.deepEqual(filter({ metadata: '{"k1": "a"}' }), { metadata: { k1: 'a' } });
  expectCode('REQUEST_FIELD_INVALID', () => filter({ metadata: 'k1' }));
  assert.deepEqual(filter({ bootable: 'True' }, 2), { isBootable: true });
  assert.deepEqual(filter({ bootable: 'yes' }, 1), { isBootable: true });
  expectCode('REQUEST_FIELD_INVALID', () => filter({ bootable: 'yes' }, 2));
  const at = Date.UTC(2026, 1, 3, 9, 15, 0, 120);
  const time = '2026-02-03T09:15:00.120000';
  assert.deepEqual(filter({ created_at: time }), { createdAt: [{ comparison: 'eq', at }] });
  assert.deepEqual(filter({ updated_at: `gt:2026-01-01,lte:${time}` }, 60), {
    updatedAt: [
      { comparison: 'gt', at: Date.UTC(2026, 0, 1) },
      { comparison: 'lte', at },
    ],
  });
  expectCode('REQUEST_FIELD_INVALID', () => filter({ created_at: `gt:${time}` }, 59));
  for (const text of ['in:2026-01-01', 'gt:', 'gt:soon', '2026-02-30x', `${time},`]) {
    expectCode('REQUEST_FIELD_INVALID', () => filter({ created_at: text }, 60));
  }
  assert.deepEqual(filter({ 'name~': 'b' }, 31), { nameLike: 'b' });
  assert.deepEqual(filter({ 'name~': 'b' }, 30), {});
  expectCode('VOLUME_NOT_FOUND', () => checkVolumeId('db'));
});

const PARAMETER_CHECKS: readonly ((parameters: unknown) => unknown)[] = [
  checkAttach,
  checkConnector,
  checkDetach,
  checkImageKey,
  checkImageMetadata,
  checkResetVolume,
  checkRetype,
  (parameters) => checkFlag(parameters, 'bootable'),
];

test('no body leads to anything but a code of the table', () => {
  const keys = ['size', 'name', 'metadata', 'backup_id', 'multiattach', 'host', 'ref', 'bootable', 'group_id'];
  const bodies = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), fc.anything());
  fc.assert(
    fc.property(bodies, fc.anything(), fc.string(), fc.nat(71), (volume, value, text, version) => {
      expectNoSurprise(() => create(volume, version));
      expectNoSurprise(() => checkUpdateVolume(json({ volume }), version));
      expectNoSurprise(() => checkAdoptVolume(json({ volume })));
      expectNoSurprise(() => checkVolumeAction(json(value), version));
      expectNoSurprise(() => checkExtend(value));
      for (const check of PARAMETER_CHECKS) expectNoSurprise(() => check(value));
      expectNoSurprise(() =>
        parseVolumeFilter({ metadata: text, created_at: text, size: text }, { version, isAdmin: true }),
      );
    }),
  );
});

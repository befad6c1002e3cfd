import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkCreateSnapshot,
  checkRevert,
  checkSnapshotAction,
  checkSnapshotId,
  checkUpdateSnapshot,
  parseSnapshotFilter,
  snapshotSortKeys,
} from '../../../src/api/schemas/snapshots.ts';
import { VbsError } from '../../../src/core/errors.ts';

const VOLUME = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const json = (value: unknown) => ({ kind: 'json', value }) as const;
const refused = { code: 'REQUEST_FIELD_INVALID' };

describe('creating a snapshot', () => {
  const check = (snapshot: unknown, version = 0) => checkCreateSnapshot(json({ snapshot }), version);

  test('takes old and new names of keys, and trims texts', () => {
    const expected = { volumeId: VOLUME, name: 'a', description: 'b', force: false, isAttachedPermitted: false };
    const old = { volume_id: VOLUME.toUpperCase(), display_name: ' a ', display_description: 'b', metadata: null };
    assert.deepEqual(check(old), { ...expected, metadata: {} });
    const now = { volume_id: VOLUME, name: 'a', description: 'b ', force: null, metadata: { k: 'v' } };
    assert.deepEqual(check(now), { ...expected, metadata: { k: 'v' } });
  });

  test('force: words below 3.66, meaningless but not false from then on', () => {
    for (const force of [true, 'True', '1', 'on', 'yes']) {
      assert.equal(check({ volume_id: VOLUME, force }, 65).force, true);
      assert.equal(check({ volume_id: VOLUME, force }, 66).isAttachedPermitted, true);
    }
    assert.equal(check({ volume_id: VOLUME, force: 'no' }, 65).force, false);
    assert.throws(() => check({ volume_id: VOLUME, force: false }, 66), refused);
    assert.deepEqual(
      [check({ volume_id: VOLUME }, 65).isAttachedPermitted, check({ volume_id: VOLUME }, 66).isAttachedPermitted],
      [false, true],
    );
  });
});

test('actions name one thing to do, with a state and a percentage that exist', () => {
  const check = (body: unknown) => checkSnapshotAction(json(body));
  assert.deepEqual(check({ 'os-force_delete': null }), { name: 'os-force_delete' });
  const report = { 'os-update_snapshot_status': { status: 'Error', progress: '0%' } };
  assert.deepEqual(check(report), { name: 'os-update_snapshot_status', status: 'error', progressPercent: 0 });
  for (const progress of ['101%', '5', 5, '-1%', '', {}]) {
    assert.throws(() => check({ 'os-update_snapshot_status': { status: 'error', progress } }), refused);
  }
  assert.throws(() => check({ 'os-reset_status': { status: 'fine' } }), refused);
  assert.throws(() => check({ 'os-reset_status': null }), refused);
  assert.throws(() => check({ 'os-force_delete': null, 'os-reset_status': null }), { code: 'REQUEST_MALFORMED' });
});

test('names are sorted by from 3.30 on, and on v2', () => {
  assert.equal(Object.hasOwn(snapshotSortKeys('v3', 29), 'name'), false);
  assert.equal(snapshotSortKeys('v3', 30).name, 'name');
  assert.equal(snapshotSortKeys('v2', 0).name, 'name');
});

test('whatever a client sends, it is taken or refused with a code that says what is wrong', () => {
  const keys = ['volume_id', 'name', 'description', 'force', 'metadata', 'status', 'progress', 'snapshot_id'];
  const value = fc.oneof(fc.constant(VOLUME), fc.constant('error'), fc.anything(), fc.jsonValue());
  const object = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value);
  const action = fc.constantFrom('os-reset_status', 'os-update_snapshot_status', 'os-force_delete', 'other');
  const isOurs = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      assert.ok(error instanceof VbsError && error.spec.status < 500, String(error));
    }
  };
  fc.assert(
    fc.property(object, action, fc.integer({ min: 0, max: 71 }), (body, name, version) => {
      isOurs(() => checkCreateSnapshot(json({ snapshot: body }), version));
      isOurs(() => checkUpdateSnapshot(json({ snapshot: body })));
      isOurs(() => checkSnapshotAction(json({ [name]: body })));
      isOurs(() => checkRevert(body));
      const texts = Object.fromEntries(Object.entries(body).map(([key, part]) => [key, String(JSON.stringify(part))]));
      isOurs(() => parseSnapshotFilter(texts, { version, isAdmin: version % 2 === 0 }));
      for (const text of Object.values(texts)) isOurs(() => checkSnapshotId(text));
    }),
  );
});

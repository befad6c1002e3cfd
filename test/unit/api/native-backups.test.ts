// Requests of the native backup API (contract 3.20, 3.21, 3.23): closed objects on v3, other name rules by face.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  backupSortKeys,
  checkCreateNativeBackup,
  checkNativeBackupId,
  checkRestoreNativeBackup,
  type NativeContext,
  parseBackupFilter,
} from '../../../src/api/schemas/native-backups.ts';
import type { ProjectId } from '../../../src/core/ids.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const VOLUME = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const PROJECT = '9f1c2d3e4b5a46978899aabbccddeeff' as ProjectId;
const V2: NativeContext = { face: 'v2', version: 0, projectId: PROJECT };
const V3: NativeContext = { face: 'v3', version: 0, projectId: PROJECT };
const NATIVE: NativeContext = { face: 'v3 native', version: 0, projectId: PROJECT };
const NEWEST: NativeContext = { face: 'v3', version: 71, projectId: PROJECT };

function create(change: Record<string, unknown>, context = V3): ReturnType<typeof checkCreateNativeBackup> {
  return checkCreateNativeBackup(json({ backup: { volume_id: VOLUME, ...change } }), context);
}

describe('creating natively', () => {
  test('what cinderclient sends, unused keys null, is understood', () => {
    const { input, isBaseRequired } = create({
      container: null,
      name: ' web root ',
      description: null,
      incremental: false,
      force: true,
      snapshot_id: null,
    });
    assert.equal(input.name, 'web root');
    assert.equal(input.force, true);
    assert.equal(input.dialect, 'native');
    assert.equal(input.isIncrementalRequested, false);
    assert.equal(isBaseRequired, false);
  });

  test('incremental is honoured on plain v3 only', () => {
    assert.equal(create({ incremental: 'True' }).isBaseRequired, true);
    for (const context of [V2, NATIVE]) {
      const { input, isBaseRequired } = create({ incremental: false }, context);
      assert.equal(input.isIncrementalRequested, true);
      assert.equal(isBaseRequired, false);
    }
  });

  test('unknown keys are refused on v3 and ignored on v2', () => {
    expectCode('REQUEST_FIELD_INVALID', () => create({ colour: 'red' }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ colour: 'red' }, NATIVE));
    assert.doesNotThrow(() => create({ colour: 'red' }, V2));
  });

  test('metadata and availability_zone exist from their microversions on', () => {
    expectCode('REQUEST_FIELD_INVALID', () => create({ metadata: {} }, { ...V3, version: 42 }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ availability_zone: 'az-1' }, { ...V3, version: 50 }));
    const { input } = create({ metadata: { key: 'v' }, availability_zone: 'az-1' }, NEWEST);
    assert.deepEqual([input.metadata, input.availabilityZone], [{ key: 'v' }, 'az-1']);
  });

  test('names: relaxed on plain v3, the VBS rule elsewhere, null everywhere', () => {
    assert.equal(create({ name: 'auto: anything ü' }).input.name, 'auto: anything ü');
    assert.equal(create({ name: 'n'.repeat(255) }).input.name?.length, 255);
    expectCode('REQUEST_FIELD_INVALID', () => create({ name: 'n'.repeat(256) }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ name: 'a\u0007b' }));
    for (const context of [V2, NATIVE]) {
      assert.equal(create({ name: null }, context).input.name, null);
      expectCode('BACKUP_NAME_RESERVED', () => create({ name: 'auto1' }, context));
      expectCode('BACKUP_NAME_CHARACTERS', () => create({ name: 'a b' }, context));
      expectCode('BACKUP_NAME_TOO_LONG', () => create({ name: 'n'.repeat(65) }, context));
    }
  });

  test('descriptions: 255 characters, without angle brackets on v2', () => {
    assert.equal(create({ description: '<b>' }).input.description, '<b>');
    expectCode('REQUEST_FIELD_INVALID', () => create({ description: '<b>' }, V2));
    expectCode('REQUEST_FIELD_INVALID', () => create({ description: 'd'.repeat(256) }));
    expectCode('REQUEST_FIELD_INVALID', () => create({ description: 'a\0b' }));
  });

  test('wrong types and values are refused', () => {
    const wrong = [
      { volume_id: undefined },
      { volume_id: null },
      { volume_id: 'abc' },
      { snapshot_id: 'abc' },
      { force: 'perhaps' },
      { incremental: null },
      { container: 5 },
      { container: 'c'.repeat(256) },
      { project_id: '0a1b2c3d4e5f60718293a4b5c6d7e8f9' },
    ];
    for (const change of wrong) expectCode('REQUEST_FIELD_INVALID', () => create(change), JSON.stringify(change));
    for (const metadata of [[], { k: 5 }, { '': 'v' }, { 'k!': 'v' }, { k: 'v'.repeat(256) }]) {
      expectCode('REQUEST_FIELD_INVALID', () => create({ metadata }, NEWEST), JSON.stringify(metadata));
    }
    assert.doesNotThrow(() => create({ project_id: '9f1c2d3e-4b5a-4697-8899-aabbccddeeff' }));
  });

  test('no body leads to anything but a code of the table', () => {
    const contexts = fc.constantFrom(V2, V3, NATIVE, NEWEST);
    const keys = ['volume_id', 'snapshot_id', 'name', 'description', 'container', 'incremental', 'force', 'metadata'];
    const bodies = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), fc.anything());
    fc.assert(
      fc.property(contexts, bodies, fc.anything(), (context, body, value) => {
        expectNoSurprise(() => create(body, context));
        expectNoSurprise(() => checkCreateNativeBackup(json(value), context));
        expectNoSurprise(() => checkRestoreNativeBackup(json({ restore: value }), context.face));
      }),
    );
  });
});

describe('restoring natively', () => {
  test('null stands for an empty request on v3, not on v2', () => {
    const nothing = { volumeId: undefined, name: null };
    assert.deepEqual(checkRestoreNativeBackup(json({ restore: null }), 'v3'), nothing);
    assert.deepEqual(checkRestoreNativeBackup(json({ restore: { volume_id: null, name: null } }), 'v3'), nothing);
    expectCode('REQUEST_MALFORMED', () => checkRestoreNativeBackup(json({ restore: null }), 'v2'));
    expectCode('REQUEST_MALFORMED', () => checkRestoreNativeBackup({ kind: 'absent' }, 'v3'));
    expectCode('REQUEST_FIELD_INVALID', () => checkRestoreNativeBackup(json({ restore: { volume_id: 'x' } }), 'v3'));
    expectCode('REQUEST_FIELD_INVALID', () => checkRestoreNativeBackup(json({ restore: { colour: 1 } }), 'v3'));
  });
});

describe('listing natively', () => {
  test('substring filters exist from 3.31 on; unknown ones are refused from there, or match nothing', () => {
    const query = { 'name~': 'web', colour: 'red' };
    assert.deepEqual(parseBackupFilter(query, { version: 30, isAdmin: false, face: 'v3' }), {});
    expectCode('REQUEST_FIELD_INVALID', () => parseBackupFilter(query, { version: 31, isAdmin: false, face: 'v3' }));
    for (const version of [30, 31]) {
      const { matchesNothing } = parseBackupFilter(query, { version, isAdmin: true, face: 'v3' });
      assert.equal(matchesNothing, true);
    }
    assert.deepEqual(parseBackupFilter(query, { version: 0, isAdmin: true, face: 'v2' }), {});
    assert.deepEqual(parseBackupFilter({ 'name~': 'web' }, { version: 31, isAdmin: true, face: 'v3' }), {
      nameLike: 'web',
    });
  });

  test('all_tenants means nothing from members, whatever its value', () => {
    assert.deepEqual(parseBackupFilter({ all_tenants: 'perhaps' }, { version: 45, isAdmin: false, face: 'v3' }), {});
    assert.deepEqual(parseBackupFilter({ all_tenants: '1' }, { version: 0, isAdmin: true, face: 'v3' }), {
      allProjects: true,
    });
    const query = { all_tenants: 'True', project_id: PROJECT };
    assert.deepEqual(parseBackupFilter(query, { version: 0, isAdmin: true, face: 'v3' }), {
      allProjects: true,
      projectId: PROJECT,
    });
  });

  test('sorting by name needs 3.37 on plain v3', () => {
    assert.equal(backupSortKeys('v3', 36).name, undefined);
    assert.equal(backupSortKeys('v3', 37).name, 'name');
    assert.equal(backupSortKeys('v2', 0).container_format, null);
  });
});

test('an id that is no UUID is an unknown backup', () => {
  expectCode('BACKUP_NOT_FOUND', () => checkNativeBackupId('web-root'));
});

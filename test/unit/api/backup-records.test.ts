// Bodies of import_record and PUT /backups/{id}: whatever comes in, a code of the table comes out (contract 3.23,
// 3.24).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkImportRecord } from '../../../src/api/schemas/backup-records.ts';
import { checkUpdateNativeBackup, type NativeContext } from '../../../src/api/schemas/native-backups.ts';
import { BACKUP_SERVICE, viewBackupRecord } from '../../../src/api/views/backup-record-view.ts';
import { newUuid, type ProjectId, type RepositoryId } from '../../../src/core/ids.ts';
import { NATIVE_RULES } from '../../../src/core/native-rules.ts';
import { sampleBackup } from '../services/samples.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const encode = (text: string) => Buffer.from(text).toString('base64');
const recordOf = (url: string) => json({ 'backup-record': { backup_service: BACKUP_SERVICE, backup_url: url } });

describe('backup records', () => {
  test('what is written down is what is read', () => {
    const backup = sampleBackup({
      name: 'Würfel\u2028"',
      description: 'a "b" {c}',
      dialect: 'native',
      container: 'vault',
      metadata: { key: 'value' },
      attemptId: newUuid(),
    });
    const repositoryId = newUuid<RepositoryId>();
    const record = viewBackupRecord({ backup, repositoryId });
    assert.deepEqual(checkImportRecord(json({ 'backup-record': record })), {
      backupId: backup.backupId,
      repositoryId,
      record: { recordBackupId: backup.recordBackupId, attemptId: backup.attemptId },
      name: backup.name,
      description: backup.description,
      container: 'vault',
      availabilityZone: 'az-1',
      metadata: { key: 'value' },
    });
  });

  test('a backup made through VBS keeps the form of its description', () => {
    const backup = sampleBackup({ description: 'before', dialect: 'vbs', attemptId: newUuid() });
    const { description } = checkImportRecord(
      json({ 'backup-record': viewBackupRecord({ backup, repositoryId: newUuid() }) }),
    );
    assert.deepEqual(JSON.parse(String(description)), { DESC: 'before', INC: 1 });
  });

  test('no body and no url leads to anything but a code of the table', () => {
    const members = ['id', 'size', 'service_metadata', 'display_name', 'metadata', 'container'];
    const flat = fc.dictionary(fc.oneof(fc.constantFrom(...members), fc.string()), fc.anything());
    fc.assert(
      fc.property(fc.anything(), fc.string(), flat, fc.uuid(), (value, text, fields, id) => {
        expectNoSurprise(() => checkImportRecord(json(value)));
        expectNoSurprise(() => checkImportRecord(json({ 'backup-record': value })));
        expectNoSurprise(() => checkImportRecord(recordOf(text)));
        expectNoSurprise(() => checkImportRecord(recordOf(encode(text))));
        const safe = JSON.stringify({ id, size: 1, ...fields }, (_key, each) =>
          typeof each === 'bigint' ? String(each) : (each as unknown),
        );
        expectNoSurprise(() => checkImportRecord(recordOf(encode(safe))));
      }),
    );
  });

  test('a long url that is no base64 is refused at once', () => {
    const beganAt = performance.now();
    expectCode('BACKUP_RECORD_INVALID', () => checkImportRecord(recordOf(`${'A'.repeat(100_000)}!`)));
    assert.ok(performance.now() - beganAt < 1000);
  });
});

describe('changing a backup', () => {
  const context: NativeContext = { face: 'v3', version: 43, projectId: '0'.repeat(32) as ProjectId };
  const update = (backup: unknown, changes: Partial<NativeContext> = {}) =>
    checkUpdateNativeBackup(json({ backup }), { ...context, ...changes });

  test('takes what is named, blanks at the ends of texts left out', () => {
    assert.deepEqual(update({}), {});
    assert.deepEqual(update({ name: ' a ', description: null }), { name: 'a', description: null });
    assert.deepEqual(update({ name: null, metadata: { k: 'v' } }), { name: null, metadata: { k: 'v' } });
    assert.deepEqual(update({ metadata: null }), {});
  });

  test('names follow the rule of the face and of the setting', () => {
    expectCode('BACKUP_NAME_CHARACTERS', () => update({ name: 'a b' }, { face: 'v3 native' }));
    const rules = { ...NATIVE_RULES, names: 'vbs' } as const;
    expectCode('BACKUP_NAME_RESERVED', () => update({ name: 'auto_1' }, { rules }));
    assert.deepEqual(update({ name: 'a b' }), { name: 'a b' });
  });

  test('no body leads to anything but a code of the table', () => {
    const keys = fc.oneof(fc.constantFrom('name', 'description', 'metadata'), fc.string());
    fc.assert(
      fc.property(fc.anything(), fc.dictionary(keys, fc.anything()), (value, backup) => {
        expectNoSurprise(() => checkUpdateNativeBackup(json(value), context));
        expectNoSurprise(() => update(backup));
        expectNoSurprise(() => update(backup, { face: 'v3 native', version: 9 }));
      }),
    );
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GIB } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { type AttemptId, newUuid } from '../../../src/core/ids.ts';
import type { BackupStatus, VolumeStatus } from '../../../src/core/model.ts';
import {
  requireBackupPossible,
  requireBackupResettable,
  requireDeletable,
  requireRestorePossible,
} from '../../../src/services/backup-rules.ts';
import { sampleBackup, sampleVolume } from './samples.ts';

const idle = { isBeingBackedUp: false, isBeingCopied: false };
const busy = { isBeingBackedUp: true, isBeingCopied: false };
const fromVbs = { dialect: 'vbs', force: false } as const;

function throwsCode(work: () => void, code: ErrorCode): void {
  assert.throws(work, { name: 'VbsError', code });
}

describe('requireBackupPossible', () => {
  it('accepts available and in-use volumes over the VBS API without force', () => {
    requireBackupPossible(sampleVolume(), idle, fromVbs);
    requireBackupPossible(sampleVolume({ status: 'in-use' }), idle, fromVbs);
  });

  it('wants force for an in-use volume over the native API', () => {
    const volume = sampleVolume({ status: 'in-use' });
    throwsCode(
      () => requireBackupPossible(volume, idle, { dialect: 'native', force: false }),
      'VOLUME_STATE_FORBIDS_BACKUP',
    );
    requireBackupPossible(volume, idle, { dialect: 'native', force: true });
  });

  for (const status of [
    'creating',
    'restoring-backup',
    'deleting',
    'error',
    'error_restoring',
  ] satisfies VolumeStatus[]) {
    it(`refuses a volume that is ${status}`, () => {
      throwsCode(() => requireBackupPossible(sampleVolume({ status }), idle, fromVbs), 'VOLUME_STATE_FORBIDS_BACKUP');
    });
  }

  it('names the state of the volume before the running backup', () => {
    throwsCode(
      () => requireBackupPossible(sampleVolume({ status: 'error' }), busy, fromVbs),
      'VOLUME_STATE_FORBIDS_BACKUP',
    );
    throwsCode(() => requireBackupPossible(sampleVolume(), busy, fromVbs), 'BACKUP_IN_PROGRESS');
  });
});

describe('requireDeletable', () => {
  it('accepts what nothing is at work on', () => {
    requireDeletable(sampleBackup());
    requireDeletable(sampleBackup({ status: 'error' }));
    requireDeletable(sampleBackup({ status: 'error_restoring' }));
    const others: BackupStatus[] = ['creating', 'restoring', 'deleting', 'error_deleting'];
    for (const status of others) {
      throwsCode(() => requireDeletable(sampleBackup({ status })), 'BACKUP_STATE_FORBIDS_DELETE');
    }
  });
});

describe('requireRestorePossible', () => {
  it('accepts a volume that is exactly as large as the backup', () => {
    requireRestorePossible(sampleBackup({ sizeBytes: GIB + 1 }), sampleVolume({ sizeBytes: GIB + 1 }), idle);
  });

  it('answers the first violation in the order of the contract', () => {
    const backup = sampleBackup({ sizeBytes: 3 * GIB });
    const creating = sampleBackup({ status: 'creating', sizeBytes: 3 * GIB });
    const cases: [() => void, ErrorCode][] = [
      [() => requireRestorePossible(creating, sampleVolume({ status: 'error' }), busy), 'BACKUP_NOT_AVAILABLE'],
      [
        () => requireRestorePossible(backup, sampleVolume({ status: 'error_restoring' }), busy),
        'RESTORE_VOLUME_IN_ERROR',
      ],
      [() => requireRestorePossible(backup, sampleVolume({ status: 'in-use' }), busy), 'RESTORE_VOLUME_NOT_AVAILABLE'],
      [() => requireRestorePossible(backup, sampleVolume(), busy), 'RESTORE_VOLUME_BEING_BACKED_UP'],
      [() => requireRestorePossible(backup, sampleVolume(), { ...idle, isBeingCopied: true }), 'VOLUME_BEING_COPIED'],
      [() => requireRestorePossible(backup, sampleVolume(), idle), 'RESTORE_VOLUME_TOO_SMALL'],
    ];
    for (const [work, code] of cases) throwsCode(work, code);
  });

  it('refuses a disk that only its rounded size makes large enough', () => {
    const volume = sampleVolume({ sizeBytes: GIB + 512 });
    throwsCode(
      () => requireRestorePossible(sampleBackup({ sizeBytes: 2 * GIB }), volume, idle),
      'RESTORE_VOLUME_TOO_SMALL',
    );
  });
});

describe('requireBackupResettable', () => {
  const free = { isJobOpen: false, isRecordTrashed: false };
  const committed = { attemptId: newUuid<AttemptId>() };

  it('leads out of every state that nothing is going to end', () => {
    for (const status of ['available', 'error_restoring', 'error', 'restoring'] satisfies BackupStatus[]) {
      requireBackupResettable(sampleBackup({ status, ...committed }), free, 'available');
      requireBackupResettable(sampleBackup({ status, attemptId: null }), free, 'error');
    }
  });

  it('refuses while a job is at work, once the record is in the trash, and for a backup that never was', () => {
    const backup = sampleBackup({ status: 'error_deleting', ...committed });
    for (const wanted of ['available', 'error'] as const) {
      throwsCode(
        () => requireBackupResettable(backup, { ...free, isJobOpen: true }, wanted),
        'BACKUP_STATE_FORBIDS_RESET',
      );
      throwsCode(
        () => requireBackupResettable(backup, { ...free, isRecordTrashed: true }, wanted),
        'BACKUP_STATE_FORBIDS_RESET',
      );
    }
    const failed = sampleBackup({ status: 'error', attemptId: null });
    throwsCode(() => requireBackupResettable(failed, free, 'available'), 'BACKUP_STATE_FORBIDS_RESET');
  });
});

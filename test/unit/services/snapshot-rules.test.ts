import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GIB } from '../../../src/core/bytes.ts';
import { newUuid } from '../../../src/core/ids.ts';
import { SNAPSHOT_STATUSES, type VolumeStatus } from '../../../src/core/model.ts';
import {
  requireAvailableSnapshot,
  requireCascade,
  requireCloneable,
  requireRevertPossible,
  requireSnapshotDeletable,
  requireSnapshotPossible,
  requireSnapshotResettable,
} from '../../../src/services/snapshot-rules.ts';
import { sampleSnapshot, sampleVolume } from './samples.ts';

const idle = { isJobOpen: false };
const busy = { isJobOpen: true };
const unused = { isBeingBackedUp: false, isBeingCopied: false };
const unfit: readonly VolumeStatus[] = ['creating', 'restoring-backup', 'extending', 'deleting', 'error', 'reverting'];

describe('requireSnapshotPossible', () => {
  it('wants a volume that is available, or in use where that is permitted', () => {
    requireSnapshotPossible(sampleVolume({ status: 'available' }), false);
    requireSnapshotPossible(sampleVolume({ status: 'in-use' }), true);
    const refused = { code: 'VOLUME_STATE_FORBIDS' };
    assert.throws(() => requireSnapshotPossible(sampleVolume({ status: 'in-use' }), false), refused);
    for (const status of unfit) assert.throws(() => requireSnapshotPossible(sampleVolume({ status }), true), refused);
  });
});

describe('requireCloneable', () => {
  it('wants a volume whose disk nobody here is writing', () => {
    for (const status of ['available', 'in-use'] as const) requireCloneable(sampleVolume({ status }));
    for (const status of unfit) {
      assert.throws(() => requireCloneable(sampleVolume({ status })), { code: 'VOLUME_STATE_FORBIDS' });
    }
  });
});

describe('requireAvailableSnapshot', () => {
  it('refuses every state but available', () => {
    for (const status of SNAPSHOT_STATUSES) {
      const check = () => requireAvailableSnapshot(sampleSnapshot({ status }));
      if (status === 'available') check();
      else assert.throws(check, { code: 'SNAPSHOT_STATE_FORBIDS' });
    }
  });
});

describe('requireSnapshotDeletable', () => {
  it('takes available and failed ones, and any state by force', () => {
    for (const status of SNAPSHOT_STATUSES) {
      const snapshot = sampleSnapshot({ status });
      requireSnapshotDeletable(snapshot, idle, { force: true });
      const check = () => requireSnapshotDeletable(snapshot, idle, { force: false });
      if (status === 'available' || status === 'error') check();
      else assert.throws(check, { code: 'SNAPSHOT_STATE_FORBIDS' });
    }
  });

  it('takes none that a job is at work on, not even by force', () => {
    for (const force of [false, true]) {
      assert.throws(() => requireSnapshotDeletable(sampleSnapshot(), busy, { force }), { code: 'SNAPSHOT_IN_USE' });
    }
  });
});

describe('requireSnapshotResettable', () => {
  it('leaves the state to a job that is open, and never calls half a snapshot available', () => {
    requireSnapshotResettable(sampleSnapshot(), idle, 'creating');
    requireSnapshotResettable(sampleSnapshot({ source: '' }), idle, 'error');
    const refused = { code: 'SNAPSHOT_STATE_FORBIDS_RESET' };
    assert.throws(() => requireSnapshotResettable(sampleSnapshot(), busy, 'error'), refused);
    assert.throws(() => requireSnapshotResettable(sampleSnapshot({ source: '' }), idle, 'available'), refused);
  });
});

describe('requireRevertPossible', () => {
  const volume = sampleVolume({ status: 'available', sizeBytes: GIB });
  const snapshot = sampleSnapshot({ volumeId: volume.volumeId, sizeBytes: GIB });
  const newest = snapshot;

  it('takes the newest snapshot of a volume that is at rest and as large', () => {
    requireRevertPossible(volume, snapshot, { newest, use: unused });
  });

  it('says what is wrong', () => {
    const check = (code: string, call: () => void) => assert.throws(call, { code });
    const other = sampleSnapshot({ snapshotId: newUuid() });
    check('SNAPSHOT_NOT_NEWEST', () => requireRevertPossible(volume, snapshot, { newest: other, use: unused }));
    check('SNAPSHOT_SIZE_DIFFERS', () =>
      requireRevertPossible({ ...volume, sizeBytes: 2 * GIB }, snapshot, { newest, use: unused }),
    );
    check('VOLUME_STATE_FORBIDS', () =>
      requireRevertPossible({ ...volume, status: 'in-use' }, snapshot, { newest, use: unused }),
    );
    check('SNAPSHOT_STATE_FORBIDS', () =>
      requireRevertPossible(volume, { ...snapshot, status: 'backing-up' }, { newest, use: unused }),
    );
    for (const use of [
      { ...unused, isBeingBackedUp: true },
      { ...unused, isBeingCopied: true },
    ]) {
      check('VOLUME_BEING_COPIED', () => requireRevertPossible(volume, snapshot, { newest, use }));
    }
  });
});

describe('requireCascade', () => {
  const plain = { cascade: false, force: false };
  const cascade = { cascade: true, force: false };

  it('keeps a volume with snapshots unless they may go with it', () => {
    const snapshots = [{ snapshot: sampleSnapshot(), use: idle }];
    requireCascade(sampleVolume(), [], plain);
    requireCascade(sampleVolume(), snapshots, cascade);
    assert.throws(() => requireCascade(sampleVolume(), snapshots, plain), { code: 'VOLUME_HAS_SNAPSHOTS' });
  });

  it('takes all snapshots or none', () => {
    const reading = [
      { snapshot: sampleSnapshot(), use: idle },
      { snapshot: sampleSnapshot({ status: 'backing-up' }), use: idle },
    ];
    assert.throws(() => requireCascade(sampleVolume(), reading, cascade), { code: 'SNAPSHOT_STATE_FORBIDS' });
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GIB } from '../../../src/core/bytes.ts';
import type { VolumeStatus } from '../../../src/core/model.ts';
import {
  planExtension,
  planVolumeSize,
  requireVolumeAtRest,
  requireVolumeDeletable,
  requireVolumeResettable,
} from '../../../src/services/volume-rules.ts';
import { sampleVolume } from './samples.ts';

const idle = { isBeingBackedUp: false };

describe('planVolumeSize', () => {
  it('is the size asked for, or exactly that of the source', () => {
    assert.equal(planVolumeSize(3, undefined), 3 * GIB);
    assert.equal(planVolumeSize(null, GIB + 512), GIB + 512);
    assert.equal(planVolumeSize(2, GIB + 512), 2 * GIB);
  });

  it('refuses what is missing, fractional, too small and too large', () => {
    const sizes: (number | null)[] = [null, 0, -1, 1.5, Number.NaN, 16 * 1024 + 1];
    for (const size of sizes) {
      assert.throws(() => planVolumeSize(size, undefined), { code: 'VOLUME_SIZE_INVALID' });
    }
    assert.throws(() => planVolumeSize(1, GIB + 512), { code: 'VOLUME_TOO_SMALL_FOR_SOURCE' });
  });
});

describe('planExtension', () => {
  it('grows only', () => {
    assert.equal(planExtension(sampleVolume({ sizeBytes: GIB }), 2), 2 * GIB);
    assert.throws(() => planExtension(sampleVolume({ sizeBytes: 2 * GIB }), 2), { code: 'VOLUME_SIZE_INVALID' });
  });
});

describe('requireVolumeDeletable', () => {
  it('follows the states of the contract', () => {
    for (const status of ['available', 'error', 'error_restoring', 'error_extending'] satisfies VolumeStatus[]) {
      requireVolumeDeletable(sampleVolume({ status }), idle, { force: false });
    }
    for (const status of ['in-use', 'error_deleting'] satisfies VolumeStatus[]) {
      const volume = sampleVolume({ status });
      assert.throws(() => requireVolumeDeletable(volume, idle, { force: false }), { code: 'VOLUME_STATE_FORBIDS' });
      requireVolumeDeletable(volume, idle, { force: true });
    }
  });

  it('never takes a disk away from a running operation, not even by force', () => {
    for (const status of [
      'creating',
      'restoring-backup',
      'backing-up',
      'extending',
      'deleting',
    ] satisfies VolumeStatus[]) {
      const volume = sampleVolume({ status });
      assert.throws(() => requireVolumeDeletable(volume, idle, { force: true }), { code: 'VOLUME_STATE_FORBIDS' });
    }
    const use = { isBeingBackedUp: true };
    assert.throws(() => requireVolumeDeletable(sampleVolume(), use, { force: true }), { code: 'VOLUME_STATE_FORBIDS' });
  });
});

describe('requireVolumeResettable', () => {
  const free = { isJobOpen: false };

  it('leads out of every state that nothing is going to end', () => {
    for (const status of ['error_restoring', 'error_extending', 'error_deleting', 'error', 'in-use', 'backing-up']) {
      // The cast: the literals above are states.
      requireVolumeResettable(sampleVolume({ status: status as VolumeStatus }), free, 'available');
    }
  });

  it('refuses while something is at work on it, and use of a volume without a disk', () => {
    const refused = { code: 'VOLUME_STATE_FORBIDS_RESET' };
    assert.throws(() => requireVolumeResettable(sampleVolume(), { isJobOpen: true }, 'error'), refused);
    for (const status of ['creating', 'extending'] satisfies VolumeStatus[]) {
      assert.throws(() => requireVolumeResettable(sampleVolume({ status }), free, 'error'), refused);
    }
    const diskless = sampleVolume({ status: 'error', source: '' });
    assert.throws(() => requireVolumeResettable(diskless, free, 'available'), refused);
    requireVolumeResettable(diskless, free, 'error');
  });
});

describe('requireVolumeAtRest', () => {
  it('refuses volumes in use and volumes that are read for a backup', () => {
    requireVolumeAtRest(sampleVolume(), idle);
    assert.throws(() => requireVolumeAtRest(sampleVolume({ status: 'in-use' }), idle), {
      code: 'VOLUME_STATE_FORBIDS',
    });
    assert.throws(() => requireVolumeAtRest(sampleVolume(), { isBeingBackedUp: true }), {
      code: 'VOLUME_STATE_FORBIDS',
    });
  });
});

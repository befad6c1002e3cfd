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

const idle = { isBeingBackedUp: false, isBeingCopied: false };
const free = { ...idle, isJobOpen: false };

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
      requireVolumeDeletable(sampleVolume({ status }), free, { force: false });
    }
    for (const status of ['in-use', 'error_deleting'] satisfies VolumeStatus[]) {
      const volume = sampleVolume({ status });
      assert.throws(() => requireVolumeDeletable(volume, free, { force: false }), { code: 'VOLUME_STATE_FORBIDS' });
      requireVolumeDeletable(volume, free, { force: true });
    }
  });

  it('never takes a disk away from a running operation, not even by force', () => {
    const refused = { code: 'VOLUME_STATE_FORBIDS' };
    const force = { force: true };
    for (const status of ['restoring-backup', 'backing-up', 'deleting', 'error'] satisfies VolumeStatus[]) {
      const volume = sampleVolume({ status });
      assert.throws(() => requireVolumeDeletable(volume, { ...free, isJobOpen: true }, force), refused);
      requireVolumeDeletable(volume, free, force);
    }
    assert.throws(() => requireVolumeDeletable(sampleVolume({ status: 'extending' }), free, force), refused);
    const making = sampleVolume({ status: 'creating', source: '' });
    assert.throws(() => requireVolumeDeletable(making, free, force), refused);
    // It has a disk: an admin has set the state by hand.
    requireVolumeDeletable(sampleVolume({ status: 'creating' }), free, force);
    assert.throws(() => requireVolumeDeletable(sampleVolume(), { ...free, isBeingBackedUp: true }, force), refused);
  });
});

describe('requireVolumeResettable', () => {
  const refused = { code: 'VOLUME_STATE_FORBIDS_RESET' };
  const use = { isJobOpen: false, isAttached: false };

  it('leads out of every state that nothing is going to end', () => {
    for (const status of ['error_restoring', 'error_extending', 'error_deleting', 'error', 'in-use', 'backing-up']) {
      // The cast: the literals above are states.
      requireVolumeResettable(sampleVolume({ status: status as VolumeStatus }), use, 'available');
    }
  });

  it('refuses while something is at work on it, and use of a volume without a disk', () => {
    assert.throws(() => requireVolumeResettable(sampleVolume(), { ...use, isJobOpen: true }, 'error'), refused);
    assert.throws(() => requireVolumeResettable(sampleVolume({ status: 'extending' }), use, 'error'), refused);
    const making = sampleVolume({ status: 'creating', source: '' });
    assert.throws(() => requireVolumeResettable(making, use, 'error'), refused);
    const diskless = sampleVolume({ status: 'error', source: '' });
    assert.throws(() => requireVolumeResettable(diskless, use, 'available'), refused);
    requireVolumeResettable(diskless, use, 'error');
  });

  it('agrees with the attachments that there are', () => {
    assert.throws(() => requireVolumeResettable(sampleVolume(), use, 'in-use'), refused);
    const attached = { ...use, isAttached: true };
    requireVolumeResettable(sampleVolume({ status: 'error' }), attached, 'in-use');
    assert.throws(() => requireVolumeResettable(sampleVolume({ status: 'error' }), attached, 'available'), refused);
  });
});

describe('requireVolumeAtRest', () => {
  it('refuses volumes in use and volumes that are read for a backup', () => {
    requireVolumeAtRest(sampleVolume(), idle);
    assert.throws(() => requireVolumeAtRest(sampleVolume({ status: 'in-use' }), idle), {
      code: 'VOLUME_STATE_FORBIDS',
    });
    assert.throws(() => requireVolumeAtRest(sampleVolume(), { isBeingBackedUp: true, isBeingCopied: false }), {
      code: 'VOLUME_STATE_FORBIDS',
    });
    assert.throws(() => requireVolumeAtRest(sampleVolume(), { isBeingBackedUp: false, isBeingCopied: true }), {
      code: 'VOLUME_BEING_COPIED',
    });
  });
});

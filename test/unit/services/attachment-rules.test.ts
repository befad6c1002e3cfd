import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newUuid } from '../../../src/core/ids.ts';
import type { Attachment, AttachmentStatus, VolumeStatus } from '../../../src/core/model.ts';
import {
  chooseAttachment,
  isDecidedByAttachments,
  planMode,
  requireReservable,
  requireStatus,
  requireUndisturbed,
  statusByAttachments,
} from '../../../src/services/attachment-rules.ts';
import { sampleVolume } from './samples.ts';

function attachment(status: AttachmentStatus, serverId: string | null = null): Attachment {
  const { volumeId, projectId } = sampleVolume();
  return {
    ...{ attachmentId: newUuid(), volumeId, projectId, serverId, hostName: null, device: null, mode: 'rw', status },
    ...{ connector: null, createdAt: 0, updatedAt: null, attachedAt: null },
  };
}

const refused = { code: 'VOLUME_STATE_FORBIDS' };

describe('planMode', () => {
  it('follows the volume where nobody asks, and never lets a read-only one be written', () => {
    assert.equal(planMode(sampleVolume(), null), 'rw');
    assert.equal(planMode(sampleVolume(), 'ro'), 'ro');
    const readonly = sampleVolume({ isReadonly: true });
    assert.equal(planMode(readonly, null), 'ro');
    assert.throws(() => planMode(readonly, 'rw'), { code: 'VOLUME_READONLY' });
    assert.equal(planMode(sampleVolume({ isReadonly: false }), 'rw'), 'rw');
  });
});

describe('requireReservable', () => {
  it('wants a volume that nobody has, or a further attachment of the one server that has it', () => {
    requireReservable(sampleVolume(), [], null);
    const used = sampleVolume({ status: 'in-use' });
    requireReservable(used, [attachment('attached', 's')], 's');
    assert.throws(() => requireReservable(used, [attachment('attached', 's')], 't'), refused);
    assert.throws(
      () => requireReservable(used, [attachment('attached', 's'), attachment('reserved', 't')], 's'),
      refused,
    );
    assert.throws(() => requireReservable(used, [attachment('attached', null)], null), refused);
    assert.throws(() => requireReservable(used, [], 's'), refused);
    for (const status of ['attaching', 'reserved', 'restoring-backup', 'error'] satisfies VolumeStatus[]) {
      assert.throws(() => requireReservable(sampleVolume({ status }), [], 's'), refused);
    }
  });
});

describe('statusByAttachments', () => {
  it('says what is furthest along', () => {
    assert.equal(statusByAttachments([]), 'available');
    assert.equal(statusByAttachments([attachment('reserved')]), 'reserved');
    assert.equal(statusByAttachments([attachment('reserved'), attachment('attaching')]), 'attaching');
    assert.equal(statusByAttachments([attachment('attaching'), attachment('attached')]), 'in-use');
    assert.equal(statusByAttachments([attachment('detaching')]), 'in-use');
  });

  it('decides only where nothing else is at work on the volume', () => {
    assert.ok(isDecidedByAttachments('in-use'));
    for (const status of ['backing-up', 'restoring-backup', 'error', 'deleting'] satisfies VolumeStatus[]) {
      assert.ok(!isDecidedByAttachments(status));
    }
    requireStatus(sampleVolume(), 'in-use', 'available');
    assert.throws(() => requireStatus(sampleVolume(), 'in-use'), refused);
    requireUndisturbed(sampleVolume({ status: 'error' }));
    assert.throws(() => requireUndisturbed(sampleVolume({ status: 'backing-up' })), refused);
  });
});

describe('chooseAttachment', () => {
  it('finds the one that is meant, also when it is not named, and asks when it could be several', () => {
    const [one, two] = [attachment('attached'), attachment('attached')];
    assert.equal(chooseAttachment([one, two], two.attachmentId), two);
    assert.equal(chooseAttachment([one], null), one);
    assert.equal(chooseAttachment([], null), undefined);
    assert.throws(() => chooseAttachment([one], 'other'), { code: 'ATTACHMENT_NOT_FOUND' });
    assert.throws(() => chooseAttachment([one, two], null), { code: 'REQUEST_FIELD_INVALID' });
  });
});

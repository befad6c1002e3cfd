import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AttemptId,
  type BackupId,
  newHexId,
  newUuid,
  type ProjectId,
  type VolumeId,
} from '../../../../src/core/ids.ts';
import { type BackupRecord, decodeRecord, encodeRecord } from '../../../../src/engine/format/record-format.ts';
import { bytesOf } from '../../../support/arbitraries.ts';
import { assertCorrupt, flipBit, tryUnlessCorrupt } from '../../../support/damage.ts';

const anyText = fc.option(fc.string({ unit: 'grapheme', maxLength: 64 }), { nil: null });
const anyRecord: fc.Arbitrary<BackupRecord> = fc
  .record({ name: anyText, description: anyText, volumeName: anyText, sizeBytes: fc.maxSafeNat() })
  .map((some) => ({
    ...some,
    format: 1,
    backupId: newUuid<BackupId>(),
    attemptId: newUuid<AttemptId>(),
    projectId: newHexId<ProjectId>(),
    volumeId: newUuid<VolumeId>(),
    parentId: null,
    isIncremental: false,
    tags: [{ key: 'key', value: some.name ?? '' }],
    driver: 'file',
    consistency: 'quiescent',
    levels: 2,
    storedBytes: 1,
    objectCount: 1,
    createdAt: 2,
    dataTimestampAt: 3,
  }));

test('a record and its page come back', () => {
  fc.assert(
    fc.property(anyRecord, bytesOf(300), (record, page) => {
      const decoded = decodeRecord(encodeRecord(record, page), 'x');
      assert.deepEqual(decoded.record, record);
      assert(decoded.topPage.equals(page));
    }),
  );
});

test('a cut record is refused, and a flipped bit gives no error but corruption or an unknown format', () => {
  fc.assert(
    fc.property(anyRecord, fc.nat(), fc.nat(), (record, cut, bit) => {
      const bytes = encodeRecord(record, Buffer.alloc(0));
      assertCorrupt(() => decodeRecord(bytes.subarray(0, cut % bytes.length), 'x'), 'x');
      tryUnlessCorrupt(() => decodeRecord(flipBit(bytes, bit), 'x'), ['DATA_CORRUPT', 'REPOSITORY_UNKNOWN_FORMAT']);
    }),
    { numRuns: 300 },
  );
});

test('what is no record at all is refused', () => {
  for (const json of ['null', '1', '[]', '{}', '"text"']) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    assertCorrupt(() => decodeRecord(Buffer.concat([length, Buffer.from(json)]), 'x'), 'x');
  }
});

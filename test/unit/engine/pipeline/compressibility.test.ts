import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { KIB, MIB } from '../../../../src/core/bytes.ts';
import { looksIncompressible } from '../../../../src/engine/pipeline/compressibility.ts';

const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 3), Buffer.alloc(16)).update(Buffer.alloc(4 * MIB));

function makeText(lengthBytes: number): Buffer {
  const lines = Array.from({ length: lengthBytes / 16 }, (_, i) => `${i % 977} ${noise.readUInt32LE(4 * i)} error\n`);
  return Buffer.from(lines.join('')).subarray(0, lengthBytes);
}

test('random and compressed bytes are not worth compressing, from one chunk to a frame', () => {
  const deflated = deflateRawSync(makeText(2 * MIB));
  for (const sizeBytes of [64 * KIB, 192 * KIB, MIB]) {
    assert.equal(looksIncompressible(noise.subarray(0, sizeBytes)), true);
    assert.equal(looksIncompressible(deflated.subarray(0, Math.min(sizeBytes, deflated.length))), true);
  }
});

test('text, zeros and a frame that is random in half of its chunks are', () => {
  assert.equal(looksIncompressible(makeText(MIB)), false);
  assert.equal(looksIncompressible(Buffer.alloc(MIB)), false);
  assert.equal(looksIncompressible(Buffer.concat([noise.subarray(0, MIB / 2), makeText(MIB / 2)])), false);
});

test('so is a short pattern that holds every byte value as often as the others', () => {
  const pattern = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.equal(looksIncompressible(Buffer.alloc(MIB, pattern)), false);
});

test('what is too short for a sample is compressed without one', () => {
  assert.equal(looksIncompressible(noise.subarray(0, 60 * KIB)), false);
});

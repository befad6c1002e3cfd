// Whether data is worth compressing, from a small sample of it: media, archives and encrypted files look alike.
import { constants, zstdCompressSync } from 'node:zlib';
import { KIB } from '../../core/bytes.ts';

const PIECE_COUNT = 32;
const PIECE_SIZE_BYTES = KIB;
const SAMPLE_SIZE_BYTES = PIECE_COUNT * PIECE_SIZE_BYTES;
/**
 * Sum of the squared shares of the 256 byte values, times 256: 1 for bytes that are spread evenly. A sample of random
 * bytes comes to 1 + 255/32768, give or take 0.0007; text to 10 and more.
 */
const EVENNESS_MAX = 1.03;
/** Short patterns that hold every byte value as often as the others shrink all the same. */
const SHRUNK_MAX = 31 / 32;
/** Of each byte value, of one call at a time. */
const COUNTS = new Uint32Array(256);

/**
 * True when the sample cannot be compressed. Wrong, at the cost of space, where random bytes repeat at a distance that
 * no piece of the sample covers. Looking takes a tenth of what compressing at level 1 takes.
 */
export function looksIncompressible(bytes: Uint8Array): boolean {
  if (bytes.length < 2 * SAMPLE_SIZE_BYTES) return false;
  const strideBytes = Math.floor(bytes.length / PIECE_COUNT);
  if (evennessOf(bytes, strideBytes) > EVENNESS_MAX) return false;
  const sample = new Uint8Array(SAMPLE_SIZE_BYTES);
  for (let piece = 0; piece < PIECE_COUNT; piece += 1) {
    const from = piece * strideBytes;
    sample.set(bytes.subarray(from, from + PIECE_SIZE_BYTES), piece * PIECE_SIZE_BYTES);
  }
  const options = { chunkSize: 2 * SAMPLE_SIZE_BYTES, params: { [constants.ZSTD_c_compressionLevel]: 1 } };
  return zstdCompressSync(sample, options).length >= SAMPLE_SIZE_BYTES * SHRUNK_MAX;
}

/** Plain loops on purpose: this runs for every frame. */
function evennessOf(bytes: Uint8Array, strideBytes: number): number {
  COUNTS.fill(0);
  for (let piece = 0; piece < PIECE_COUNT; piece += 1) {
    const end = piece * strideBytes + PIECE_SIZE_BYTES;
    for (let i = piece * strideBytes; i < end; i += 1) {
      const byte = bytes[i] as number;
      COUNTS[byte] = (COUNTS[byte] as number) + 1;
    }
  }
  let squares = 0;
  for (let value = 0; value < COUNTS.length; value += 1) squares += (COUNTS[value] as number) ** 2;
  return (squares * COUNTS.length) / SAMPLE_SIZE_BYTES ** 2;
}

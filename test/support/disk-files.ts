// Disk images of tests: filling, copying and comparing them without holding them in memory.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MIB } from '../../src/core/bytes.ts';

const run = promisify(execFile);
const OUTPUT_MAX_BYTES = 64 * MIB;

/** Runs a program to its end; returns what it printed. */
export async function runProgram(program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(program, args, { maxBuffer: OUTPUT_MAX_BYTES });
  return `${stdout}${stderr}`;
}

/** False when it is not installed. */
export async function hasProgram(program: string): Promise<boolean> {
  try {
    await run('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch (error) {
    assert(error instanceof Error && 'code' in error && typeof error.code === 'number', String(error));
    return false;
  }
}

/** A copy that keeps holes. */
export async function copyImage(from: string, to: string): Promise<void> {
  await runProgram('cp', ['--sparse=auto', '--reflink=auto', from, to]);
}

/** Fails with the first differing byte. */
export async function assertSameImage(actual: string, expected: string): Promise<void> {
  try {
    await runProgram('cmp', [actual, expected]);
  } catch (error) {
    assert.fail(`${actual} differs from ${expected}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Bytes that nothing compresses, the same for the same seed. */
export function noise(lengthBytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes));
}

/** Lines that compress as text does, the same for the same seed. */
export function prose(lengthBytes: number, seed: string): Buffer {
  // A word has six bytes and more, so these are enough numbers.
  const words = noise(2 * Math.ceil(lengthBytes / 4) + 2, seed);
  const text = Buffer.alloc(lengthBytes);
  for (let at = 0, word = 0; at < lengthBytes; word += 2) {
    at += text.write(`${WORDS[words.readUInt16LE(word) % WORDS.length]} `, at, 'latin1');
  }
  return text;
}

const WORDS = Array.from({ length: 997 }, (_, index) => `word${(index * 7919).toString(36)}`);

/** An image of `sizeBytes` whose bytes from 0 to `filledBytes` are noise and text by turns, 4 MiB each. */
export async function makeImage(path: string, sizeBytes: number, filledBytes: number, seed = newSeed()): Promise<void> {
  await using file = await open(path, 'wx');
  await file.truncate(sizeBytes);
  const pieceBytes = 4 * MIB;
  const text = prose(pieceBytes, seed);
  for (let at = 0, piece = 0; at < filledBytes; at += pieceBytes, piece += 1) {
    // Every text piece differs in each of its chunks, or deduplication would leave nothing to do.
    if (piece % 2 === 1) stampChunks(text, piece);
    const bytes = piece % 2 === 0 ? noise(pieceBytes, `${seed}/${piece}`) : text;
    await file.write(bytes, 0, Math.min(pieceBytes, filledBytes - at), at);
  }
  await file.datasync();
}

function stampChunks(bytes: Buffer, stamp: number): void {
  for (let at = 0; at + 64 <= bytes.length; at += 4096) bytes.write(`${stamp}/${at} `, at, 'latin1');
}

/** Overwrites a part of an image in place. */
export async function overwrite(path: string, offsetBytes: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offsetBytes);
  await file.datasync();
}

/** Tests that draw at random print it, and take it from OPENVBS_TEST_SEED. */
export function newSeed(): string {
  return process.env.OPENVBS_TEST_SEED ?? randomBytes(8).toString('hex');
}

/** Numbers in [0, 1), the same for the same seed. */
export function makeRandom(seed: string): () => number {
  const numbers = noise(4 * 4096, `random/${seed}`);
  let index = 0;
  return () => numbers.readUInt32LE(4 * (index++ % 4096)) / 2 ** 32;
}

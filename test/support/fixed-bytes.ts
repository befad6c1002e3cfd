// Bytes that look random, do not compress, and are the same in every run.
import { createCipheriv } from 'node:crypto';

export function fixedBytes(seed: number, lengthBytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed >>> 0);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes));
}

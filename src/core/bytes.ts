// Sizes and small arithmetic on bytes.

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** Whole GiB that `sizeBytes` takes up, rounded up: the API's `size`. */
export function bytesToGib(sizeBytes: number): number {
  return Math.ceil(sizeBytes / GIB);
}

export function divideRoundingUp(dividend: number, divisor: number): number {
  return Math.ceil(dividend / divisor);
}

export function alignDown(value: number, unit: number): number {
  return value - (value % unit);
}

export function alignUp(value: number, unit: number): number {
  return divideRoundingUp(value, unit) * unit;
}

/**
 * Gives the memory of a buffer back at once. Without it megabytes of dead buffers wait for a garbage collection that
 * their small JavaScript objects do not cause. Only for memory that nobody else sees; the buffer is empty afterwards.
 */
export function discardBuffer(bytes: Uint8Array): void {
  const memory = bytes.buffer;
  // Small buffers share a pool with others, and are not worth it; what another thread has been given is detached.
  const isOwn = memory.byteLength >= 128 * KIB;
  if (isOwn && memory instanceof ArrayBuffer && !memory.detached) memory.transfer(0);
}

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

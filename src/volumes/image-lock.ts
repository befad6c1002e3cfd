// The byte locks by which QEMU keeps programs from using one image at the same time, so that a running QEMU is noticed
// and one that starts meanwhile refuses. A program holds a shared lock on byte 100 + n for each permission n it uses
// and on 200 + n for each one it denies to others; it may go on when nobody holds the opposite byte.
// The locks belong to the open file description and end with it, also when the process dies.
// Source: QEMU block/file-posix.c (RAW_LOCK_*_BASE, raw_apply_lock_bytes, raw_check_lock_bytes), BLK_PERM_*.
import { VbsError } from '../core/errors.ts';
import type { LockResult, SystemCalls } from './system-calls.ts';

const USED_BASE = 100;
const DENIED_BASE = 200;
const CONSISTENT_READ = 0;
const WRITE = 1;
const WRITE_UNCHANGED = 2;
const RESIZE = 3;

type Access = { readonly used: readonly number[]; readonly denied: readonly number[] };

const ACCESS = {
  /** Others may read; nobody may write or resize. */
  read: { used: [CONSISTENT_READ], denied: [WRITE, RESIZE] },
  /** Nobody else may do anything: what they read would be half restored. */
  write: { used: [CONSISTENT_READ, WRITE, RESIZE], denied: [CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE] },
} as const satisfies Record<string, Access>;

/**
 * Locks the image open as `fd` (readable) until it is closed. False where the platform or the file system has no such
 * locks; nothing is guarded then. @throws VOLUME_BUSY
 */
export function lockImage(fd: number, source: string, access: keyof typeof ACCESS, calls: SystemCalls): boolean {
  const { used, denied }: Access = ACCESS[access];
  // First take, then look, as QEMU does: of two that begin at the same time at least one sees the other.
  const taken = [...used.map((bit) => USED_BASE + bit), ...denied.map((bit) => DENIED_BASE + bit)];
  const opposite = [...used.map((bit) => DENIED_BASE + bit), ...denied.map((bit) => USED_BASE + bit)];
  return (
    taken.every((byte) => isGranted(calls.lockByte(fd, byte), source)) &&
    opposite.every((byte) => isGranted(calls.testByte(fd, byte), source))
  );
}

function isGranted(result: LockResult, source: string): boolean {
  if (result !== 'conflict') return result === 'done';
  throw new VbsError('VOLUME_BUSY', { source, reason: 'QEMU, or another job of this service, has the image open' });
}

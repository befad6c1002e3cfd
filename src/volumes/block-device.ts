// A disk open for reading or writing at byte offsets, synchronously: it lives in worker threads, never in the main one.
// Nothing is read or written beyond the size in the descriptor, so an image never grows under a restore.
import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, openSync, readSync, writevSync } from 'node:fs';
import { alignDown, alignUp, KIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { loadSystemCalls, type SystemCalls } from './system-calls.ts';
import type { DeviceDescriptor } from './volume.ts';
import { onVolumeSync } from './volume-error.ts';

export type BlockDevice = {
  readonly sizeBytes: number;
  /** Fills all of `buffer`. @throws VOLUME_IO; VOLUME_SIZE_MISMATCH when the disk ends before */
  readSync(buffer: Uint8Array, offsetBytes: number): void;
  /** Writes the buffers one after the other from `offsetBytes` on; whole or throws. @throws STORAGE_FULL, VOLUME_IO */
  writeSync(buffers: readonly Uint8Array[], offsetBytes: number): void;
  /** Makes the range read zero: punched where possible, else written. @throws STORAGE_FULL, VOLUME_IO */
  zeroSync(offsetBytes: number, lengthBytes: number): void;
  close(): void;
};

/** Grain at which every block device can discard or zero: the largest logical block in use. */
const DEVICE_GRAIN_BYTES = 4 * KIB;
/** Zeros written in one call where nothing can be punched. */
const ZEROS = new Uint8Array(256 * KIB);

/**
 * Opens the disk that a driver described. The caller closes it.
 * @throws VOLUME_UNAVAILABLE; VOLUME_SIZE_MISMATCH when the disk is smaller than described.
 */
export function openBlockDevice(
  descriptor: DeviceDescriptor,
  mode: 'read' | 'write',
  calls: SystemCalls = loadSystemCalls(),
): BlockDevice {
  return onVolumeSync(descriptor.path, () => {
    const access = mode === 'read' ? constants.O_RDONLY : constants.O_RDWR;
    // A driver hands out resolved paths: a symbolic link at the end was put there since, to lead us elsewhere.
    const fd = openSync(descriptor.path, access | constants.O_NOFOLLOW);
    try {
      const isDevice = checkSize(fd, descriptor, calls);
      return new FileDevice({ fd, descriptor, isDevice, calls });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  });
}

/** True for a block device, false for an image file. */
function checkSize(fd: number, descriptor: DeviceDescriptor, calls: SystemCalls): boolean {
  const stats = fstatSync(fd);
  if (!stats.isFile() && !stats.isBlockDevice()) {
    const reason = 'neither a regular file nor a block device';
    throw new VbsError('VOLUME_UNAVAILABLE', { source: descriptor.path, reason });
  }
  const actualBytes = stats.isFile() ? stats.size : calls.blockDeviceSize(fd);
  if (actualBytes !== undefined && actualBytes < descriptor.sizeBytes) throw sizeMismatch(descriptor, actualBytes);
  return stats.isBlockDevice();
}

function sizeMismatch(descriptor: DeviceDescriptor, actualBytes: number): VbsError {
  const details = { source: descriptor.path, actualBytes, expectedBytes: descriptor.sizeBytes };
  return new VbsError('VOLUME_SIZE_MISMATCH', details);
}

type FileDeviceDeps = {
  readonly fd: number;
  readonly descriptor: DeviceDescriptor;
  readonly isDevice: boolean;
  readonly calls: SystemCalls;
};

class FileDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly #deps: FileDeviceDeps;
  #isOpen = true;
  /** Cleared by the first refusal, so that a disk that cannot punch is not asked again for each range. */
  #canPunch = true;

  constructor(deps: FileDeviceDeps) {
    this.#deps = deps;
    this.sizeBytes = deps.descriptor.sizeBytes;
  }

  readSync(buffer: Uint8Array, offsetBytes: number): void {
    this.#checkRange(offsetBytes, buffer.byteLength);
    const { fd, descriptor } = this.#deps;
    onVolumeSync(descriptor.path, () => {
      let doneBytes = 0;
      while (doneBytes < buffer.byteLength) {
        const readBytes = readSync(fd, buffer, doneBytes, buffer.byteLength - doneBytes, offsetBytes + doneBytes);
        if (readBytes === 0) throw sizeMismatch(descriptor, offsetBytes + doneBytes);
        doneBytes += readBytes;
      }
    });
  }

  writeSync(buffers: readonly Uint8Array[], offsetBytes: number): void {
    const lengthBytes = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
    this.#checkRange(offsetBytes, lengthBytes);
    const { fd, descriptor } = this.#deps;
    onVolumeSync(descriptor.path, () => {
      let rest = buffers.filter((buffer) => buffer.byteLength > 0);
      let positionBytes = offsetBytes;
      while (rest.length > 0) {
        const writtenBytes = writevSync(fd, rest, positionBytes);
        // A device that takes nothing without an error would keep us here for ever.
        if (writtenBytes === 0) throw new VbsError('VOLUME_IO', { source: descriptor.path, reason: 'nothing written' });
        positionBytes += writtenBytes;
        rest = dropBytes(rest, writtenBytes);
      }
    });
  }

  zeroSync(offsetBytes: number, lengthBytes: number): void {
    this.#checkRange(offsetBytes, lengthBytes);
    const endBytes = offsetBytes + lengthBytes;
    const grainBytes = this.#deps.isDevice ? DEVICE_GRAIN_BYTES : 1;
    const punchFrom = Math.min(alignUp(offsetBytes, grainBytes), endBytes);
    const punchTo = Math.max(alignDown(endBytes, grainBytes), punchFrom);
    this.#writeZeros(offsetBytes, punchFrom);
    if (!this.#tryPunch(punchFrom, punchTo)) this.#writeZeros(punchFrom, punchTo);
    this.#writeZeros(punchTo, endBytes);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    onVolumeSync(this.#deps.descriptor.path, () => closeSync(this.#deps.fd));
  }

  #tryPunch(fromBytes: number, toBytes: number): boolean {
    if (fromBytes === toBytes) return true;
    const { calls, fd, descriptor } = this.#deps;
    this.#canPunch &&= onVolumeSync(descriptor.path, () => calls.punchHole(fd, fromBytes, toBytes - fromBytes));
    return this.#canPunch;
  }

  #writeZeros(fromBytes: number, toBytes: number): void {
    for (let offsetBytes = fromBytes; offsetBytes < toBytes; offsetBytes += ZEROS.byteLength) {
      this.writeSync([ZEROS.subarray(0, Math.min(ZEROS.byteLength, toBytes - offsetBytes))], offsetBytes);
    }
  }

  #checkRange(offsetBytes: number, lengthBytes: number): void {
    assert(this.#isOpen, 'device is closed');
    assert(Number.isSafeInteger(offsetBytes) && offsetBytes >= 0, `offset ${offsetBytes}`);
    assert(lengthBytes >= 0 && offsetBytes + lengthBytes <= this.sizeBytes, `${lengthBytes} bytes at ${offsetBytes}`);
  }
}

/** What is left of `buffers` after their first `countBytes` bytes. */
function dropBytes(buffers: readonly Uint8Array[], countBytes: number): Uint8Array[] {
  let dropBytesLeft = countBytes;
  const rest: Uint8Array[] = [];
  for (const buffer of buffers) {
    const dropped = Math.min(dropBytesLeft, buffer.byteLength);
    dropBytesLeft -= dropped;
    if (dropped < buffer.byteLength) rest.push(buffer.subarray(dropped));
  }
  return rest;
}

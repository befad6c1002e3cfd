// Disks in memory: a few chunks at places that exercise pages, segments and packs, taken from few contents, so that
// disks share much of what they hold. A disk is written only between steps; whoever reads it has it frozen.
import { hash } from 'node:crypto';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import type { BackupReader } from '../../src/engine/backup-reader.ts';
import type { BlockDevice } from '../../src/volumes/block-device.ts';
import type { Extent } from '../../src/volumes/extent.ts';
import type { DeviceDescriptor, VolumeSource, VolumeTarget } from '../../src/volumes/volume.ts';

/** Two pages, so that pages have packs of their own; the last chunk is cut short. */
export const DISK_SIZE_BYTES = 1100 * CHUNK_SIZE_BYTES - 4096;
/** Two or three chunks in each of four segments, of two pages: 9 chunks of a disk that may hold data. */
export const CHUNK_PLACES = [0, 1, 2, 64, 65, 1024, 1025, 1026, 1099] as const;
const CONTENT_COUNT = 12;
const ZERO = Buffer.alloc(CHUNK_SIZE_BYTES);

/** What stands at each place; absent: zeros. */
export type Contents = ReadonlyMap<number, number>;

/** They compress well, for speed. Half of them are hooks (docs/repository-format.md), so that they are found. */
const palette: readonly Buffer[] = makePalette();

function makePalette(): Buffer[] {
  const found: Buffer[] = [];
  for (let n = 0; found.length < CONTENT_COUNT; n += 1) {
    // The last 4 KiB are zeros: the last chunk of a disk lacks them.
    const chunk = Buffer.alloc(CHUNK_SIZE_BYTES);
    chunk.fill(`content ${n} `, 0, CHUNK_SIZE_BYTES - 4096);
    const isHook = ((hash('sha256', chunk, 'buffer')[0] ?? 0xff) & 0xf8) === 0;
    if (isHook === found.length % 2 > 0) found.push(chunk);
  }
  return found;
}

export const contentCount = CONTENT_COUNT;
export const contentDigests: readonly string[] = palette.map((chunk) => hash('sha256', chunk, 'hex'));

export class ModelDisks {
  readonly #devices = new Map<string, BlockDevice>();
  #lastNumber = 0;

  /** A disk as it is now, for reading. */
  descriptor(contents: Contents): DeviceDescriptor {
    return this.#add(new ReadDevice(contents));
  }

  /** A source of the disk as it is now. */
  source(contents: Contents, frozenAt: number): VolumeSource {
    return {
      descriptor: this.descriptor(contents),
      sizeBytes: DISK_SIZE_BYTES,
      consistency: 'snapshot',
      frozenAt,
      async *dataExtents(range: Extent) {
        for (const place of CHUNK_PLACES) {
          const offsetBytes = place * CHUNK_SIZE_BYTES;
          if (offsetBytes < range.offsetBytes || offsetBytes >= range.offsetBytes + range.lengthBytes) continue;
          yield { offsetBytes, lengthBytes: Math.min(CHUNK_SIZE_BYTES, DISK_SIZE_BYTES - offsetBytes) };
        }
      },
      findChanges: async () => ({ isKnown: false, reason: 'this disk keeps no baseline' }),
      describeBaseline: async () => undefined,
      keep: () => undefined,
      finish: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  /** An empty disk to restore to; `read` tells what it holds afterwards. */
  target(): VolumeTarget & { read(): Map<number, number | 'other'> } {
    const device = new WriteDevice();
    return {
      descriptor: this.#add(device),
      sizeBytes: DISK_SIZE_BYTES,
      readsZero: true,
      async *dataExtents() {
        // It is empty.
      },
      findChanges: async () => ({ isKnown: false, reason: 'this disk keeps no baseline' }),
      writeBack: async () => undefined,
      dropCache: async () => undefined,
      sync: async () => undefined,
      read: () => device.contents,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  /** The whole backup, page by page. */
  async readAll(reader: BackupReader): Promise<Map<number, number | 'other'>> {
    const device = new WriteDevice();
    for (const place of CHUNK_PLACES) {
      const offsetBytes = place * CHUNK_SIZE_BYTES;
      const bytes = await reader.read(offsetBytes, Math.min(CHUNK_SIZE_BYTES, DISK_SIZE_BYTES - offsetBytes));
      if (!bytes.equals(ZERO.subarray(0, bytes.length))) device.writeSync([bytes], offsetBytes);
    }
    return device.contents;
  }

  open(descriptor: DeviceDescriptor): BlockDevice {
    const device = this.#devices.get(descriptor.path);
    if (!device) throw new Error(`no disk at ${descriptor.path}`);
    return device;
  }

  #add(device: BlockDevice): DeviceDescriptor {
    this.#lastNumber += 1;
    const path = `/model/${this.#lastNumber}`;
    this.#devices.set(path, device);
    return { driver: 'file', path, sizeBytes: DISK_SIZE_BYTES };
  }
}

export function areSame(one: ReadonlyMap<number, number | 'other'>, other: Contents): boolean {
  return one.size === other.size && [...one].every(([place, content]) => other.get(place) === content);
}

class ReadDevice implements BlockDevice {
  readonly sizeBytes = DISK_SIZE_BYTES;
  readonly #contents: Contents;

  constructor(contents: Contents) {
    this.#contents = new Map(contents);
  }

  readSync(buffer: Uint8Array, offsetBytes: number): void {
    for (let done = 0; done < buffer.length; done += CHUNK_SIZE_BYTES) {
      const content = this.#contents.get((offsetBytes + done) / CHUNK_SIZE_BYTES);
      const chunk = content === undefined ? ZERO : (palette[content] ?? ZERO);
      buffer.set(chunk.subarray(0, Math.min(CHUNK_SIZE_BYTES, buffer.length - done)), done);
    }
  }

  writeSync(): void {
    throw new Error('this disk is only read');
  }

  zeroSync(): void {
    throw new Error('this disk is only read');
  }

  close(): void {
    // Nothing is open.
  }
}

class WriteDevice implements BlockDevice {
  readonly sizeBytes = DISK_SIZE_BYTES;
  readonly contents = new Map<number, number | 'other'>();

  readSync(): void {
    throw new Error('this disk is only written');
  }

  writeSync(buffers: readonly Uint8Array[], offsetBytes: number): void {
    const bytes = Buffer.concat(buffers);
    for (let done = 0; done < bytes.length; done += CHUNK_SIZE_BYTES) {
      const written = bytes.subarray(done, done + CHUNK_SIZE_BYTES);
      const content = palette.findIndex((chunk) => written.equals(chunk.subarray(0, written.length)));
      this.contents.set((offsetBytes + done) / CHUNK_SIZE_BYTES, content < 0 ? 'other' : content);
    }
  }

  zeroSync(): void {
    throw new Error('the disk reads zero: nothing needs to be zeroed');
  }

  close(): void {
    // Nothing is open.
  }
}

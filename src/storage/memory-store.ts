// Objects in memory, for tests and for trying things out. It keeps the contract of object-store.ts, durability aside.
import assert from 'node:assert/strict';
import { VbsError } from '../core/errors.ts';
import { checkByteRange, checkObjectName, checkPrefix } from './object-name.ts';
import type { ObjectInfo, ObjectName, ObjectStore, ObjectWriter } from './object-store.ts';

export class MemoryStore implements ObjectStore {
  readonly #objects = new Map<ObjectName, Buffer>();

  async create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter> {
    checkObjectName(name);
    signal?.throwIfAborted();
    const parts: Buffer[] = [];
    let isOpen = true;
    return {
      write: async (bytes) => {
        assert(isOpen, `writer of ${name} is closed`);
        signal?.throwIfAborted();
        parts.push(Buffer.from(bytes));
      },
      commit: async () => {
        assert(isOpen, `writer of ${name} is closed`);
        signal?.throwIfAborted();
        isOpen = false;
        if (this.#objects.has(name)) throw new VbsError('OBJECT_EXISTS', { object: name });
        this.#objects.set(name, Buffer.concat(parts));
      },
      abort: async () => {
        isOpen = false;
        parts.length = 0;
      },
    };
  }

  async put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const writer = await this.create(name, signal);
    await writer.write(bytes);
    await writer.commit();
  }

  async replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    signal?.throwIfAborted();
    this.#objects.set(name, Buffer.from(bytes));
  }

  async get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const object = this.#find(name, signal);
    if (object.byteLength > maxBytes) {
      const reason = `${object.byteLength} bytes, at most ${maxBytes} were expected`;
      throw new VbsError('DATA_CORRUPT', { object: name, offsetBytes: maxBytes, reason });
    }
    return copyOwned(object);
  }

  async readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    checkByteRange(offsetBytes, lengthBytes);
    return copyOwned(this.#find(name, signal).subarray(offsetBytes, offsetBytes + lengthBytes));
  }

  async readSuffix(
    name: ObjectName,
    lengthBytes: number,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; sizeBytes: number }> {
    checkByteRange(0, lengthBytes);
    const object = this.#find(name, signal);
    const sizeBytes = object.byteLength;
    return { bytes: copyOwned(object.subarray(Math.max(0, sizeBytes - lengthBytes))), sizeBytes };
  }

  async head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkObjectName(name);
    signal?.throwIfAborted();
    const object = this.#objects.get(name);
    return object && { name, sizeBytes: object.byteLength };
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    for (const name of [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).toSorted()) {
      const info = await this.head(name, signal);
      if (info) yield info;
    }
  }

  async ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void> {
    this.#find(name, signal);
  }

  async delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void> {
    names.forEach(checkObjectName);
    signal?.throwIfAborted();
    for (const name of names) this.#objects.delete(name);
  }

  /** Damages a stored object in place: for tests of what notices it. @throws OBJECT_NOT_FOUND */
  tamper(name: ObjectName, change: (bytes: Buffer) => Buffer): void {
    this.#objects.set(name, change(Buffer.from(this.#find(name))));
  }

  #find(name: ObjectName, signal?: AbortSignal): Buffer {
    checkObjectName(name);
    signal?.throwIfAborted();
    const object = this.#objects.get(name);
    if (!object) throw new VbsError('OBJECT_NOT_FOUND', { object: name });
    return object;
  }
}

/** A copy with an ArrayBuffer of its own; `Buffer.from` would take small ones from a shared pool. */
function copyOwned(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

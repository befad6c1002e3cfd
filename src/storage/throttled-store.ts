// An object store whose bulk traffic is held by limits: parts of objects that are read, and what is written by pieces,
// which is packs. Names, and small objects read or written as a whole (records, keys, the epoch), are not held back:
// they are few, and others wait for them.
import assert from 'node:assert/strict';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import type { Throttles } from '../core/throttle.ts';
import type { ObjectInfo, ObjectName, ObjectStore, ObjectWriter } from './object-store.ts';

export class ThrottledStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #throttles: Throttles;

  constructor(inner: ObjectStore, throttles: Throttles) {
    this.#inner = inner;
    this.#throttles = throttles;
  }

  /** The signal also ends the waiting of writes. */
  async create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter> {
    const writer = await this.#inner.create(name, signal);
    let waitingCount = 0;
    return {
      write: async (bytes) => {
        waitingCount += 1;
        try {
          await this.#throttles.write.take({ bytes: bytes.byteLength, operations: 1 }, signal);
        } finally {
          waitingCount -= 1;
        }
        await writer.write(bytes);
      },
      commit: async () => {
        // The writer below cannot know of it, and would publish an object that lacks a piece.
        assert.equal(waitingCount, 0, `commit of ${name} while it is written`);
        await writer.commit();
      },
      abort: () => writer.abort(),
    };
  }

  put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#inner.put(name, bytes, signal);
  }

  replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#inner.replace(name, bytes, signal);
  }

  async get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const object = await this.#inner.get(name, maxBytes, signal);
    // Only now it is known how large it is: whoever comes next waits for it.
    if (object.byteLength > RECORD_SIZE_MAX_BYTES) {
      await this.#throttles.read.take({ bytes: object.byteLength, operations: 1 }, signal);
    }
    return object;
  }

  async readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    await this.#throttles.read.take({ bytes: lengthBytes, operations: 1 }, signal);
    return await this.#inner.readRange(name, offsetBytes, lengthBytes, signal);
  }

  async readSuffix(
    name: ObjectName,
    lengthBytes: number,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; sizeBytes: number }> {
    await this.#throttles.read.take({ bytes: lengthBytes, operations: 1 }, signal);
    return await this.#inner.readSuffix(name, lengthBytes, signal);
  }

  head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    return this.#inner.head(name, signal);
  }

  ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void> {
    return this.#inner.ensureDurable(name, signal);
  }

  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix, signal);
  }

  delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void> {
    return this.#inner.delete(names, signal);
  }
}

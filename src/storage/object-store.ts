// The contract of a place that keeps objects by key. Implementations: filesystem-store, memory-store, later s3-store;
// throttled-store holds another one to limits.
// Every implementation passes test/contract/object-store.suite.ts.

/**
 * `/`-separated segments of [A-Za-z0-9._-], none of them empty or beginning with a dot; at most 512 characters, 255 a
 * segment. No name may be a folder of another name. object-name.ts checks it; a bad name is a bug, hence an assertion.
 */
export type ObjectName = string;

export type ObjectInfo = { readonly name: ObjectName; readonly sizeBytes: number };

/** An object being written. It is visible under its name only after `commit`. */
export type ObjectWriter = {
  /** Appends; the writer owns `bytes` until the promise settles. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Makes the object durable and visible under its name; afterwards it never changes.
   * @throws OBJECT_EXISTS when the name is taken; STORAGE_FULL, STORAGE_IO: nothing is visible then.
   */
  commit(): Promise<void>;
  /** Drops what was written. Harmless after `commit` or twice. */
  abort(): Promise<void>;
};

export type ObjectStore = {
  /** Begins an object that must not exist yet. */
  create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter>;
  /** Durably creates an object in one call. @throws OBJECT_EXISTS */
  put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Durably and atomically creates or replaces: keys, labels and the epoch only. */
  replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** The whole object. @throws OBJECT_NOT_FOUND; STORAGE_IO; DATA_CORRUPT when larger than `maxBytes` */
  get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer>;
  /**
   * `lengthBytes` from `offsetBytes`; shorter only where the object ends. The caller owns the buffer, which has an
   * ArrayBuffer of its own (it can be transferred to a worker thread).
   * @throws OBJECT_NOT_FOUND; STORAGE_IO
   */
  readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer>;
  /** The last `lengthBytes` of the object (all of it when shorter) and its size. @throws OBJECT_NOT_FOUND */
  readSuffix(
    name: ObjectName,
    lengthBytes: number,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; sizeBytes: number }>;
  /** Undefined when there is no such object. */
  head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  /**
   * Makes an object durable that is visible: whoever stored it may have died before the end of its `commit`.
   * @throws OBJECT_NOT_FOUND; STORAGE_IO: it may not be relied on then.
   */
  ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void>;
  /** Every object whose name begins with `prefix` (a whole number of segments, ending in `/`, or ''), in name order. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>;
  /** Durably removes objects; names that do not exist are passed over. */
  delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void>;
};

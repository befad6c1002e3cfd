// Wraps an object store and makes it fail where a test says so. Without rules it passes everything through.
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { VbsError } from '../../src/core/errors.ts';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectInfo, ObjectName, ObjectStore, ObjectWriter } from '../../src/storage/object-store.ts';

/** `write`, `commit` and `abort` are those of a writer from `create`. `delete` is matched by its first name. */
export type StoreOperation =
  | 'create'
  | 'write'
  | 'commit'
  | 'abort'
  | 'put'
  | 'replace'
  | 'get'
  | 'readRange'
  | 'readSuffix'
  | 'head'
  | 'ensureDurable'
  | 'list'
  | 'delete';

/**
 * - `ENOSPC`, `EIO`: the operation is not done and fails with STORAGE_FULL or STORAGE_IO.
 * - `crash`: nothing is done, and every later call is refused, `abort` included, as if the process had died here.
 * - `crash-after`: the operation is done first.
 * - `lost-reply`: the operation is done, then fails with STORAGE_IO.
 * - `delay`: the operation is done after `delayMs`.
 */
export type FaultEffect = 'ENOSPC' | 'EIO' | 'crash' | 'crash-after' | 'lost-reply' | 'delay';

export type FaultRule = {
  /** Absent: any operation. */
  readonly operation?: StoreOperation | readonly StoreOperation[];
  readonly name?: (name: ObjectName) => boolean;
  /** 1-based, among the calls that match the rule; absent: each of them. */
  readonly nth?: number;
  readonly effect: FaultEffect;
  readonly delayMs?: number;
};

/** What a store that `crash` ended throws; no VbsError, because a dead process reports nothing. */
export class StoreCrash extends Error {
  override readonly name = 'StoreCrash';
}

export class FaultyStore implements ObjectStore {
  readonly #inner: ObjectStore;
  #rules: { readonly rule: FaultRule; matchCount: number }[] = [];
  #hasCrashed = false;
  /** Every call that was not refused, in order. */
  readonly calls: { readonly operation: StoreOperation; readonly name: ObjectName }[] = [];

  constructor(inner: ObjectStore, rules: readonly FaultRule[] = []) {
    this.#inner = inner;
    this.setRules(rules);
  }

  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** Replaces all rules; counting begins anew. A crash stays. */
  setRules(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({ rule, matchCount: 0 }));
  }

  async create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter> {
    const writer = await this.#run('create', name, () => this.#inner.create(name, signal));
    return {
      write: (bytes) => this.#run('write', name, () => writer.write(bytes)),
      commit: () => this.#run('commit', name, () => writer.commit()),
      abort: () => this.#run('abort', name, () => writer.abort()),
    };
  }

  put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#run('put', name, () => this.#inner.put(name, bytes, signal));
  }

  replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#run('replace', name, () => this.#inner.replace(name, bytes, signal));
  }

  get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    return this.#run('get', name, () => this.#inner.get(name, maxBytes, signal));
  }

  readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    return this.#run('readRange', name, () => this.#inner.readRange(name, offsetBytes, lengthBytes, signal));
  }

  readSuffix(
    name: ObjectName,
    lengthBytes: number,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; sizeBytes: number }> {
    return this.#run('readSuffix', name, () => this.#inner.readSuffix(name, lengthBytes, signal));
  }

  head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    return this.#run('head', name, () => this.#inner.head(name, signal));
  }

  ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void> {
    return this.#run('ensureDurable', name, () => this.#inner.ensureDurable(name, signal));
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    // Faults of a listing come before its first item.
    yield* await this.#run('list', prefix, async () => this.#inner.list(prefix, signal));
  }

  delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void> {
    return this.#run('delete', names[0] ?? '', () => this.#inner.delete(names, signal));
  }

  /** Flips one bit of a stored object, as a bad disk would: bit 0 is the lowest of byte 0. */
  async flipBit(name: ObjectName, bitIndex: number): Promise<void> {
    await this.#tamper(name, (bytes) => {
      const byteIndex = Math.floor(bitIndex / 8);
      bytes.writeUInt8(bytes.readUInt8(byteIndex) ^ (1 << (bitIndex % 8)), byteIndex);
      return bytes;
    });
  }

  /** Cuts a stored object down to its first `lengthBytes`. */
  async truncate(name: ObjectName, lengthBytes: number): Promise<void> {
    await this.#tamper(name, (bytes) => bytes.subarray(0, lengthBytes));
  }

  async #tamper(name: ObjectName, change: (bytes: Buffer) => Buffer): Promise<void> {
    if (this.#inner instanceof MemoryStore) return this.#inner.tamper(name, change);
    if (!(this.#inner instanceof FilesystemStore)) throw new TypeError('this store cannot be tampered with');
    const path = this.#inner.pathOf(name);
    const changed = change(await readFile(path));
    // In place and not by a new file, so that readers who have the file open see the damage too.
    await writeFile(path, changed, { flag: 'r+' });
    await truncate(path, changed.byteLength);
  }

  async #run<T>(operation: StoreOperation, name: ObjectName, work: () => Promise<T>): Promise<T> {
    this.#refuseAfterCrash();
    this.calls.push({ operation, name });
    const rule = this.#takeRule(operation, name);
    if (rule?.effect === 'ENOSPC') throw new VbsError('STORAGE_FULL', { object: name, reason: 'injected ENOSPC' });
    if (rule?.effect === 'EIO') throw new VbsError('STORAGE_IO', { object: name, reason: 'injected EIO' });
    if (rule?.effect === 'crash') this.#hasCrashed = true;
    this.#refuseAfterCrash();
    if (rule?.effect === 'delay') await delay(rule.delayMs ?? 1);
    const result = await work();
    if (rule?.effect === 'crash-after') this.#hasCrashed = true;
    // Also for calls that were under way when another one crashed: nobody is there to hear their answer.
    this.#refuseAfterCrash();
    if (rule?.effect === 'lost-reply')
      throw new VbsError('STORAGE_IO', { object: name, reason: 'injected lost reply' });
    return result;
  }

  /** The first rule that applies; every rule that matches counts the call. */
  #takeRule(operation: StoreOperation, name: ObjectName): FaultRule | undefined {
    let found: FaultRule | undefined;
    for (const entry of this.#rules) {
      if (!matches(entry.rule, operation, name)) continue;
      entry.matchCount += 1;
      if (entry.rule.nth === undefined || entry.rule.nth === entry.matchCount) found ??= entry.rule;
    }
    return found;
  }

  #refuseAfterCrash(): void {
    if (this.#hasCrashed) throw new StoreCrash('the store has crashed');
  }
}

function matches(rule: FaultRule, operation: StoreOperation, name: ObjectName): boolean {
  const operations = rule.operation === undefined ? [operation] : [rule.operation].flat();
  return operations.includes(operation) && (rule.name?.(name) ?? true);
}

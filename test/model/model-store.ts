// Objects in memory that behave as badly as a store may: what was not answered yet may be undone by a power loss, each
// change for itself; a call that timed out may be carried out later; a listing may lag behind; what is read may come
// with a wrong bit. Several objects are deleted in two parts, and anything may happen in between.
import { VbsError } from '../../src/core/errors.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectInfo, ObjectName, ObjectStore, ObjectWriter } from '../../src/storage/object-store.ts';
import type { Random } from './random.ts';
import type { Call, Fault } from './scheduler.ts';

type Gate = (call: Call) => Promise<Fault | undefined> | undefined;

/** A change that was asked for and never answered: it may still come. */
export type LateCall = { readonly operation: string; readonly names: readonly ObjectName[]; land(): Promise<void> };

type Listener = {
  /** An object is there under a name that had none, or other bytes. */
  stored(name: ObjectName): void;
  removed(name: ObjectName): void;
};

export class ModelStore implements ObjectStore {
  readonly #gate: Gate;
  readonly #listener: Listener;
  #objects = new MemoryStore();
  readonly #bytes = new Map<ObjectName, Buffer>();
  /** Changes that no answer has vouched for, with what was there before (undefined: nothing). */
  readonly #unsynced = new Map<ObjectName, Buffer | undefined>();
  readonly late: LateCall[] = [];
  /** Names that listings do not show yet. */
  readonly unlisted = new Set<ObjectName>();
  /** For mutations: a store that overwrites, and one where different names mean the same object. */
  replacesObjects = false;
  alias = (name: ObjectName): ObjectName => name;

  constructor(deps: { readonly gate: Gate; readonly listener?: Listener }) {
    this.#gate = deps.gate;
    this.#listener = deps.listener ?? { stored: () => undefined, removed: () => undefined };
  }

  /** Everything that is to be seen, for checks: it passes no gate. */
  get names(): Iterable<ObjectName> {
    return this.#bytes.keys();
  }

  has(name: ObjectName): boolean {
    return this.#bytes.has(this.alias(name));
  }

  bytesOf(name: ObjectName): Buffer | undefined {
    return this.#bytes.get(this.alias(name));
  }

  /** The same objects without gates, for checks. */
  get bare(): ObjectStore {
    return this.#objects;
  }

  async create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter> {
    const scratch = new MemoryStore();
    const writer = await scratch.create(name, signal);
    return {
      write: (bytes) => writer.write(bytes),
      abort: () => writer.abort(),
      commit: async () => {
        signal?.throwIfAborted();
        await writer.commit();
        await this.#store('commit', name, await scratch.get(name, Number.MAX_SAFE_INTEGER));
      },
    };
  }

  async put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#store('put', name, Buffer.from(bytes));
  }

  async replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const copy = Buffer.from(bytes);
    await this.#change('replace', [[name]], () => this.#set(name, copy));
  }

  async get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const fault = await this.#pass('get', name);
    return asRead(await this.#objects.get(this.alias(name), maxBytes, signal), fault);
  }

  async readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const fault = await this.#pass('readRange', name);
    return asRead(await this.#objects.readRange(this.alias(name), offsetBytes, lengthBytes, signal), fault);
  }

  async readSuffix(name: ObjectName, lengthBytes: number, signal?: AbortSignal) {
    const fault = await this.#pass('readSuffix', name);
    const suffix = await this.#objects.readSuffix(this.alias(name), lengthBytes, signal);
    return { ...suffix, bytes: asRead(suffix.bytes, fault) };
  }

  async head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    await this.#pass('head', name);
    return this.#objects.head(this.alias(name), signal);
  }

  async ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void> {
    await this.#pass('ensureDurable', name);
    await this.#objects.ensureDurable(name, signal);
    this.#unsynced.delete(name);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    await this.#pass('list', prefix);
    const seen: ObjectInfo[] = [];
    for await (const info of this.#objects.list(prefix, signal)) seen.push(info);
    for (const info of seen) if (!this.unlisted.has(info.name)) yield info;
  }

  async delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const half = Math.ceil(names.length / 2);
    const parts = names.length > 1 ? [names.slice(0, half), names.slice(half)] : [names];
    await this.#change('delete', parts, async (part) => {
      for (const name of part) await this.#set(name, undefined);
    });
  }

  /** The power goes: each change that was not answered is there afterwards or is not, and packs may be cut short. */
  async losePower(random: Pick<Random, 'oneIn' | 'below'>): Promise<void> {
    for (const [name, before] of [...this.#unsynced]) {
      const now = this.#bytes.get(name);
      if (random.oneIn(2)) await this.#set(name, before);
      else if (now && before === undefined && random.oneIn(3) && !name.includes('/backups/')) {
        await this.#set(name, now.subarray(0, random.below(now.length)));
      }
    }
    this.#unsynced.clear();
  }

  /** A call under way of a process that died may still reach the store. */
  #keepLate(operation: string, names: readonly ObjectName[], land: () => Promise<void>): void {
    this.late.push({ operation, names, land });
  }

  async #store(operation: 'put' | 'commit', name: ObjectName, bytes: Buffer): Promise<void> {
    await this.#change(operation, [[name]], async () => {
      if (!this.replacesObjects && this.#bytes.has(this.alias(name)))
        throw new VbsError('OBJECT_EXISTS', { object: name });
      await this.#set(name, bytes);
    });
  }

  /** A change is to be seen before it is answered, and sure to stay only then. */
  async #change(
    operation: string,
    parts: readonly (readonly ObjectName[])[],
    apply: (part: readonly ObjectName[]) => Promise<void>,
  ): Promise<void> {
    for (const part of parts) {
      await this.#ask({ operation, names: part, land: () => apply(part).catch(() => undefined) });
      await apply(part);
    }
    const name = parts[0]?.[0] ?? '';
    const fault = await this.#gate({ target: 'store', operation, name, phase: 'after' });
    if (fault) throw new VbsError('STORAGE_IO', { object: name, reason: `injected ${fault}` });
    for (const each of parts.flat()) this.#unsynced.delete(this.alias(each));
  }

  async #ask(call: LateCall): Promise<void> {
    const { operation, names, land } = call;
    const name = names[0] ?? '';
    const entering = this.#gate({ target: 'store', operation, name, phase: 'before' });
    if (!entering) return;
    this.#asked.add(call);
    const fault = await entering;
    this.#asked.delete(call);
    if (fault === 'timeout') this.#keepLate(operation, names, land);
    if (fault) throw new VbsError('STORAGE_IO', { object: name, reason: `injected ${fault}` });
  }

  /** Changes that wait at their gate. */
  readonly #asked = new Set<LateCall>();

  /** The calls that a killed actor had under way, by name of object, may come late from now on. */
  keepLate(name: ObjectName, operation: string): void {
    for (const call of this.#asked) {
      if (call.operation !== operation || call.names[0] !== name) continue;
      this.#asked.delete(call);
      this.late.push(call);
    }
  }

  /** Answers `misread` when what is read is to come with a wrong bit. */
  async #pass(operation: string, name: ObjectName): Promise<Fault | undefined> {
    const fault = await this.#gate({ target: 'store', operation, name, phase: 'before' });
    if (fault === 'misread') return fault;
    if (fault) throw new VbsError('STORAGE_IO', { object: name, reason: `injected ${fault}` });
    return undefined;
  }

  async #set(asked: ObjectName, bytes: Buffer | undefined): Promise<void> {
    const name = this.alias(asked);
    const before = this.#bytes.get(name);
    if (!this.#unsynced.has(name) && before !== bytes) this.#unsynced.set(name, before);
    if (bytes) {
      this.#bytes.set(name, bytes);
      await this.#objects.replace(name, bytes);
      this.#listener.stored(name);
    } else if (before) {
      this.#bytes.delete(name);
      await this.#objects.delete([name]);
      this.#listener.removed(name);
    }
  }
}

/** What the medium gives this time; what is stored stays as it is. */
function asRead(bytes: Buffer, fault: Fault | undefined): Buffer {
  if (fault !== 'misread' || bytes.length === 0) return bytes;
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return bytes;
}

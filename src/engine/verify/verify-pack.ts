// Reads a pack and tells which of its slots can be had: the trailer from the store and not from memory, each frame
// opened, each slot compared with its digest. Damage is an answer here, not an error.
import type { Pace } from '../../core/background-pace.ts';
import { bitmapEnd, bitmapHas, listBits, makeBitmap, setBit } from '../../core/bitmap.ts';
import { isVbsError } from '../../core/errors.ts';
import type { ObjectId, PackId } from '../../core/ids.ts';
import type { PackFinding, PackKind, PackUse } from '../../core/ledger.ts';
import { PACK_SLOT_COUNT_MAX } from '../../core/limits.ts';
import { packObjectName } from '../../core/object-names.ts';
import type { FrameEntry } from '../format/pack-format.ts';
import { type FrameRead, joinFrames } from '../pack/frame-reads.ts';
import { type PackIndex, readPackIndex } from '../pack/pack-index.ts';
import type { CheckedFrame, CheckFrames } from '../pipeline/messages.ts';
import { bitsOf } from '../pipeline/reseal-work.ts';
import { pickLeastLoaded } from '../pipeline/worker-pool.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';

/** One place of a pack that cannot be read. */
export type Damage = {
  readonly packId: PackId;
  readonly objectName: string;
  readonly offsetBytes: number;
  readonly slots: readonly number[];
  readonly reason: string;
};

export type PackVerdict = {
  readonly packId: PackId;
  readonly kind: PackKind;
  readonly objectId: ObjectId;
  /** For the ledger; `verifiedAt` is set when every slot of the object was looked at. */
  readonly finding: PackFinding;
  readonly damage: readonly Damage[];
  readonly readBytes: number;
};

export type VerifyPackOptions = {
  /** Slots to look at; absent: all that the object has. */
  readonly wanted?: Uint8Array | undefined;
  /** Slots that were ever given, where the trailer cannot tell. */
  readonly slotCount?: number | undefined;
  /** Only the trailer is read: nothing is known to be sound then. */
  readonly trailerOnly?: boolean | undefined;
  /** Asked before each read of data; absent, nothing is waited for. */
  readonly pace?: Pace | undefined;
  readonly signal: AbortSignal;
};

type Outcome = { readonly bad: readonly { readonly frame: CheckedFrame; readonly mask: number; reason: string }[] };

/**
 * Verifies the current object of a pack. Undefined when the pack was compacted or retired meanwhile: `pack` is out of
 * date then. @throws STORAGE_IO and others when the store as a whole does not answer; the signal's reason
 */
export async function verifyPack(
  repository: Repository,
  project: OpenProject,
  pack: PackUse,
  options: VerifyPackOptions,
): Promise<PackVerdict | undefined> {
  const reading = new PackReading(repository, project, pack, options);
  try {
    return await reading.run();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    if (!(await isCurrent(repository, project, pack))) return undefined;
    return reading.allBad(error);
  }
}

/** A pack that was compacted or retired meanwhile is not damaged. */
async function isCurrent(repository: Repository, project: OpenProject, pack: PackUse): Promise<boolean> {
  const [row] = await repository.ledger.locatePacks(project.projectId, [pack.packId]);
  return row?.objectId === pack.objectId;
}

/** A frame with what the trailer says of its slots. */
export function describeFrame(index: PackIndex, entry: FrameEntry): CheckedFrame {
  const slots = bitsOf(entry.mask).map((bit) => entry.firstSlot + bit);
  return {
    entry,
    digests: Buffer.concat(slots.map((slot) => index.digestOf(slot))),
    lengths: slots.map((slot) => index.plaintextBytesOf(slot)),
  };
}

class PackReading {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #pack: PackUse;
  readonly #options: VerifyPackOptions;
  readonly #objectName: string;
  readonly #damage: Damage[] = [];
  #readBytes = 0;

  constructor(repository: Repository, project: OpenProject, pack: PackUse, options: VerifyPackOptions) {
    this.#repository = repository;
    this.#project = project;
    this.#pack = pack;
    this.#options = options;
    this.#objectName = packObjectName(project.projectId, pack);
  }

  async run(): Promise<PackVerdict> {
    const { store } = this.#repository;
    const { wanted, signal, trailerOnly = false } = this.#options;
    signal.throwIfAborted();
    const index = await readTwice(() => readPackIndex(store, this.#project.keys, this.#project, this.#pack));
    const sound = makeBitmap(Math.max(index.slotCount, bitmapEnd(wanted)));
    await this.#noteMissing(index);
    if (trailerOnly) return this.#conclude(new Uint8Array(), false);
    const frames = index.frames.filter((entry) => isWanted(entry, wanted)).map((entry) => describeFrame(index, entry));
    for (const { entry } of frames) for (const bit of bitsOf(entry.mask)) setBit(sound, entry.firstSlot + bit);
    for (const read of joinFrames(frames)) {
      signal.throwIfAborted();
      for (const { frame, mask, reason } of (await this.#check(index, read)).bad) this.#note(frame.entry, mask, reason);
    }
    return this.#conclude(sound, wanted === undefined);
  }

  /** Nothing of the object can be read. */
  allBad(error: unknown): PackVerdict {
    const { wanted, slotCount = 0, trailerOnly = false } = this.#options;
    const { condemned } = this.#pack;
    const isAll = wanted === undefined || trailerOnly;
    const all = isAll ? Array.from({ length: slotCount }, (_, slot) => slot) : listBits(wanted);
    const slots = all.filter((slot) => !bitmapHas(condemned, slot));
    const offsetBytes = isVbsError(error) ? Number(error.details.offsetBytes ?? 0) : 0;
    this.#damage.length = 0;
    this.#add({ offsetBytes, slots, reason: reasonOf(error) });
    return this.#conclude(new Uint8Array(), wanted === undefined);
  }

  /** Slots that are wanted, or known to be bad, and not in the object: a manifest points to nothing. */
  async #noteMissing(index: PackIndex): Promise<void> {
    const { bad, condemned } = this.#pack;
    const known = bad === null || isDistrusted(bad) ? [] : listBits(bad).filter((slot) => !bitmapHas(condemned, slot));
    const expected = this.#options.wanted === undefined ? known : listBits(this.#options.wanted);
    const absent = expected.filter((slot) => !index.hasSlot(slot));
    if (absent.length === 0) return;
    // A backup that was deleted since it was surveyed needs nothing: its slots may have been condemned meanwhile.
    const [row] = await this.#repository.ledger.locatePacks(this.#project.projectId, [this.#pack.packId]);
    const missing = absent.filter((slot) => row !== undefined && !bitmapHas(row.condemned, slot));
    if (missing.length > 0) this.#add({ offsetBytes: 0, slots: missing, reason: 'the slots are missing' });
  }

  async #check(index: PackIndex, read: FrameRead<CheckedFrame>): Promise<Outcome> {
    const { store, workers } = this.#repository;
    const { pace, signal } = this.#options;
    const { offsetBytes: bytesOffset, lengthBytes, frames } = read;
    await pace?.take({ bytes: lengthBytes, operations: 1 }, signal);
    let bytes: Buffer;
    try {
      bytes = await readTwice(() => store.readRange(this.#objectName, bytesOffset, lengthBytes, signal));
    } catch (error) {
      if (!isVbsError(error, 'STORAGE_IO')) throw error;
      return await this.#narrow(index, read, error);
    }
    this.#readBytes += lengthBytes;
    const thread = pickLeastLoaded(workers.threads);
    thread.loadCount += 1;
    try {
      const { header, key } = index;
      const source = { objectName: this.#objectName, header, key, bytes, bytesOffset };
      const request: CheckFrames = { type: 'check', ...source, frames, salvages: false };
      // The store promises a buffer of its own memory.
      const { damaged } = await thread.call(request, [bytes.buffer as ArrayBuffer]);
      return { bad: damaged.flatMap(({ frame, ...rest }) => toBad(frames[frame], rest)) };
    } finally {
      thread.loadCount -= 1;
    }
  }

  /** Some part of the range is on a part of the medium that cannot be read: which frames? */
  async #narrow(index: PackIndex, read: FrameRead<CheckedFrame>, error: unknown): Promise<Outcome> {
    const [first, ...others] = read.frames;
    if (first === undefined) return { bad: [] };
    if (others.length === 0) return { bad: [{ frame: first, mask: first.entry.mask, reason: reasonOf(error) }] };
    const bad: Outcome['bad'][number][] = [];
    for (const frame of read.frames) {
      const { offsetBytes, storedBytes: lengthBytes } = frame.entry;
      bad.push(...(await this.#check(index, { offsetBytes, lengthBytes, frames: [frame] })).bad);
    }
    return { bad };
  }

  #note(entry: FrameEntry, mask: number, reason: string): void {
    const { wanted } = this.#options;
    const slots = bitsOf(mask).map((bit) => entry.firstSlot + bit);
    // What was condemned since the object was written is in it still, and nobody needs it.
    const needed = slots.filter((slot) => !bitmapHas(this.#pack.condemned, slot));
    const concerned = wanted === undefined ? needed : needed.filter((slot) => bitmapHas(wanted, slot));
    if (concerned.length > 0) this.#add({ offsetBytes: entry.offsetBytes, slots: needed, reason });
  }

  #add(damage: Pick<Damage, 'offsetBytes' | 'slots' | 'reason'>): void {
    this.#damage.push({ packId: this.#pack.packId, objectName: this.#objectName, ...damage });
  }

  #conclude(looked: Uint8Array, isWhole: boolean): PackVerdict {
    const { packId, kind, objectId } = this.#pack;
    const slots = this.#damage.flatMap((damage) => damage.slots);
    const bad = makeBitmap(slots.reduce((end, slot) => Math.max(end, slot + 1), 0));
    const sound = Uint8Array.from(looked);
    for (const slot of slots) {
      setBit(bad, slot);
      const byte = sound[slot >> 3];
      if (byte !== undefined) sound[slot >> 3] = byte & ~(1 << (slot & 7));
    }
    const verifiedAt = isWhole ? this.#repository.clock.now() : undefined;
    const finding = { packId, objectId, sound, bad, verifiedAt };
    return { packId, kind, objectId, finding, damage: this.#damage, readBytes: this.#readBytes };
  }
}

/**
 * Every slot that a pack can have was called bad: whoever did so had seen a part of it. Slots may have been found sound
 * since; the bit after the last slot, which no slot has, goes only when all of the pack was read.
 */
export function isDistrusted(bad: Uint8Array): boolean {
  return bitmapHas(bad, PACK_SLOT_COUNT_MAX);
}

function toBad(
  frame: CheckedFrame | undefined,
  rest: { readonly mask: number; readonly reason: string },
): Outcome['bad'] {
  return frame === undefined ? [] : [{ frame, ...rest }];
}

function isWanted({ firstSlot, mask }: FrameEntry, wanted: Uint8Array | undefined): boolean {
  return wanted === undefined || bitsOf(mask).some((bit) => bitmapHas(wanted, firstSlot + bit));
}

function reasonOf(error: unknown): string {
  if (!isVbsError(error)) return String(error);
  return String(error.details.reason ?? error.message);
}

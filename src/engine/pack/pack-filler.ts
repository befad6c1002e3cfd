// Fills packs of one job one after the other: rows before bytes, one pack open at a time, finished ones made durable
// in the background. Used for chunks and for manifest pages.
import { newUuid, type ObjectId, type PackId } from '../../core/ids.ts';
import type { JobClaim, PackKind, PackLocation } from '../../core/ledger.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { PackWriter } from './pack-writer.ts';

export type FinishedPack = { readonly packId: PackId; readonly slotCount: number; readonly storedBytes: number };

/** Packs being made durable at the same time: an fsync of 64 MiB overlaps with filling the next pack. */
const FINISHING_MAX = 2;

export class PackFiller {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #claim: JobClaim;
  readonly #kind: PackKind;
  readonly #signal: AbortSignal;
  readonly #finishing = new Set<Promise<void>>();
  readonly #finished: FinishedPack[] = [];
  /** Packs whose object is not durable yet: a pack that is done keeps no digests here. */
  readonly #unfinished = new Set<PackWriter>();
  #finishedBytes = 0;
  #current: PackWriter | undefined;
  #reserved: Promise<PackLocation> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: {
    repository: Repository;
    project: OpenProject;
    claim: JobClaim;
    kind: PackKind;
    /** Ends writes that wait for their turn; packs that are not durable by then are dropped. */
    signal: AbortSignal;
  }) {
    this.#repository = deps.repository;
    this.#project = deps.project;
    this.#claim = deps.claim;
    this.#kind = deps.kind;
    this.#signal = deps.signal;
  }

  /** Bytes of all packs so far, as far as written. */
  get storedBytes(): number {
    let total = this.#finishedBytes;
    for (const pack of this.#unfinished) total += pack.storedBytes;
    return total;
  }

  /**
   * The pack to put `slotCount` more slots into. `settle` resolves when the frames already given to the present pack
   * are written; it is awaited only when that pack is to be closed.
   * @throws what made an earlier pack fail
   */
  async packFor(slotCount: number, pendingBytes: number, settle: () => Promise<void>): Promise<PackWriter> {
    if (this.#failure) throw this.#failure.error;
    const current = this.#current;
    const targetBytes = this.#repository.packTargetBytes;
    const isFull =
      current !== undefined && (current.storedBytes + pendingBytes >= targetBytes || current.freeSlotCount < slotCount);
    if (isFull) {
      this.#current = undefined;
      await settle();
      await this.#finishSoon(current);
    }
    this.#current ??= await this.#openNext();
    // A row costs a commit of the catalog: the next one is entered while this pack fills.
    if (this.#current.storedBytes > targetBytes / 2) this.#reserved ??= this.#reserve();
    return this.#current;
  }

  /** Makes the last pack durable and waits for all. The caller has settled all frames. */
  async finish(): Promise<readonly FinishedPack[]> {
    const current = this.#current;
    this.#current = undefined;
    if (current) await this.#finishSoon(current);
    await Promise.all(this.#finishing);
    if (this.#failure) throw this.#failure.error;
    return this.#finished;
  }

  /** Drops whatever is not durable yet. Never throws: what made the job fail is the error to tell. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#finishing);
    const unfinished = [...this.#unfinished];
    this.#unfinished.clear();
    for (const outcome of await Promise.allSettled(unfinished.map((pack) => pack.abort()))) {
      if (outcome.status === 'rejected') {
        this.#repository.logger.warn({ err: outcome.reason }, 'an unfinished pack could not be dropped');
      }
    }
    await this.#reserved?.catch(() => undefined);
  }

  async #finishSoon(pack: PackWriter): Promise<void> {
    while (this.#finishing.size >= FINISHING_MAX) await Promise.race(this.#finishing);
    const work = pack
      .finish()
      .then(() => {
        const { location, slotCount, storedBytes } = pack;
        this.#finished.push({ packId: location.packId, slotCount, storedBytes });
        this.#finishedBytes += storedBytes;
        this.#unfinished.delete(pack);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#finishing.delete(work));
    this.#finishing.add(work);
  }

  async #openNext(): Promise<PackWriter> {
    const location = await (this.#reserved ?? this.#reserve());
    this.#reserved = undefined;
    const { store } = this.#repository;
    const pack = await PackWriter.create(store, this.#project.keys, this.#project, location, this.#signal);
    this.#unfinished.add(pack);
    return pack;
  }

  #reserve(): Promise<PackLocation> {
    const location = { packId: newUuid<PackId>(), kind: this.#kind, objectId: newUuid<ObjectId>() };
    const reserved = this.#repository.ledger.reservePacks(this.#claim, [location]).then(() => location);
    // It is awaited when the pack is opened; until then a failure waits too.
    reserved.catch(() => undefined);
    return reserved;
  }
}

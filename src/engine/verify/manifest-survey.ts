// All that backups lead to, as far as their manifests can be read: what cannot be is told and passed by.
import type { PackId } from '../../core/ids.ts';
import type { CommittedBackup } from '../../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../../core/limits.ts';
import { recordName } from '../../core/object-names.ts';
import { type Address, decodePage, encodePage, type Page } from '../format/page-format.ts';
import { readPage, readRecord } from '../manifest-objects.ts';
import { PackAccess } from '../pack/pack-access.ts';
import { SlotMarks } from '../prune/slot-marks.ts';
import { walkManifest } from '../prune/walk-manifest.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';

/** A record or a page that cannot be read. */
export type ManifestGap = { readonly objectName: string; readonly reason: string };

export class ManifestSurvey {
  /** Chunks and pages that are led to. */
  readonly marks = new SlotMarks();
  readonly gaps: ManifestGap[] = [];
  /** How often chunks of each pack are led to, repetitions included. */
  readonly chunkCounts = new Map<PackId, number>();
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #packs: PackAccess;
  readonly #signal: AbortSignal;

  constructor(repository: Repository, project: OpenProject, signal: AbortSignal) {
    this.#repository = repository;
    this.#project = project;
    this.#packs = new PackAccess(repository, project);
    this.#signal = signal;
  }

  /** Bytes of the disk; undefined when the record cannot be read, which is a gap. @throws the signal's reason */
  async add(backup: CommittedBackup): Promise<number | undefined> {
    const { store } = this.#repository;
    const { marks } = this;
    let opened: Awaited<ReturnType<typeof readRecord>>;
    try {
      opened = await readTwice(() => readRecord(store, this.#project, backup, backup.recordSha256));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const { projectId } = this.#project;
      this.#note(recordName(projectId, backup.backupId, backup.attemptId), error);
      return undefined;
    }
    const visitor = {
      enterPage: (address: Address) => marks.mark(address),
      leavePage: () => undefined,
      chunk: (address: Address) => {
        marks.mark(address);
        this.chunkCounts.set(address.packId, (this.chunkCounts.get(address.packId) ?? 0) + 1);
      },
    };
    await walkManifest(opened.topPage, visitor, (address, level) => this.#load(address, level), this.#signal);
    return opened.record.sizeBytes;
  }

  async #load(address: Address, level: number): Promise<Page> {
    try {
      return await readTwice(() => readPage(this.#repository.store, this.#packs, address, level));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#note(`slot ${address.slot} of pack ${address.packId}`, error);
      return EMPTY_PAGES[level] ?? emptyPage(level);
    }
  }

  #note(objectName: string, error: unknown): void {
    this.gaps.push({ objectName, reason: error instanceof Error ? error.message : String(error) });
  }
}

const EMPTY_PAGES = [0, 1, 2].map(emptyPage);

function emptyPage(level: number): Page {
  return decodePage(encodePage(level, []), level, 'an empty page');
}

/** Bytes of disk that one page of level 0 stands for. */
export const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;

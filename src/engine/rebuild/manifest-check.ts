// Checks that everything a record refers to is there: every page can be read, every slot stands in a trailer. Backups
// share pages, and each page is checked once, whoever comes to it first.
import { setImmediate } from 'node:timers/promises';
import { PAGE_ENTRY_COUNT, PAGE_WALK_COUNT } from '../../core/limits.ts';
import { type Address, addressAt, type Page } from '../format/page-format.ts';
import { readPage } from '../manifest-objects.ts';
import { SlotMarks } from '../prune/slot-marks.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { type PackSurvey, SurveyedPackAccess } from './pack-survey.ts';

type LevelState = {
  /** Pages with everything below them. */
  readonly sound: SlotMarks;
  /** Under way, or failed: whoever comes next learns the same. */
  readonly checks: Map<string, Promise<void>>;
};

export class ManifestCheck {
  readonly #repository: Repository;
  readonly #survey: PackSurvey;
  readonly #access: SurveyedPackAccess;
  readonly #signal: AbortSignal;
  readonly #levels: LevelState[] = [];
  #pageCount = 0;

  constructor(repository: Repository, project: OpenProject, survey: PackSurvey, signal: AbortSignal) {
    this.#repository = repository;
    this.#survey = survey;
    this.#access = new SurveyedPackAccess(repository, project, survey);
    this.#signal = signal;
  }

  /** Pages that were read. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** @throws DATA_CORRUPT, OBJECT_NOT_FOUND, STORAGE_IO when something of it is missing */
  async check(page: Page): Promise<void> {
    this.#signal.throwIfAborted();
    for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
      const address = addressAt(page, entry);
      if (!address) continue;
      if (page.level > 0) await this.#checkStored(address, page.level - 1);
      else if (!this.#survey.hasSlot('data', address)) await this.#survey.requireSlot('data', address);
    }
  }

  #checkStored(address: Address, level: number): Promise<void> | undefined {
    const { sound, checks } = this.#stateOf(level);
    if (sound.has(address)) return undefined;
    const key = `${address.packId}.${address.slot}`;
    let check = checks.get(key);
    if (!check) {
      check = this.#loadAndCheck(address, level).then(() => {
        sound.mark(address);
        checks.delete(key);
      });
      checks.set(key, check);
    }
    return check;
  }

  async #loadAndCheck(address: Address, level: number): Promise<void> {
    this.#pageCount += 1;
    // Pages that come from memory wait for nothing: others must get their turn.
    if (this.#pageCount % PAGE_WALK_COUNT === 0) await setImmediate();
    await this.check(await readPage(this.#repository.store, this.#access, address, level));
  }

  #stateOf(level: number): LevelState {
    let state = this.#levels[level];
    if (!state) {
      state = { sound: new SlotMarks(), checks: new Map() };
      this.#levels[level] = state;
    }
    return state;
  }
}

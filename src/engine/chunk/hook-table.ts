// The hooks of one job in flat memory: about 25 bytes each, half a million of them per TiB stored. A hook may lead to
// several packs; the newest comes first.
import { HOOK_PACK_MAX } from '../../core/limits.ts';

const INITIAL_CAPACITY = 1024;
const NONE = -1;

export class HookTable {
  #hooks = new BigUint64Array(INITIAL_CAPACITY);
  #packNumbers = new Uint32Array(INITIAL_CAPACITY);
  /** Entry with the same hook that was inserted before, or NONE. */
  #older = new Int32Array(INITIAL_CAPACITY);
  /** Newest entry of a hook + 1, 0 for free. Twice as many cells as entries keeps probes short. */
  #cells = new Uint32Array(2 * INITIAL_CAPACITY);
  #count = 0;

  insert(hook: bigint, packNumber: number): void {
    if (this.#count === this.#hooks.length) this.#grow();
    const cell = this.#cellOf(hook);
    const newest = (this.#cells[cell] ?? 0) - 1;
    if (newest !== NONE && this.#packNumbers[newest] === packNumber) return;
    this.#hooks[this.#count] = hook;
    this.#packNumbers[this.#count] = packNumber;
    this.#older[this.#count] = newest;
    this.#count += 1;
    this.#cells[cell] = this.#count;
  }

  /** Packs with this hook, newest first, at most HOOK_PACK_MAX. */
  find(hook: bigint): number[] {
    const packNumbers: number[] = [];
    let entry = (this.#cells[this.#cellOf(hook)] ?? 0) - 1;
    while (entry !== NONE && packNumbers.length < HOOK_PACK_MAX) {
      packNumbers.push(this.#packNumbers[entry] ?? 0);
      entry = this.#older[entry] ?? NONE;
    }
    return packNumbers;
  }

  /** Everything inserted, oldest first. */
  *entries(): Generator<{ hook: bigint; packNumber: number }, void> {
    for (let entry = 0; entry < this.#count; entry += 1) {
      yield { hook: this.#hooks[entry] ?? 0n, packNumber: this.#packNumbers[entry] ?? 0 };
    }
  }

  #cellOf(hook: bigint): number {
    const mask = this.#cells.length - 1;
    let cell = Number(hook & 0xffff_ffffn) & mask;
    for (;;) {
      const newest = (this.#cells[cell] ?? 0) - 1;
      if (newest === NONE || this.#hooks[newest] === hook) return cell;
      cell = (cell + 1) & mask;
    }
  }

  #grow(): void {
    const capacity = 2 * this.#hooks.length;
    const hooks = new BigUint64Array(capacity);
    const packNumbers = new Uint32Array(capacity);
    const older = new Int32Array(capacity);
    hooks.set(this.#hooks);
    packNumbers.set(this.#packNumbers);
    older.set(this.#older);
    this.#hooks = hooks;
    this.#packNumbers = packNumbers;
    this.#older = older;
    this.#cells = new Uint32Array(2 * capacity);
    for (let entry = 0; entry < this.#count; entry += 1) this.#cells[this.#cellOf(hooks[entry] ?? 0n)] = entry + 1;
  }
}

// A file beside the catalog that only takes space. On a full disk even deleting needs some: the catalog notes what may
// go before it goes. Then the file is given up, prune makes room, and the file is made again.
import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MIB } from '../core/bytes.ts';

/** Below this the transactions of a prune may no longer fit. */
const LOW_BYTES = 16 * MIB;
const PIECE_BYTES = MIB;

export class ReserveFile {
  readonly #path: string;
  readonly #sizeBytes: number;

  /** `sizeBytes` 0: there is none. */
  constructor(deps: { readonly path: string; readonly sizeBytes: number }) {
    this.#path = deps.path;
    this.#sizeBytes = deps.sizeBytes;
  }

  /** The disk is so full that the file should be given up. */
  async isNeeded(): Promise<boolean> {
    return (await this.#exists()) && (await this.#freeBytes()) < LOW_BYTES;
  }

  /** Removes the file. True when that gave space back. */
  async giveUp(): Promise<boolean> {
    if (!(await this.#exists())) return false;
    await rm(this.#path, { force: true });
    return true;
  }

  /** Makes the file where there is room for it twice; else it waits. What it holds does not compress. */
  async ensure(signal: AbortSignal): Promise<void> {
    if (this.#sizeBytes === 0) return void (await this.giveUp());
    if ((await this.#exists()) || (await this.#freeBytes()) < 2 * this.#sizeBytes + LOW_BYTES) return;
    const unfinished = `${this.#path}.new`;
    const file = await open(unfinished, 'w', 0o600);
    try {
      for (let at = 0; at < this.#sizeBytes && !signal.aborted; at += PIECE_BYTES) {
        const bytes = randomBytes(Math.min(PIECE_BYTES, this.#sizeBytes - at));
        await file.write(bytes, 0, bytes.length, at);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (signal.aborted) await rm(unfinished, { force: true });
    else await rename(unfinished, this.#path);
  }

  async #exists(): Promise<boolean> {
    const found = await stat(this.#path).catch(() => undefined);
    return found !== undefined;
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.#path));
    return bavail * bsize;
  }
}

// A file that is written once, from the beginning, with zeros left out as holes. It appears under its name only when
// it is whole and durable; until then it has a temporary name beside it, which a failure removes.
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KIB, MIB } from '../core/bytes.ts';

/** Zero runs of this length become holes: the chunk of the repository, and a multiple of every block size. */
const BLOCK_SIZE_BYTES = 64 * KIB;
/** Bytes gathered before they are looked at and written: few system calls, little memory. */
const BUFFER_SIZE_BYTES = 4 * MIB;
const ZERO_BLOCK = Buffer.alloc(BLOCK_SIZE_BYTES);

export class SparseFile {
  readonly #path: string;
  readonly #temporaryPath: string;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.alloc(BUFFER_SIZE_BYTES);
  #bufferedBytes = 0;
  /** Offset of the file at which the buffer begins. */
  #offsetBytes = 0;
  #writtenBytes = 0;
  #isOpen = true;

  private constructor(path: string, temporaryPath: string, handle: FileHandle) {
    this.#path = path;
    this.#temporaryPath = temporaryPath;
    this.#handle = handle;
  }

  static async create(path: string): Promise<SparseFile> {
    const temporaryPath = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
    // The content of a disk is nobody else's business.
    return new SparseFile(path, temporaryPath, await open(temporaryPath, 'wx', 0o600));
  }

  /** Bytes that really went to the file, holes left out. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Appends; `bytes` may be reused as soon as the promise settles. */
  async write(bytes: Uint8Array): Promise<void> {
    let taken = 0;
    while (taken < bytes.length) {
      const count = Math.min(bytes.length - taken, BUFFER_SIZE_BYTES - this.#bufferedBytes);
      this.#buffer.set(bytes.subarray(taken, taken + count), this.#bufferedBytes);
      this.#bufferedBytes += count;
      taken += count;
      if (this.#bufferedBytes === BUFFER_SIZE_BYTES) await this.#flush();
    }
  }

  /** Makes the file durable and gives it its name. An existing file of that name is replaced. */
  async finish(): Promise<void> {
    await this.#flush();
    // A hole at the end exists only through the length.
    await this.#handle.truncate(this.#offsetBytes);
    await this.#handle.sync();
    await this.#handle.close();
    this.#isOpen = false;
    await rename(this.#temporaryPath, this.#path);
    const folder = await open(dirname(this.#path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  /** Removes what was written, unless `finish` has given it its name. Harmless twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) await this.#handle.close();
    this.#isOpen = false;
    await rm(this.#temporaryPath, { force: true });
  }

  async #flush(): Promise<void> {
    const end = this.#bufferedBytes;
    for (let start = 0; start < end; ) {
      const isData = !this.#isZeroBlock(start, end);
      let next = start + BLOCK_SIZE_BYTES;
      while (next < end && this.#isZeroBlock(next, end) !== isData) next += BLOCK_SIZE_BYTES;
      if (isData) await this.#writeRange(start, Math.min(next, end));
      start = next;
    }
    this.#offsetBytes += end;
    this.#bufferedBytes = 0;
  }

  #isZeroBlock(start: number, end: number): boolean {
    const block = this.#buffer.subarray(start, Math.min(start + BLOCK_SIZE_BYTES, end));
    return block.equals(block.length === BLOCK_SIZE_BYTES ? ZERO_BLOCK : ZERO_BLOCK.subarray(0, block.length));
  }

  async #writeRange(start: number, end: number): Promise<void> {
    let position = start;
    while (position < end) {
      const offset = this.#offsetBytes + position;
      const { bytesWritten } = await this.#handle.write(this.#buffer, position, end - position, offset);
      position += bytesWritten;
      this.#writtenBytes += bytesWritten;
    }
  }
}

// A sparse disk in a bench's folder together with what a test knows of it: where its data is and which bytes.
import assert from 'node:assert/strict';
import { open, stat } from 'node:fs/promises';
import type { BackupId } from '../../src/core/ids.ts';
import type { WrittenBackup } from '../../src/engine/backup-writer.ts';
import { findDataExtents } from '../../src/volumes/data-extents.ts';
import { type Extent, extentEnd, mergeExtents } from '../../src/volumes/extent.ts';
import { loadSystemCalls } from '../../src/volumes/system-calls.ts';
import { type EngineBench, type RestoreOptions, sparseSource, type WriteOptions } from './engine-bench.ts';

export type Piece = { readonly offsetBytes: number; readonly bytes: Uint8Array };

export class SparseDisk {
  readonly #bench: EngineBench;
  readonly #name: string;
  readonly sizeBytes: number;
  readonly pieces: readonly Piece[];

  private constructor(bench: EngineBench, name: string, sizeBytes: number, pieces: readonly Piece[]) {
    this.#bench = bench;
    this.#name = name;
    this.sizeBytes = sizeBytes;
    this.pieces = pieces;
  }

  /** Pieces may overlap: later ones lie over earlier ones. */
  static async make(
    bench: EngineBench,
    name: string,
    sizeBytes: number,
    pieces: readonly Piece[],
  ): Promise<SparseDisk> {
    await bench.makeDisk(name, sizeBytes, pieces);
    return new SparseDisk(bench, name, sizeBytes, pieces);
  }

  get path(): string {
    return this.#bench.path(this.#name);
  }

  async write(options: WriteOptions = {}): ReturnType<EngineBench['write']> {
    const extents = this.pieces.map(({ offsetBytes, bytes }) => ({ offsetBytes, lengthBytes: bytes.length }));
    const source = await sparseSource(this.path, mergeExtents(extents));
    return this.#bench.write(this.path, { source, ...options });
  }

  async backUp(options: WriteOptions = {}): Promise<WrittenBackup> {
    const written = await this.write(options);
    await this.#bench.commit(written);
    return written;
  }

  /** Restores to a fresh file, unless told otherwise, and compares. */
  async assertRestores(backupId: BackupId, options: RestoreOptions & { name?: string } = {}): Promise<void> {
    const { name = 'restored', ...rest } = options;
    const path = await this.#bench.restore(backupId, name, { readsZero: true, sizeBytes: this.sizeBytes, ...rest });
    await this.assertEquals(path);
  }

  /** Bytes of the disk itself. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    await using file = await open(this.path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offsetBytes);
    assert.equal(bytesRead, lengthBytes);
    return buffer;
  }

  async assertEquals(path: string): Promise<void> {
    assert.equal((await stat(path)).size, this.sizeBytes);
    await assertSameData(path, this.path);
  }
}

/** Compares all that either file holds; what is a hole in both reads zero in both. */
export async function assertSameData(actualPath: string, expectedPath: string): Promise<void> {
  const range = { offsetBytes: 0, lengthBytes: (await stat(expectedPath)).size };
  assert.equal((await stat(actualPath)).size, range.lengthBytes);
  await using expected = await open(expectedPath);
  await using actual = await open(actualPath);
  const calls = loadSystemCalls();
  const extents: Extent[] = [];
  for (const { fd } of [expected, actual]) {
    for await (const extent of findDataExtents(fd, range, calls)) extents.push(extent);
  }
  for (const extent of mergeExtents(extents)) {
    const [left, right] = [Buffer.alloc(extent.lengthBytes), Buffer.alloc(extent.lengthBytes)];
    await expected.read(left, 0, left.length, extent.offsetBytes);
    await actual.read(right, 0, right.length, extent.offsetBytes);
    assert(left.equals(right), `bytes ${extent.offsetBytes} to ${extentEnd(extent)} differ`);
  }
}

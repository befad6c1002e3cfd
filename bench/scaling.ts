// How the engine grows with the size of a volume and with the length of a chain of increments: time, memory, metadata.
// Run: node bench/scaling.ts [MAX_GIB MAX_CHAIN]. Each row is a process of its own, so that its peak memory is its own.
// The engine alone, its ledger in memory; the changed extents are told by the bench, as a driver with reflinks would.
import { spawn } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { GIB, KIB, MIB } from '../src/core/bytes.ts';
import { CHUNK_SIZE_BYTES } from '../src/core/limits.ts';
import type { WrittenBackup } from '../src/engine/backup-writer.ts';
import { FilesystemStore } from '../src/storage/filesystem-store.ts';
import { ChunkSet } from '../src/volumes/chunk-set.ts';
import { findDataExtents } from '../src/volumes/data-extents.ts';
import type { Extent } from '../src/volumes/extent.ts';
import { loadSystemCalls } from '../src/volumes/system-calls.ts';
import type { VolumeSource } from '../src/volumes/volume.ts';
import { EngineBench, fileSource } from '../test/support/engine-bench.ts';
import { makeTemporaryFolder } from '../test/support/temporary-folder.ts';
import { newFileTarget } from './support/new-file-target.ts';

const DATA_BYTES = 256 * MIB;
const PIECE_BYTES = 4 * MIB;
/** An increment: 1 MiB in single chunks. */
const CHANGED_COUNT = 16;
const SAMPLE_COUNT = 32;
const CHAIN_VOLUME_BYTES = GIB;

/** A disk of which as much is known as a driver with reflinks knows. */
class BenchDisk {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: FileHandle;

  private constructor(path: string, sizeBytes: number, file: FileHandle) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#file = file;
  }

  /** 256 MiB of incompressible data in pieces of 4 MiB, spread evenly. */
  static async make(path: string, sizeBytes: number): Promise<BenchDisk> {
    const file = await open(path, 'w+');
    await file.truncate(sizeBytes);
    const disk = new BenchDisk(path, sizeBytes, file);
    const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
    for (const offsetBytes of disk.#pieceOffsets()) {
      await file.write(noise.update(Buffer.alloc(PIECE_BYTES)), 0, PIECE_BYTES, offsetBytes);
    }
    await file.sync();
    return disk;
  }

  /** Overwrites single chunks of the data and answers which. */
  async change(round: number): Promise<number[]> {
    const pieces = [...this.#pieceOffsets()];
    const chunks = Array.from({ length: CHANGED_COUNT }, (_, i) => {
      const piece = pieces[(i * 4 + round) % pieces.length] ?? 0;
      return piece / CHUNK_SIZE_BYTES + ((round * 7) % (PIECE_BYTES / CHUNK_SIZE_BYTES));
    });
    for (const chunk of chunks) {
      await this.#file.write(randomBytes(CHUNK_SIZE_BYTES), 0, CHUNK_SIZE_BYTES, chunk * CHUNK_SIZE_BYTES);
    }
    return chunks;
  }

  /** `changed`: chunks written since the last backup; absent, everything is read. */
  async source(changed?: readonly number[]): Promise<VolumeSource> {
    const fd = this.#file.fd;
    const first = [...this.#pieceOffsets()].map((offsetBytes) => offsetBytes / CHUNK_SIZE_BYTES);
    return {
      ...(await fileSource(this.path)),
      dataExtents: (range: Extent, signal?: AbortSignal) => findDataExtents(fd, range, loadSystemCalls(), signal),
      describeBaseline: async () => ({ driver: 'file', state: {} }),
      findChanges: async () => {
        if (!changed) return { isKnown: false, reason: 'the bench wants a scan' };
        const set = new ChunkSet(this.sizeBytes);
        for (const chunk of changed) set.add(chunk);
        const sample = first.filter((chunk) => !set.has(chunk)).slice(0, SAMPLE_COUNT);
        return { isKnown: true, changed: set, sample };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  *#pieceOffsets(): Iterable<number> {
    const count = DATA_BYTES / PIECE_BYTES;
    const stride = Math.floor(this.sizeBytes / count / CHUNK_SIZE_BYTES) * CHUNK_SIZE_BYTES;
    for (let piece = 0; piece < count; piece += 1) yield piece * stride;
  }
}

type Measured = { readonly seconds: number; readonly metadataBytes: number; readonly readBytes: number };

/** Backs the disk up and tells what that cost. */
async function measure(bench: EngineBench, disk: BenchDisk, changed?: readonly number[]): Promise<Measured> {
  let readBytes = 0;
  const source = await disk.source(changed);
  const startedAt = performance.now();
  const report = ({ doneBytes }: { readonly doneBytes: number }): void => {
    readBytes = doneBytes;
  };
  const written = await bench.backUp(disk.path, { source, report });
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, metadataBytes: await countMetadata(bench, written), readBytes };
}

/** All that was stored but the sealed data: record, pages, headers and trailers. */
async function countMetadata({ repository, ledger, projectId }: EngineBench, { commit }: WrittenBackup) {
  const project = await repository.openProject(projectId);
  let dataBytes = 0;
  for (const { packId } of commit.packs) {
    const row = ledger.packs.get(packId);
    if (row?.kind !== 'data') continue;
    const { frames } = await repository.packIndex(project, { packId, kind: 'data', objectId: row.objectId });
    dataBytes += frames.reduce((total, { storedBytes }) => total + storedBytes, 0);
  }
  return commit.storedBytes - dataBytes;
}

async function restoreNewest(bench: EngineBench, written: { sizeBytes: number }): Promise<number> {
  const newest = [...bench.ledger.backups.keys()].at(-1);
  if (!newest) throw new Error('there is a backup');
  const startedAt = performance.now();
  await using target = await newFileTarget(bench.path('restored'), written.sizeBytes);
  await bench.restore(newest, 'restored', { target });
  return (performance.now() - startedAt) / 1000;
}

async function withBench(sizeBytes: number, work: (bench: EngineBench, disk: BenchDisk) => Promise<string>) {
  await using folder = await makeTemporaryFolder();
  await using bench = await EngineBench.start(
    new FilesystemStore({ root: folder.path, dropCache: loadSystemCalls().dropCache }),
  );
  await using disk = await BenchDisk.make(bench.path('disk'), sizeBytes);
  console.log(await work(bench, disk));
}

const inSeconds = (seconds: number): string => seconds.toFixed(2);
const inKib = (bytes: number): string => (bytes / KIB).toFixed(0);
const peakMib = (): string => (process.resourceUsage().maxRSS / 1024).toFixed(0);

async function measureSize(sizeGib: number): Promise<void> {
  await withBench(sizeGib * GIB, async (bench, disk) => {
    const full = await measure(bench, disk);
    const scan = await measure(bench, disk);
    const increment = await measure(bench, disk, await disk.change(1));
    const restoreSeconds = await restoreNewest(bench, disk);
    const times = [full.seconds, scan.seconds, increment.seconds, restoreSeconds].map(inSeconds);
    const bytes = [full.metadataBytes, increment.metadataBytes, increment.readBytes].map(inKib);
    return `| ${[`${sizeGib} GiB`, ...times, ...bytes, peakMib()].join(' | ')} |`;
  });
}

async function measureChain(length: number): Promise<void> {
  await withBench(CHAIN_VOLUME_BYTES, async (bench, disk) => {
    await measure(bench, disk);
    let last: Measured = { seconds: 0, metadataBytes: 0, readBytes: 0 };
    let total = 0;
    for (let round = 1; round <= length; round += 1) {
      last = await measure(bench, disk, await disk.change(round));
      total += last.seconds;
    }
    const times = [total / length, last.seconds, await restoreNewest(bench, disk)].map(inSeconds);
    return `| ${[String(length), ...times, inKib(last.metadataBytes), inKib(last.readBytes), peakMib()].join(' | ')} |`;
  });
}

/** Below a folder of the parent's, so that nothing stays behind whatever happens to it. */
async function runRow(folder: string, kind: string, value: number): Promise<void> {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), kind, String(value)];
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, TMPDIR: folder } });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the row ${kind} ${value} failed`);
}

async function runAll(maxGib: number, maxChain: number): Promise<void> {
  await using folder = await makeTemporaryFolder();
  const head = (columns: readonly string[]): void => {
    console.log(`\n| ${columns.join(' | ')} |\n|${columns.map(() => '---:').join('|')}|`);
  };
  const bytes = ['metadata of an increment KiB', 'read by an increment KiB', 'peak memory MiB'];
  head(['volume', 'full s', 'scan s', 'increment s', 'restore s', 'metadata of the full KiB', ...bytes]);
  for (const size of [1, 10, 100, 1024].filter((gib) => gib <= maxGib)) await runRow(folder.path, 'size', size);
  head(['increments', 'mean s', 'last s', 'restore of the newest s', ...bytes]);
  for (const length of [1, 10, 100, 1000].filter((count) => count <= maxChain)) {
    await runRow(folder.path, 'chain', length);
  }
}

const [kind, ...values] = process.argv.slice(2);
if (kind === 'size') await measureSize(Number(values[0]));
else if (kind === 'chain') await measureChain(Number(values[0]));
else await runAll(Number(kind ?? 1024), Number(values[0] ?? 1000));

// Random histories of a disk and its backups: after every step each backup that is left restores byte for byte.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackupId } from '../../src/core/ids.ts';
import { BackupReader, openBackup } from '../../src/engine/backup-reader.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { type Piece, SparseDisk } from '../support/sparse-disk.ts';
import { listNames } from '../support/stored-objects.ts';

const MIB = 1024 * 1024;
const RUN_COUNT = Number(process.env.OPENVBS_TEST_RUNS ?? 8);
const LIVE_MAX = 4;

type Change = { readonly isZero: boolean; readonly at: number; readonly lengthBytes: number; readonly seed: number };
type Step =
  | { readonly type: 'resize'; readonly sizeBytes: number }
  | { readonly type: 'backup'; readonly changes: readonly Change[]; readonly isIncremental: boolean }
  | { readonly type: 'fail'; readonly nth: number; readonly effect: 'ENOSPC' | 'EIO' | 'lost-reply' }
  | { readonly type: 'delete'; readonly at: number };

/** A fraction of what there is at that moment. */
const at = fc.nat(1_000_000).map((millionths) => millionths / 1_000_000);
const size = fc.oneof(
  fc.integer({ min: MIB, max: 200 * MIB }),
  fc.integer({ min: 65 * MIB, max: 200 * MIB }),
  // Whole chunks, a page, and a byte beside it.
  fc.constantFrom(MIB, 64 * MIB, 64 * MIB - 1, 64 * MIB + 1, 128 * MIB, 128 * MIB + 65_536),
);
const length = fc.oneof(fc.integer({ min: 1, max: 400_000 }), fc.constantFrom(1, 65_536, 4 * MIB));
const oneIn = (count: number) => fc.nat(count - 1).map((n) => n === 0);
const change: fc.Arbitrary<Change> = fc.record({ isZero: oneIn(4), at, lengthBytes: length, seed: fc.nat(9) });
const backup: fc.Arbitrary<Step> = fc.record({
  type: fc.constant('backup'),
  changes: fc.array(change, { maxLength: 3 }),
  isIncremental: oneIn(5).map((isFull) => !isFull),
});
const failure: fc.Arbitrary<Step> = fc.record({
  type: fc.constant('fail'),
  nth: fc.integer({ min: 1, max: 16 }),
  effect: fc.constantFrom('ENOSPC', 'EIO', 'lost-reply'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: backup },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('resize'), sizeBytes: size }) },
  { weight: 1, arbitrary: failure },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete'), at }) },
);

class History {
  readonly #bench: EngineBench;
  readonly #store: FaultyStore;
  readonly #live: { readonly backupId: BackupId; readonly disk: SparseDisk }[] = [];
  readonly #disks: SparseDisk[] = [];
  readonly #name: string;
  #pieces: Piece[] = [];
  #sizeBytes: number;

  constructor(bench: EngineBench, store: FaultyStore, start: { name: string; sizeBytes: number }) {
    this.#bench = bench;
    this.#store = store;
    this.#name = start.name;
    this.#sizeBytes = start.sizeBytes;
  }

  async run(one: Step): Promise<void> {
    const { ledger, repository, projectId } = this.#bench;
    if (one.type === 'resize') return this.#resize(one.sizeBytes);
    if (one.type === 'delete') {
      const [backup] = this.#live.splice(Math.floor(one.at * (this.#live.length - 1)), 1);
      if (backup) await ledger.deleteBackup(backup.backupId);
      await sweepTrash(repository, projectId);
    } else if (one.type === 'fail') {
      await this.#failOnce(one);
    } else if (one.type === 'backup') {
      if (this.#live.length >= LIVE_MAX) await this.run({ type: 'delete', at: 0 });
      for (const change of one.changes) this.#put(change);
      const disk = await this.#disk();
      const { commit } = await disk.backUp({ isIncremental: one.isIncremental });
      this.#live.push({ backupId: commit.backupId, disk });
    }
    for (const backup of this.#live) await this.#check(backup);
  }

  async end(): Promise<void> {
    while (this.#live.length > 0) await this.run({ type: 'delete', at: 0 });
    for (const { path } of this.#disks) await rm(path);
  }

  /** Later pieces lie over earlier ones, and so they stand in the file. */
  #put({ isZero, at: fraction, lengthBytes, seed }: Change): void {
    const offsetBytes = Math.floor(fraction * (this.#sizeBytes - 1));
    const fits = Math.min(lengthBytes, this.#sizeBytes - offsetBytes);
    const bytes = isZero ? Buffer.alloc(fits) : fixedBytes(seed, fits);
    this.#pieces = [...this.#pieces, { offsetBytes, bytes }];
  }

  #resize(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    this.#pieces = this.#pieces
      .filter(({ offsetBytes }) => offsetBytes < sizeBytes)
      .map(({ offsetBytes, bytes }) => ({ offsetBytes, bytes: bytes.subarray(0, sizeBytes - offsetBytes) }));
  }

  async #disk(): Promise<SparseDisk> {
    const name = `${this.#name}.${this.#disks.length}`;
    const disk = await SparseDisk.make(this.#bench, name, this.#sizeBytes, this.#pieces);
    this.#disks.push(disk);
    return disk;
  }

  /** An attempt that fails, and the failure of its job: nothing of it stays. */
  async #failOnce({ nth, effect }: Extract<Step, { nth: number }>): Promise<void> {
    const { ledger, repository, projectId } = this.#bench;
    // What the first use of a project makes stays.
    await repository.openProject(projectId);
    const names = await listNames(this.#store);
    const claim = this.#bench.newClaim();
    this.#store.setRules([{ operation: ['create', 'write', 'commit', 'put'], nth, effect }]);
    const outcome = await (await this.#disk()).write({ claim }).catch((error: unknown) => error);
    this.#store.setRules([]);
    if (outcome instanceof Error)
      assert('code' in outcome && String(outcome.code).startsWith('STORAGE_'), `${outcome}`);
    await ledger.failBackup(claim);
    await sweepTrash(repository, projectId);
    assert.deepEqual(await listNames(this.#store), names);
  }

  async #check({ backupId, disk }: { backupId: BackupId; disk: SparseDisk }): Promise<void> {
    await disk.assertRestores(backupId);
    // Over a disk that holds other data, where the backup has some and where it has none.
    const bytes = Buffer.alloc(200_000, 0xee);
    const places = [...disk.pieces.map(({ offsetBytes }) => offsetBytes), disk.sizeBytes / 3, disk.sizeBytes];
    const dirt = places.map((place) => ({ offsetBytes: Math.max(0, Math.floor(place) - bytes.length), bytes }));
    await this.#bench.makeDisk('dirty', disk.sizeBytes, dirt);
    await disk.assertRestores(backupId, { name: 'dirty', readsZero: false });
    await this.#readSome(backupId, disk);
  }

  async #readSome(backupId: BackupId, disk: SparseDisk): Promise<void> {
    const claim = this.#bench.newClaim();
    const reader = await openBackup(this.#bench.repository, { claim, backupId });
    assert(reader instanceof BackupReader);
    assert.equal(reader.sizeBytes, disk.sizeBytes);
    for (const { offsetBytes, bytes } of disk.pieces.slice(-2)) {
      const from = Math.max(0, offsetBytes - 1000);
      const lengthBytes = Math.min(disk.sizeBytes, offsetBytes + bytes.length + 1000) - from;
      assert((await reader.read(from, lengthBytes)).equals(await disk.read(from, lengthBytes)), `read at ${from}`);
    }
    this.#bench.ledger.endJob(claim);
  }
}

test('whatever becomes of a disk and its backups, every backup that is left restores byte for byte', async () => {
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  let runCount = 0;
  await fc.assert(
    fc.asyncProperty(size, fc.array(step, { minLength: 5, maxLength: 10, size: 'max' }), async (sizeBytes, steps) => {
      runCount += 1;
      const history = new History(bench, store, { name: `run${runCount}`, sizeBytes });
      try {
        for (const one of steps) await history.run(one);
      } finally {
        store.setRules([]);
        await history.end();
      }
    }),
    { numRuns: RUN_COUNT, endOnFailure: true },
  );
});

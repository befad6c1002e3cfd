// What tests of verification start from: two backups that share chunks, a third of another content, and ways to damage
// what they rely on.
import assert from 'node:assert/strict';
import { type BackupId, newUuid, type PackId } from '../../../../src/core/ids.ts';
import { packObjectName } from '../../../../src/core/object-names.ts';
import type { PackIndex } from '../../../../src/engine/pack/pack-index.ts';
import { type CheckReport, checkProject } from '../../../../src/engine/verify/check-project.ts';
import { type RepairReport, repairProject } from '../../../../src/engine/verify/repair-project.ts';
import { type BackupVerdict, verifyBackup } from '../../../../src/engine/verify/verify-backup.ts';
import { MemoryStore } from '../../../../src/storage/memory-store.ts';
import { EngineBench } from '../../../support/engine-bench.ts';
import { FaultyStore } from '../../../support/faulty-store.ts';
import { fixedBytes } from '../../../support/fixed-bytes.ts';
import { SparseDisk } from '../../../support/sparse-disk.ts';

export const MIB = 1024 * 1024;
export const SIZE_BYTES = 70 * MIB + 777;
export const PIECES = [
  { offsetBytes: MIB, bytes: fixedBytes(1, 1_200_000) },
  { offsetBytes: 40 * MIB, bytes: Buffer.alloc(2 * MIB, 'text that compresses well; ') },
  { offsetBytes: SIZE_BYTES - 5000, bytes: fixedBytes(2, 5000) },
];
export const CHANGES = [{ offsetBytes: 3 * MIB, bytes: fixedBytes(3, 300_000) }];

export class VerifyBench {
  readonly engine: EngineBench;
  readonly store: FaultyStore;
  readonly signal = new AbortController().signal;
  /** Damage must not hide behind what was read before. */
  repository: EngineBench['repository'];

  private constructor(engine: EngineBench, store: FaultyStore) {
    this.engine = engine;
    this.store = store;
    this.repository = engine.repository;
  }

  static async start(): Promise<VerifyBench> {
    const store = new FaultyStore(new MemoryStore());
    return new VerifyBench(await EngineBench.start(store), store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }

  makeDisk(name: string, pieces: readonly { offsetBytes: number; bytes: Uint8Array }[]): Promise<SparseDisk> {
    return SparseDisk.make(this.engine, name, SIZE_BYTES, pieces);
  }

  /** With nothing in memory of what was read before. */
  async forget(): Promise<void> {
    this.repository = await this.engine.reopen();
  }

  async verify(backupId: BackupId): Promise<BackupVerdict> {
    const claim = this.engine.newClaim();
    try {
      const request = { claim, backupId, report: () => undefined, signal: this.signal };
      return await verifyBackup(this.repository, request);
    } finally {
      this.engine.ledger.endJob(claim);
    }
  }

  async check(readShare = 0): Promise<CheckReport> {
    return await checkProject(this.repository, this.engine.projectId, { readShare }, this.signal);
  }

  /** `disk`: what the volume of all backups holds now; none when it is gone. */
  async repair(disk?: SparseDisk): Promise<RepairReport> {
    const openVolume = async () => disk && ({ driver: 'file', path: disk.path, sizeBytes: disk.sizeBytes } as const);
    return await repairProject(this.repository, this.engine.projectId, { openVolume }, this.signal);
  }

  /** Packs of a kind, in the order in which they were made. */
  packsOf(kind: 'data' | 'page') {
    return [...this.engine.ledger.packs.values()].filter((pack) => pack.kind === kind && pack.state === 'live');
  }

  async indexOf(packId: PackId): Promise<PackIndex> {
    const row = this.engine.ledger.packs.get(packId);
    assert(row);
    return await this.repository.packIndex(await this.repository.openProject(this.engine.projectId), row);
  }

  nameOf(packId: PackId): string {
    const row = this.engine.ledger.packs.get(packId);
    assert(row);
    return packObjectName(this.engine.projectId, row);
  }

  /** Flips a bit inside the frame that holds the slot. */
  async spoilSlot(packId: PackId, slot: number, atByte = 100): Promise<{ readonly offsetBytes: number }> {
    const index = await this.indexOf(packId);
    const frame = index.frames[index.frameIndexOf(slot)];
    assert(frame);
    await this.store.flipBit(this.nameOf(packId), (frame.offsetBytes + atByte) * 8);
    return frame;
  }

  newBackupId(): BackupId {
    return newUuid<BackupId>();
  }
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { SparseDisk } from '../support/sparse-disk.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 130 * MIB;

type Damage = (store: MemoryStore, name: string) => void | Promise<void>;
const damages: [string, Damage][] = [
  ['damaged', (store, name) => store.tamper(name, (bytes) => bytes.fill(0xff, bytes.length - 90, bytes.length - 40))],
  ['cut', (store, name) => store.tamper(name, (bytes) => bytes.subarray(0, bytes.length - 1))],
  ['missing', (store, name) => store.delete([name])],
];

for (const part of ['data', 'page', 'record'] as const) {
  test(`a parent whose ${part} object is damaged costs an increment nothing but room`, async () => {
    const store = new MemoryStore();
    await using bench = await EngineBench.start(store);
    const pieces = [
      { offsetBytes: 0, bytes: fixedBytes(1, MIB) },
      { offsetBytes: 100 * MIB, bytes: fixedBytes(2, MIB) },
    ];
    const disk = await SparseDisk.make(bench, 'disk', SIZE_BYTES, pieces);
    const changes = [{ offsetBytes: 0, bytes: fixedBytes(3, 1000) }];
    const changed = await SparseDisk.make(bench, 'changed', SIZE_BYTES, [...pieces, ...changes]);
    const parent = await disk.backUp({ isIncremental: false });
    const name = nameOf(bench, parent.commit.backupId, part);
    const sound = await store.get(name, 64 * MIB);
    for (const [what, damage] of damages) {
      await damage(store, name);
      const repository = await bench.reopen();
      await assert.rejects(disk.assertRestores(parent.commit.backupId, { repository }), what);
      const { commit } = await changed.backUp({ repository });
      await changed.assertRestores(commit.backupId, { repository });
      // What is wrong with the parent stays wrong with the parent alone.
      await assert.rejects(disk.assertRestores(parent.commit.backupId, { repository }), what);
      await bench.ledger.deleteBackup(commit.backupId);
      for (const { packId } of commit.packs) bench.ledger.packs.delete(packId);
      await store.replace(name, sound);
    }
  });
}

for (const part of ['data', 'page', 'record'] as const) {
  test(`a parent whose ${part} object cannot be read from its medium costs an increment nothing but room`, async () => {
    const store = new FaultyStore(new MemoryStore());
    await using bench = await EngineBench.start(store);
    const pieces = [
      { offsetBytes: 0, bytes: fixedBytes(1, MIB) },
      { offsetBytes: 100 * MIB, bytes: fixedBytes(2, MIB) },
    ];
    const disk = await SparseDisk.make(bench, 'disk', SIZE_BYTES, pieces);
    const { commit: parent } = await disk.backUp({ isIncremental: false });
    const damaged = nameOf(bench, parent.backupId, part);
    const operation = ['get', 'readRange', 'readSuffix'] as const;
    store.setRules([{ operation, name: (name) => name === damaged, effect: 'EIO' }]);
    const repository = await bench.reopen();
    const { commit } = await disk.backUp({ repository });
    await disk.assertRestores(commit.backupId, { repository });
    assert.equal(commit.isIncremental, part !== 'record');
  });
}

function nameOf(bench: EngineBench, backupId: Parameters<typeof bench.ledger.backups.get>[0], part: string): string {
  const { ledger, projectId } = bench;
  const backup = ledger.backups.get(backupId);
  assert(backup);
  if (part === 'record') return recordName(projectId, backupId, backup.attemptId);
  const pack = [...ledger.packs.values()].find(({ kind }) => kind === part);
  assert(pack);
  return packObjectName(projectId, pack);
}

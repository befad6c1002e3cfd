// Keys that are changed or rotated, cut short at every step: minutes of scrypt.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { changePassphrase, listPassphrases, rotateKeys } from '../../src/engine/key-management.ts';
import { EngineBench, PASSPHRASE } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';

const MIB = 1024 * 1024;

for (const step of ['rotation', 'change of passphrase'] as const) {
  for (const effect of ['crash', 'crash-after'] as const) {
    test(`a ${step} with a ${effect} anywhere leaves a repository that opens, and is completed`, async () => {
      for (let nth = 1; ; nth += 1) {
        await using bench = await EngineBench.start();
        const disk = await bench.makeDisk('disk', 2 * MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
        const { commit } = await bench.backUp(disk);
        const assertRestores = async () => {
          const options = { repository: await bench.reopen(), readsZero: true, sizeBytes: 2 * MIB };
          const restored = await bench.restore(commit.backupId, 'restored', options);
          assert.deepEqual(await readFile(restored), await readFile(disk));
        };
        const store = new FaultyStore(bench.store, [{ nth, effect }]);
        const places = { store, ledger: bench.ledger };
        const work =
          step === 'rotation' ? rotateKeys(places, PASSPHRASE) : changePassphrase(places, PASSPHRASE, PASSPHRASE);
        await work.catch(() => undefined);
        if (!store.hasCrashed) break;
        await assertRestores();
        await rotateKeys(bench, PASSPHRASE);
        await assertRestores();
        const keys = await listPassphrases(bench, PASSPHRASE);
        assert.deepEqual(
          keys.map(({ isOpened, isInStore }) => [isOpened, isInStore]),
          [[true, true]],
          `at operation ${nth}`,
        );
      }
    });
  }
}

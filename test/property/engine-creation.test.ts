// Slow because every opening costs a scrypt: kept apart from the unit tests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, isVbsError } from '../../src/core/errors.ts';
import { newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { CONFIG_NAME } from '../../src/core/object-names.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import type { WorkerPool } from '../../src/engine/pipeline/worker-pool.ts';
import { Repository } from '../../src/engine/repository.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { EngineBench, PASSPHRASE } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';
import { listNames } from '../support/stored-objects.ts';

const MIB = 1024 * 1024;
// Opening never touches the threads.
const workers = undefined as unknown as WorkerPool;

function open(store: ObjectStore, ledger: MemoryLedger): Promise<Repository> {
  return Repository.open({ store, ledger, workers, clock: systemClock, logger: silentLogger }, PASSPHRASE);
}

test('an altered config is refused', async () => {
  const [store, ledger] = [new MemoryStore(), new MemoryLedger()];
  await open(store, ledger);
  const text = (await store.get(CONFIG_NAME, MIB)).toString();
  const config = JSON.parse(text);
  const attempts: [string, ErrorCode][] = [
    [JSON.stringify({ ...config, version: 2 }), 'REPOSITORY_UNKNOWN_FORMAT'],
    [JSON.stringify({ ...config, repositoryId: newUuid() }), 'REPOSITORY_MISMATCH'],
    [JSON.stringify({ ...config, mac: '00'.repeat(32) }), 'DATA_CORRUPT'],
    [JSON.stringify({ ...config, mac: undefined }), 'DATA_CORRUPT'],
    [JSON.stringify({ ...config, kind: 'else' }), 'DATA_CORRUPT'],
    [JSON.stringify({ ...config, version: '1' }), 'DATA_CORRUPT'],
    [text.slice(0, -10), 'DATA_CORRUPT'],
    ['', 'DATA_CORRUPT'],
    ['null', 'DATA_CORRUPT'],
  ];
  for (const [altered, code] of attempts) {
    await store.replace(CONFIG_NAME, Buffer.from(altered));
    await assert.rejects(open(store, ledger), (error) => isVbsError(error, code), altered);
  }
});

test('a creation that was cut short anywhere is completed by the next opening', async () => {
  for (const effect of ['crash', 'crash-after'] as const) {
    for (let nth = 1; ; nth += 1) {
      const [store, ledger] = [new MemoryStore(), new MemoryLedger()];
      const faulty = new FaultyStore(store, [{ nth, effect }]);
      const outcome = await open(faulty, ledger).catch(() => undefined);
      if (!faulty.hasCrashed) break;
      const repository = await open(store, ledger);
      if (outcome) assert.equal(repository.repositoryId, outcome.repositoryId);
      assert.equal((await listNames(store)).length, 2, `crash at operation ${nth}`);
    }
  }
});

test('a project whose creation was cut short anywhere is completed by the next use', async () => {
  await using bench = await EngineBench.start();
  for (const effect of ['crash', 'crash-after'] as const) {
    for (let nth = 1; ; nth += 1) {
      const projectId = newHexId<ProjectId>();
      const faulty = new FaultyStore(bench.store);
      const repository = await bench.reopen(faulty);
      faulty.setRules([{ nth, effect }]);
      await repository.openProject(projectId).catch(() => undefined);
      if (!faulty.hasCrashed) break;
      const project = await bench.repository.openProject(projectId);
      await bench.repository.checkEpoch(project);
      const keys = (await bench.ledger.listKeys()).filter((row) => row.projectId === projectId);
      assert.equal(keys.length, 1);
    }
  }
});

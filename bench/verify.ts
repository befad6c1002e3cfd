// Times the verification of a backup: every chunk read, opened and compared, beside the restore of the same backup.
// Run: node bench/verify.ts IMAGE [ROUNDS]. The engine alone, in this process; the repository in a temporary folder.
import { stat } from 'node:fs/promises';
import { GIB, MIB } from '../src/core/bytes.ts';
import { verifyBackup } from '../src/engine/verify/verify-backup.ts';
import { FilesystemStore } from '../src/storage/filesystem-store.ts';
import { loadSystemCalls } from '../src/volumes/system-calls.ts';
import { EngineBench } from '../test/support/engine-bench.ts';
import { makeTemporaryFolder } from '../test/support/temporary-folder.ts';
import { newFileTarget } from './support/new-file-target.ts';

const ROUNDS = 5;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

const [image, rounds = String(ROUNDS)] = process.argv.slice(2);
if (image === undefined) throw new Error('usage: node bench/verify.ts IMAGE [ROUNDS]');
const { size: sizeBytes } = await stat(image);
await using folder = await makeTemporaryFolder();
await using bench = await EngineBench.start(
  new FilesystemStore({ root: folder.path, dropCache: loadSystemCalls().dropCache }),
);
const { commit } = await bench.backUp(image);
const { backupId } = commit;
const signal = new AbortController().signal;
const verifySeconds: number[] = [];
const restoreSeconds: number[] = [];
for (let round = 0; round < Number(rounds); round += 1) {
  const verify = async (): Promise<void> => {
    const claim = bench.newClaim();
    const verdict = await verifyBackup(bench.repository, { claim, backupId, report: () => undefined, signal });
    bench.ledger.endJob(claim);
    if (!verdict.isSound) throw new Error('the backup is sound');
  };
  verifySeconds.push(await timed(verify));
  const restore = async (): Promise<void> => {
    await using target = await newFileTarget(bench.path('restored'), sizeBytes);
    await bench.restore(backupId, 'restored', { target });
  };
  restoreSeconds.push(await timed(restore));
}
console.log('| | median s | of the volume GiB/s | of what is stored MiB/s |\n|---|---:|---:|---:|');
for (const [name, seconds] of [
  ['verify', median(verifySeconds)],
  ['restore to a new file', median(restoreSeconds)],
] as const) {
  const logical = (sizeBytes / GIB / seconds).toFixed(2);
  const stored = (commit.storedBytes / MIB / seconds).toFixed(0);
  console.log(`| ${name} | ${seconds.toFixed(2)} | ${logical} | ${stored} |`);
}
console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);

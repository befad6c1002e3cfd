// Times the engine alone, in this process, on an image that it makes itself: full backup, unchanged, 1 % changed,
// restore. Run: npm run bench [-- SIZE_MIB]. For a comparison with other programs: bench/compare.sh.
import { createCipheriv, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHUNK_SIZE_BYTES } from '../src/core/limits.ts';
import { FilesystemStore } from '../src/storage/filesystem-store.ts';
import { loadSystemCalls } from '../src/volumes/system-calls.ts';
import { EngineBench } from '../test/support/engine-bench.ts';
import { newFileTarget } from './support/new-file-target.ts';

const MIB = 1024 * 1024;

/** Of every 16 MiB: 4 incompressible, 6 text-like, 6 zeros (not written). */
async function makeImage(path: string, sizeMib: number): Promise<void> {
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const words = 'volume backup restore snapshot block chunk extent journal commit attach server request'.split(' ');
  await using file = await open(path, 'w');
  await file.truncate(sizeMib * MIB);
  for (let atMib = 0; atMib < sizeMib; atMib += 1) {
    const place = atMib % 16;
    if (place >= 10) continue;
    const random = noise.update(Buffer.alloc(MIB));
    if (place >= 4) {
      // A random word and a number in turn: compresses about as well as logs do.
      let at = 0;
      for (let i = 0; at < MIB - 32; i += 4) {
        at += random.write(`${words[(random[i] ?? 0) % words.length]} ${random.readUInt16LE(i + 1)} `, at, 'latin1');
      }
    }
    await file.write(random, 0, MIB, atMib * MIB);
  }
  await file.sync();
}

/** Overwrites 1 % of the chunks, spread evenly. */
async function changeImage(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, 'r+');
  for (let at = 0; at < sizeBytes; at += 100 * CHUNK_SIZE_BYTES) {
    await file.write(randomBytes(CHUNK_SIZE_BYTES), 0, CHUNK_SIZE_BYTES, at);
  }
  await file.sync();
}

async function time<Result>(label: string, sizeBytes: number, work: () => Promise<Result>): Promise<Result> {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
  const speed = Math.round(sizeBytes / MIB / seconds);
  console.log(
    `${label.padEnd(12)} ${seconds.toFixed(2).padStart(7)} s ${String(speed).padStart(6)} MiB/s ` +
      `${cpuSeconds.toFixed(2).padStart(7)} cpu s  peak RSS ${peakMib} MiB`,
  );
  return result;
}

const sizeMib = Number(process.argv[2] ?? 2048);
const store = await mkdtemp(join(tmpdir(), 'openvbs-bench-'));
try {
  await using bench = await EngineBench.start(
    new FilesystemStore({ root: store, dropCache: loadSystemCalls().dropCache }),
  );
  const image = bench.path('image');
  await makeImage(image, sizeMib);
  const { size } = await stat(image);
  const full = await time('full', size, () => bench.backUp(image));
  await time('unchanged', size, () => bench.backUp(image));
  await changeImage(image, size);
  const increment = await time('1 % changed', size, () => bench.backUp(image));
  const { backupId } = increment.commit;
  await time('restore', size, async () => {
    await using target = await newFileTarget(bench.path('restored'), size);
    await bench.restore(backupId, 'restored', { target });
  });
  const [fullMib, increaseMib] = [full, increment].map(({ commit }) => (commit.storedBytes / MIB).toFixed(1));
  console.log(`stored ${fullMib} MiB by the full backup, ${increaseMib} MiB by the increment`);
} finally {
  await rm(store, { recursive: true, force: true });
}

// Kills the service at random moments while it takes, copies, writes back and removes snapshots, and checks what a user
// may rely on afterwards: every job ends, what is available holds the very bytes, and nothing is left in the folder.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MIB } from '../../src/core/bytes.ts';
import { assertSameImage, copyImage, makeImage, makeRandom, noise, overwrite } from './disk-files.ts';
import { asList, at, type Json, type LiveApi, waitFor } from './live-api.ts';
import { LiveService } from './live-service.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** A copy of the disk takes about this long here; kills come within it, or a little later. */
const COPY_MS_PER_MIB = 2;
const CHANGED_BYTES = 4 * MIB;

export class SnapshotKillBench {
  readonly #stack = new AsyncDisposableStack();
  readonly #random: () => number;
  readonly #seed: string;
  readonly #sizeBytes: number;
  readonly #folder: string;
  #service: LiveService;
  #volumeId = '';
  #changeCount = 0;

  private constructor(seed: string, sizeBytes: number, folder: string, service: LiveService) {
    this.#seed = seed;
    this.#random = makeRandom(seed);
    this.#sizeBytes = sizeBytes;
    this.#folder = folder;
    this.#service = service;
  }

  static async start(options: { readonly seed: string; readonly sizeBytes: number }): Promise<SnapshotKillBench> {
    const { seed, sizeBytes } = options;
    const folder = await makeTemporaryFolder();
    const service = await LiveService.start({ folder: folder.path });
    const bench = new SnapshotKillBench(seed, sizeBytes, folder.path, service);
    bench.#stack.use(folder);
    bench.#stack.defer(() => bench.#service[Symbol.asyncDispose]());
    await makeImage(bench.#disk, sizeBytes, sizeBytes / 2, seed);
    bench.#volumeId = await service.api.adoptVolume(bench.#disk, 'disk');
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Every step once, each with a kill in its middle; leaves the volume without snapshots. */
  async runRound(): Promise<void> {
    const { copy, snapshotId } = await this.#killDuringSnapshot();
    await this.#killDuringCopies(snapshotId, copy);
    await this.#killDuringRevert(snapshotId, copy);
    await this.#killDuringDeletion(snapshotId);
  }

  get #disk(): string {
    return join(this.#folder, 'disks', 'disk.img');
  }

  get #api(): LiveApi {
    return this.#service.api;
  }

  async #killDuringSnapshot(): Promise<{ copy: string; snapshotId: string }> {
    await this.#changeDisk();
    const copy = join(this.#folder, 'expected.img');
    await copyImage(this.#disk, copy);
    const snapshotId = await this.#startSnapshot();
    await this.#killAndRestart();
    const { status } = await this.#getSnapshot(snapshotId);
    assert.equal(status, 'available');
    assert.deepEqual(await this.#keptNames(), [`${snapshotId}.raw`]);
    await assertSameImage(join(this.#volumesFolder, 'kept-snapshots', `${snapshotId}.raw`), copy);
    return { copy, snapshotId };
  }

  /** One from the snapshot, one from the volume, which differs from it by now. */
  async #killDuringCopies(snapshotId: string, snapshotCopy: string): Promise<void> {
    await this.#changeDisk();
    const made = [
      { volumeId: await this.#api.createVolume({ snapshot_id: snapshotId }), expected: snapshotCopy },
      { volumeId: await this.#api.createVolume({ source_volid: this.#volumeId }), expected: this.#disk },
    ];
    await this.#killAndRestart();
    for (const { volumeId, expected } of made) {
      assert.equal((await this.#api.getVolume(volumeId)).status, 'available');
      await assertSameImage(join(this.#volumesFolder, `${volumeId}.raw`), expected);
      await this.#api.must('DELETE', `/v3/{p}/volumes/${volumeId}`);
      await this.#waitForGone(`/v3/{p}/volumes/${volumeId}`);
    }
    const names = await readdir(this.#volumesFolder);
    assert.deepEqual(
      names.filter((name) => name.endsWith('.raw')),
      [],
    );
  }

  async #killDuringRevert(snapshotId: string, snapshotCopy: string): Promise<void> {
    const headers = { 'openstack-api-version': 'volume 3.40' };
    const body = { revert: { snapshot_id: snapshotId } };
    await this.#api.must('POST', `/v3/{p}/volumes/${this.#volumeId}/action`, { body, headers });
    await this.#killAndRestart();
    assert.equal((await this.#api.getVolume(this.#volumeId)).status, 'available');
    assert.equal((await this.#getSnapshot(snapshotId)).status, 'available');
    await assertSameImage(this.#disk, snapshotCopy);
  }

  async #killDuringDeletion(snapshotId: string): Promise<void> {
    await this.#api.must('DELETE', `/v3/{p}/snapshots/${snapshotId}`);
    await this.#killAndRestart();
    await this.#waitForGone(`/v3/{p}/snapshots/${snapshotId}`);
    assert.deepEqual(await this.#keptNames(), []);
  }

  async #startSnapshot(): Promise<string> {
    const body = { snapshot: { volume_id: this.#volumeId } };
    return String(at(await this.#api.must('POST', '/v3/{p}/snapshots', { body }), 'snapshot').id);
  }

  async #getSnapshot(snapshotId: string): Promise<Json> {
    return at(await this.#api.must('GET', `/v3/{p}/snapshots/${snapshotId}`), 'snapshot');
  }

  async #waitForGone(path: string): Promise<void> {
    await waitFor(async () => ((await this.#api.call('GET', path)).status === 404 ? true : undefined));
  }

  /** At a random moment of what was just accepted; then every job must come to a good end. */
  async #killAndRestart(): Promise<void> {
    await delay(this.#random() * (this.#sizeBytes / MIB) * COPY_MS_PER_MIB);
    await this.#service.kill();
    this.#service = await this.#service.startAgain();
    for (const { jobId, status, failReason } of await this.#api.waitForAllJobs()) {
      assert.equal(status, 'SUCCESS', `job ${jobId}: ${failReason}`);
    }
    const { snapshots } = await this.#api.must('GET', '/v3/{p}/snapshots/detail');
    for (const { status } of asList(snapshots)) assert.equal(status, 'available');
  }

  async #changeDisk(): Promise<void> {
    this.#changeCount += 1;
    const offsetBytes = Math.floor(this.#random() * (this.#sizeBytes - CHANGED_BYTES));
    await overwrite(this.#disk, offsetBytes, noise(CHANGED_BYTES, `${this.#seed}/${this.#changeCount}`));
  }

  get #volumesFolder(): string {
    return join(this.#service.dataFolder, 'volumes');
  }

  async #keptNames(): Promise<string[]> {
    return await readdir(join(this.#volumesFolder, 'kept-snapshots'));
  }
}

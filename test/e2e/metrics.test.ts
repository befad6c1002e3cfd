// What operators see of a service: its metrics after a backup, after a driver told wrong, and after a disk rotted.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid } from '../../src/core/ids.ts';
import { makeImage, noise, overwrite } from '../support/disk-files.ts';
import { waitFor } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService, METRICS_ENV } from '../support/live-service.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const SIZE_BYTES = 16 * MIB;
const FILLED_BYTES = 4 * MIB;

test('metrics tell of a backup and of damage, and nothing that is secret or a name', async () => {
  await using temporary = await makeTemporaryFolder();
  await using service = await LiveService.start({ folder: temporary.path, env: METRICS_ENV });
  const { api } = service;
  const image = join(service.disksFolder, 'ledger.img');
  await makeImage(image, SIZE_BYTES, FILLED_BYTES, 'metrics');
  const volumeId = await api.adoptVolume(image, 'bookkeeping');
  const { id } = await api.backUp(volumeId, 'quarterly');
  await service.waitForRest();

  const sound = await service.scrape();
  assert.equal(sound.get('openvbs_job_attempts_total{kind="backup",outcome="succeeded"}'), 1);
  assert.equal(sound.get('openvbs_backups_total{mode="full"}'), 1);
  const readBytes = sound.get('openvbs_backup_read_bytes_total') ?? 0;
  const storedBytes = sound.get('openvbs_backup_stored_bytes_total') ?? 0;
  assert(readBytes >= FILLED_BYTES && readBytes <= SIZE_BYTES, `${readBytes} bytes read`);
  assert(storedBytes >= FILLED_BYTES && storedBytes < FILLED_BYTES + MIB, `${storedBytes} bytes stored`);
  assert.equal(sound.get('openvbs_changed_extents_mismatches_total'), 0);
  assert.equal(sound.get('openvbs_damaged_chunks'), 0);
  assert.equal(sound.get('openvbs_unverified_packs'), 0);
  assert.equal(sound.get('openvbs_scrub_late'), 0);
  assert((sound.get('openvbs_repository_free_bytes') ?? 0) > 0);
  assert.equal(sound.sum('openvbs_http_requests_total', 'route="/v2/:project_id/cloudbackups",status="200"'), 1);
  assert((sound.get('process_resident_memory_bytes') ?? 0) > MIB);
  const shown = sound.names.join('\n');
  const hidden = [api.projectId, api.token, ADMIN_PASSWORD, volumeId, id, 'bookkeeping', 'quarterly', image];
  for (const text of hidden) assert(!shown.includes(text), `${text} is shown`);

  // Nobody else has what the chunks held.
  await overwrite(image, 0, noise(SIZE_BYTES, 'since'));
  await damagePacks(join(service.dataFolder, 'repository'));
  const { job_id } = await api.must('POST', `/v1/{p}/backups/${id}/verify`);
  assert.equal((await api.waitForJob(String(job_id))).status, 'FAIL');
  const damaged = await waitFor(async () => {
    const samples = await service.scrape();
    return samples.sum('openvbs_maintenance_runs_total', 'operation="repair"') > 0 ? samples : undefined;
  });
  assert.equal(damaged.get('openvbs_damaged_backups'), 1);
  assert.equal(damaged.get('openvbs_damaged_packs'), 1);
  // Of the frame with that bit all chunks but one are what they were.
  assert.equal(damaged.get('openvbs_damaged_chunks'), 1);
  assert.equal(damaged.get('openvbs_unrepaired_chunks_total'), 1);
  assert((damaged.get('openvbs_repaired_chunks_total') ?? 0) > 0);
  assert((damaged.get('openvbs_verified_bytes_total{operation="verify"}') ?? 0) > FILLED_BYTES);
  assert.equal(damaged.get('openvbs_failures_total{code="BACKUP_DAMAGED"}'), 1);
});

const reflinks = await makeReflinkFolder();
const skip = 'skip' in reflinks ? reflinks.skip : false;

test('metrics tell that a driver called changed chunks unchanged', { skip }, async (context) => {
  assert('path' in reflinks);
  context.after(() => reflinks.remove());
  const first = await LiveService.start({ folder: reflinks.path, env: METRICS_ENV });
  const image = join(first.disksFolder, 'disk.img');
  await makeImage(image, SIZE_BYTES, FILLED_BYTES, 'before');
  const volumeId = await first.api.adoptVolume(image, 'disk');
  await first.api.backUp(volumeId, 'first');
  await first.waitForRest();
  await first.stop();
  await overwrite(image, 0, noise(SIZE_BYTES, 'after'));
  await replaceBaseline(first.dataFolder, image);

  await using second = await first.startAgain();
  const backup = await second.api.backUp(volumeId, 'second');
  assert.equal(backup.is_incremental, true);
  await second.waitForRest();
  const samples = await second.scrape();
  assert((samples.get('openvbs_changed_extents_mismatches_total') ?? 0) > 0);
  assert.equal(samples.get('openvbs_backups_total{mode="scan"}'), 1);
  const reason = 'reason="chunks that were said to be unchanged had changed"';
  assert.equal(samples.get(`openvbs_backup_scan_fallbacks_total{${reason}}`), 1);
});

/** Turns a bit in the middle of every pack of chunks. */
async function damagePacks(repository: string): Promise<void> {
  const entries = await readdir(repository, { recursive: true, withFileTypes: true });
  const packs = entries.filter((entry) => entry.isFile() && entry.parentPath.includes('/packs/'));
  assert(packs.length > 0);
  for (const { parentPath, name } of packs) {
    await using file = await open(join(parentPath, name), 'r+');
    const middle = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, middle);
    byte[0] = (byte[0] ?? 0) ^ 1;
    await file.write(byte, 0, 1, middle);
  }
}

/** Has the catalog take the disk as it is for the snapshot of the last backup: nothing will seem to have changed. */
async function replaceBaseline(dataFolder: string, image: string): Promise<void> {
  const name = `${newUuid()}.1.raw`;
  const path = join(dataFolder, 'volumes', 'snapshots', name);
  execFileSync('cp', ['--reflink=always', image, path]);
  const { ino, ctimeNs } = await stat(path, { bigint: true });
  using database = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  const row = database.prepare('select volume_id, state from baselines').get();
  assert(row !== undefined, 'the backup has a baseline');
  const state = { ...JSON.parse(String(row.state)), name, inode: String(ino), ctimeNs: String(ctimeNs) };
  database.prepare('update baselines set state = ?').run(JSON.stringify(state));
}

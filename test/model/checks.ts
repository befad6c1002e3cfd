// What must hold after every single step (src/engine/README.md): each committed backup is readable and right, a
// committed record that exists is whole, nothing that is needed is in the trash or condemned.

import { bitmapHas } from '../../src/core/bitmap.ts';
import type { BackupId, ObjectId, PackId } from '../../src/core/ids.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import type { Row } from './model-catalog.ts';
import { type Attempt, type Slot, Violation } from './truth.ts';
import type { World } from './world.ts';

/** @throws Violation */
export async function checkWorld(world: World): Promise<void> {
  const { truth, auditor, catalog } = world;
  await truth.inspect(auditor);
  const committed = catalog.query(
    `select backup_id, attempt_id, record_sha256, is_record_trashed, is_damaged, status from backups
     where attempt_id is not null and deleted_at is null`,
  );
  const isTrashed = (name: string) => catalog.query('select 1 from trash where object_name = ?', name).length > 0;
  await truth.followNew(auditor, isTrashed);
  for (const row of committed) await learn(world, row);
  for (const attempt of truth.attempts.values()) checkWhole(world, attempt);
  // A catalog that was put back may name what is gone, until the repository is adopted.
  if (world.isSetBack) return;
  checkCatalog(world, committed);
  if (!world.hasMisread) checkMarks(world, committed);
}

/** Nothing that is sound is called damaged. */
function checkMarks({ catalog, truth, hasLostRows }: World, committed: readonly Row[]): void {
  for (const row of committed) {
    const isKnownLost = hasLostRows && truth.deleted.has(row.backup_id as BackupId);
    if (row.is_damaged === 1 && row.is_record_trashed === 0 && !isKnownLost) {
      throw new Violation(`backup ${row.backup_id} is called damaged`);
    }
  }
  if (hasLostRows) return;
  const [pack] = catalog.query(`select pack_id from packs where bad is not null and state = 'live'`);
  if (pack) throw new Violation(`pack ${pack.pack_id} is called damaged`);
}

/** Follows the record of a backup that is committed since the last look. */
async function learn({ truth, auditor, isSetBack }: World, row: Row): Promise<void> {
  const attempt = attemptOf(truth, row);
  if (attempt.isCommitted || (isSetBack && !truth.hasRecord(attempt))) return;
  attempt.isCommitted = true;
  // The cast: the column is a blob.
  await truth.follow(auditor, attempt, row.record_sha256 as Uint8Array);
  attempt.isWhole = true;
}

function attemptOf(truth: World['truth'], row: Row): Attempt {
  // The casts: the row holds what was committed from typed values.
  const name = recordName(truth.projectId, row.backup_id as BackupId, row.attempt_id as Attempt['attemptId']);
  const attempt = truth.attempts.get(name);
  if (!attempt) throw new Violation(`backup ${row.backup_id} is committed with an attempt that nobody made`);
  return attempt;
}

/** A record that exists is whole, but for those that were never whole: what a zombie wrote, what came late. */
function checkWhole(world: World, attempt: Attempt): void {
  const { truth } = world;
  if (!attempt.isWhole || !truth.hasRecord(attempt) || isForgotten(world, attempt)) return;
  const lost = truth.findLost(attempt);
  if (lost) throw new Violation(`the record of backup ${attempt.backupId} exists, and ${describeSlot(lost)} is gone`);
}

/**
 * The catalog lost the attempt, and has since made the backup anew, or failed: it retired the attempt's packs. Or it
 * lost the uses of an attempt that was under way, whose commit is refused then.
 */
function isForgotten({ catalog, hasLostRows }: World, { backupId, attemptId, isCommitted }: Attempt): boolean {
  if (!hasLostRows) return false;
  if (!isCommitted) return true;
  const [row] = catalog.query('select attempt_id, job_id from backups where backup_id = ?', backupId);
  if (!row || row.attempt_id === attemptId) return false;
  const [job] = catalog.query('select status from jobs where job_id = ?', row.job_id ?? null);
  return job?.status !== 'INIT' && job?.status !== 'RUNNING';
}

function checkCatalog(world: World, committed: readonly Row[]): void {
  const { truth, catalog } = world;
  const packs = new Map(
    catalog.query('select pack_id, kind, state, object_id, condemned from packs').map((row) => [row.pack_id, row]),
  );
  const needed = new Map<string, string>();
  for (const row of committed) {
    const attempt = attemptOf(truth, row);
    if (row.is_record_trashed === 1 || isKnownLost(world, row, attempt)) continue;
    if (!truth.hasRecord(attempt)) throw new Violation(`the record of backup ${attempt.backupId} is gone`);
    needed.set(attempt.recordName, attempt.backupId);
    for (const slot of attempt.slots ?? []) {
      needed.set(checkSlot(world, packs.get(slot.packId), attempt, slot), attempt.backupId);
    }
  }
  for (const { object_name: name } of catalog.query('select object_name from trash')) {
    const backupId = needed.get(String(name));
    if (backupId !== undefined) throw new Violation(`${name}, which backup ${backupId} needs, is in the trash`);
  }
}

/** An adoption found that the backup was deleted in what the catalog has forgotten, or its deletion waits here too. */
export function isKnownLost({ truth, hasLostRows }: World, row: Row, { backupId }: Attempt): boolean {
  return hasLostRows && truth.deleted.has(backupId) && (row.is_damaged === 1 || row.status === 'deleting');
}

/** The name of the object that holds the slot now. */
function checkSlot({ truth }: World, row: Row | undefined, attempt: Attempt, slot: Slot): string {
  const refuse = (reason: string) =>
    new Violation(`${describeSlot(slot)}, which backup ${attempt.backupId} needs, ${reason}`);
  if (!row) throw refuse('has no row of its pack');
  if (row.state !== 'live') throw refuse(`is in a pack that is ${row.state}`);
  // The casts: the row holds what was reserved from typed values.
  const condemned = row.condemned as Uint8Array | null;
  if (bitmapHas(condemned, slot.slot)) throw refuse('is condemned');
  const { packId, kind } = slot;
  const location = { packId: packId as PackId, kind, objectId: row.object_id as ObjectId };
  const current = truth.versionNamed(location);
  if (!current) throw refuse('is in an object that is gone');
  if (!current.index?.hasSlot(slot.slot)) throw refuse('is not in the current object of its pack');
  return packObjectName(truth.projectId, location);
}

function describeSlot({ kind, packId, slot }: Slot): string {
  return `slot ${slot} of ${kind} pack ${packId}`;
}

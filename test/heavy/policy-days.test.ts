// 400 days of two policies over small disks that change every day, with real backups: what is left at the end is
// exactly what the rules say, and every one of them restores byte for byte.
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { KIB } from '../../src/core/bytes.ts';
import type { BackupId } from '../../src/core/ids.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/local-time.ts';
import type { Backup, Policy, Volume } from '../../src/core/model.ts';
import { silentLogger } from '../../src/core/ports.ts';
import { DevClock } from '../../src/services/dev-clock.ts';
import type { CreatePolicyInput } from '../../src/services/policy-requests.ts';
import { ServiceBench } from '../support/service-bench.ts';

const DAYS = 400;
const BLOCK_BYTES = 64 * KIB;
const BLOCK_COUNT = 24;
const DISK_BYTES = 2 * BLOCK_COUNT * BLOCK_BYTES;
const START_AT = Date.UTC(2027, 0, 17, 9, 20);
const TIME_LIMIT_MS = 120_000;

const byCount: CreatePolicyInput = {
  name: 'count',
  startTime: '02:00',
  timeZone: 'UTC+00:00',
  recurrence: { kind: 'interval', everyDays: 1 },
  retention: { kind: 'count', keepCount: 5 },
  keepsFirstOfMonth: false,
  isEnabled: true,
  tags: [],
};
/** It runs at the same time, which is 23:00 of the day before locally. */
const byDays: CreatePolicyInput = {
  ...byCount,
  name: 'days',
  timeZone: 'UTC-03:00',
  retention: { kind: 'days', keepDays: 9 },
  keepsFirstOfMonth: true,
};

/** A disk whose every content is known again by the time at which it was backed up. */
class ChangingDisk {
  readonly volume: Volume;
  readonly policy: Policy;
  readonly bytes = Buffer.alloc(DISK_BYTES);
  readonly history: { readonly at: number; readonly bytes: Buffer }[] = [];
  #changeCount = 0;

  constructor(volume: Volume, policy: Policy) {
    this.volume = volume;
    this.policy = policy;
  }

  /** Another block gets new bytes; every seventh change empties one. */
  async change(at: number): Promise<void> {
    const index = (this.#changeCount * 5) % BLOCK_COUNT;
    const block = this.bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    if (this.#changeCount % 7 === 6) block.fill(0);
    else block.fill(`${this.policy.name} ${new Date(at).toISOString()} `);
    this.#changeCount += 1;
    await using file = await open(this.volume.source, 'r+');
    await file.write(block, 0, block.length, index * BLOCK_BYTES);
    this.history.push({ at, bytes: Buffer.from(this.bytes) });
  }

  /** What the disk held at that time. */
  bytesAt(at: number): Buffer {
    const found = this.history.findLast((entry) => entry.at <= at);
    assert(found !== undefined);
    return found.bytes;
  }
}

async function adoptDisk(bench: ServiceBench, name: string): Promise<Volume> {
  const reference = await bench.makeDisk(name, DISK_BYTES);
  const host = bench.volumes.hostName;
  const unnamed = { name: null, description: null, volumeType: null, availabilityZone: null };
  const input = { ...unnamed, host, reference, metadata: {}, isBootable: false };
  return await bench.volumes.adoptVolume(bench.caller, bench.projectId, input);
}

async function addDisk(bench: ServiceBench, input: CreatePolicyInput): Promise<ChangingDisk> {
  const { policies, caller, projectId } = bench;
  const volume = await adoptDisk(bench, `${input.name}.raw`);
  const policy = await policies.createPolicy(caller, projectId, input);
  await policies.associate(caller, projectId, policy.policyId, [volume.volumeId]);
  return new ChangingDisk(volume, policy);
}

/** By the calendar, not by the code under test: the runs of a policy that runs every day at one time. */
function runTimes(utcHour: number, untilAt: number): number[] {
  const times: number[] = [];
  for (let day = Math.floor(START_AT / DAY_MS); ; day++) {
    const at = day * DAY_MS + utcHour * HOUR_MS;
    if (at > untilAt) return times;
    if (at > START_AT) times.push(at);
  }
}

function expectByDays(untilAt: number): number[] {
  const times = runTimes(2, untilAt);
  const monthOf = (at: number) => new Date(at - 3 * HOUR_MS).toISOString().slice(0, 7);
  const first = times.find((at) => monthOf(at) === monthOf(untilAt));
  return times.filter((at) => untilAt - at < 9 * DAY_MS || at === first);
}

async function listBackups(bench: ServiceBench, disk: ChangingDisk): Promise<Backup[]> {
  const filter = { projectId: bench.projectId, volumeId: disk.volume.volumeId };
  const { items } = await bench.catalog.backups.list(filter, {
    limit: 1000,
    sort: [{ key: 'createdAt', direction: 'asc' }],
  });
  return [...items];
}

async function assertRestores(bench: ServiceBench, target: Volume, backupId: BackupId, bytes: Buffer): Promise<void> {
  const job = await bench.restore(backupId, target.volumeId);
  assert.equal(job.status, 'SUCCESS', job.failReason ?? '');
  assert((await bench.readDisk(target)).equals(bytes), `backup ${backupId} restored other bytes`);
}

test('after 400 days exactly the backups of the rules are left, and all restore byte for byte', async (context) => {
  const began = process.hrtime.bigint();
  await using bench = await ServiceBench.start();
  const { catalog, clock, caller, projectId } = bench;
  clock.advance(START_AT - clock.now());
  const disks = [await addDisk(bench, byCount), await addDisk(bench, byDays)] as const;
  await bench.runner.start();
  const scheduler = {
    lookOnce: async () => {
      // The disks change between runs, not under them.
      if ((await catalog.tasks.countOpen()) === 0) for (const disk of disks) await disk.change(clock.now());
      await bench.scheduler.lookOnce();
    },
  };
  const devClock = new DevClock({ catalog, clock, logger: silentLogger, scheduler, retention: bench.retention });
  const untilAt = await devClock.advance(caller, DAYS * DAY_MS);
  assert(untilAt - START_AT >= DAYS * DAY_MS && untilAt - START_AT < DAYS * DAY_MS + TIME_LIMIT_MS);
  await bench.waitFor(async () => {
    const { items } = await catalog.jobs.list(
      { projectId },
      { limit: 1000, sort: [{ key: 'createdAt', direction: 'desc' }] },
    );
    return items.every(({ status }) => status === 'SUCCESS') ? true : undefined;
  });
  const expected = [runTimes(2, untilAt).slice(-5), expectByDays(untilAt)];
  const target = await adoptDisk(bench, 'target.raw');
  for (const [index, disk] of disks.entries()) {
    const backups = await listBackups(bench, disk);
    const hours = backups.map(({ createdAt }) => Math.floor(createdAt / HOUR_MS) * HOUR_MS);
    assert.deepEqual(hours, expected[index], disk.policy.name);
    for (const backup of backups) await assertRestores(bench, target, backup.backupId, disk.bytesAt(backup.createdAt));
    const incrementCount = backups.filter(({ isIncremental }) => isIncremental).length;
    assert.equal(incrementCount, backups.length, 'all but the first of all are increments');
  }
  const elapsedMs = Number((process.hrtime.bigint() - began) / 1_000_000n);
  context.diagnostic(`${DAYS} days in ${elapsedMs} ms`);
  assert(elapsedMs < TIME_LIMIT_MS, `${elapsedMs} ms`);
});

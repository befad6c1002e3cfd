// Waiting for a job: polls it, shows its progress, and bears with a server that restarts meanwhile, because jobs
// survive restarts and so should the wait.
import { setTimeout as sleep } from 'node:timers/promises';
import { isClientError } from '../client/client-error.ts';
import type { OpenVbsClient } from '../client/openvbs-client.ts';
import type { JobInfo, VolumeInfo } from '../client/resources.ts';
import { CliError } from './cli-error.ts';
import type { CommandContext } from './command.ts';
import { EXIT } from './exit-code.ts';
import { ProgressReporter } from './progress.ts';

const POLL_DELAY_MIN_MS = 25;
const POLL_DELAY_MAX_MS = 500;
/** Of the time that was waited so far: short jobs are told quickly, long ones do not bother the server. */
const POLL_DELAY_SHARE = 1 / 40;
const RECONNECT_DELAY_MS = 1000;
/** A restart of the server takes seconds; longer than this somebody should look. */
const RECONNECT_MS = 60_000;

const LABELS: Readonly<Record<string, string>> = {
  bksCreateBackup: 'Backing up',
  bksRestoreBackup: 'Restoring',
  bksDeleteBackup: 'Deleting',
  bksVerifyBackup: 'Verifying',
};

class Polling {
  readonly #startAt = performance.now();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Until the next look. @throws AbortError */
  async wait(): Promise<void> {
    const share = (performance.now() - this.#startAt) * POLL_DELAY_SHARE;
    const delayMs = Math.min(Math.max(share, POLL_DELAY_MIN_MS), POLL_DELAY_MAX_MS);
    await sleep(delayMs, undefined, { signal: this.#signal });
  }
}

/** Returns the ended job, SUCCESS or FAIL. @throws ClientError when the server stays away */
export async function followJob(context: CommandContext, client: OpenVbsClient, jobId: string): Promise<JobInfo> {
  const { terminal, clock, signal } = context;
  let reporter: ProgressReporter | undefined;
  try {
    for (const polling = new Polling(signal); ; await polling.wait()) {
      const job = await getJobPatiently(context, client, jobId);
      if (job.status === 'SUCCESS' || job.status === 'FAIL') return job;
      if (job.progress !== null && job.status === 'RUNNING') {
        reporter ??= new ProgressReporter({ stream: terminal.stderr, clock, label: LABELS[job.type] ?? 'Working' });
        reporter.report(job.progress);
      }
    }
  } finally {
    reporter?.close();
  }
}

/** As `followJob`. @throws CliError exit code 6 when the job failed */
export async function requireSuccess(context: CommandContext, client: OpenVbsClient, jobId: string): Promise<JobInfo> {
  const job = await followJob(context, client, jobId);
  if (job.status === 'SUCCESS') return job;
  throw jobFailed(job, context.program);
}

export function jobFailed(job: JobInfo, program: string): CliError {
  const message = `job ${job.id} failed: ${job.failReason ?? 'no reason was given'}`;
  return new CliError(
    EXIT.JOB_FAILED,
    job.errorCode ?? 'JOB_FAILED',
    message,
    `${program} job show ${job.id} says more`,
  );
}

async function getJobPatiently(context: CommandContext, client: OpenVbsClient, jobId: string): Promise<JobInfo> {
  const { terminal, clock, signal } = context;
  let lostAt: number | undefined;
  for (;;) {
    try {
      return await client.getJob(jobId, signal);
    } catch (error) {
      const isTransient = isClientError(error) && [0, 502, 503, 504].includes(error.status);
      if (!isTransient || (lostAt !== undefined && clock.now() - lostAt > RECONNECT_MS)) throw error;
      if (lostAt === undefined) terminal.stderr.write(`${error.message}; trying again for ${RECONNECT_MS / 1000} s\n`);
      lostAt ??= clock.now();
      await sleep(RECONNECT_DELAY_MS, undefined, { signal });
    }
  }
}

/** Waits until a volume is neither being made nor written to. @throws CliError exit code 6 when it ends in an error */
export async function settleVolume(
  { signal, program }: CommandContext,
  client: OpenVbsClient,
  volumeId: string,
): Promise<VolumeInfo> {
  for (const polling = new Polling(signal); ; await polling.wait()) {
    const volume = await client.getVolume(volumeId, signal);
    if (volume.status.startsWith('error')) {
      const message = `volume ${volumeId} is ${volume.status}`;
      const hint = `the server's log says why; ${program} volume delete ${volumeId} removes it`;
      throw new CliError(EXIT.JOB_FAILED, 'VOLUME_ERROR', message, hint);
    }
    if (!['creating', 'managing', 'restoring-backup'].includes(volume.status)) return volume;
  }
}

/** Waits until a volume whose deletion was accepted is gone. @throws CliError when it ends in an error state */
export async function awaitVolumeGone(context: CommandContext, client: OpenVbsClient, volumeId: string): Promise<void> {
  for (const polling = new Polling(context.signal); ; await polling.wait()) {
    const status = await findStatus(client, volumeId, context.signal);
    if (status === undefined) return;
    if (status !== 'deleting') {
      const hint = "the server's log says why";
      throw new CliError(EXIT.JOB_FAILED, 'VOLUME_ERROR', `volume ${volumeId} was not deleted, it is ${status}`, hint);
    }
  }
}

/** Undefined when there is no such volume. */
async function findStatus(client: OpenVbsClient, volumeId: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await client.getVolume(volumeId, signal)).status;
  } catch (error) {
    if (isClientError(error) && error.status === 404) return undefined;
    throw error;
  }
}

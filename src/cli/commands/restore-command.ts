// `openvbs restore`: a backup back into its volume, another one, a new one, or a plain file.
import { lstat, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ANSWER_INVALID, ClientError, isClientError } from '../../client/client-error.ts';
import { describeCause } from '../../client/http.ts';
import type { OpenVbsClient } from '../../client/openvbs-client.ts';
import type { BackupInfo, JobInfo, VolumeInfo } from '../../client/resources.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Command, CommandContext, Flags } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { requireSuccess, settleVolume } from '../follow-job.ts';
import { formatBytes, formatTime } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';
import { ProgressReporter } from '../progress.ts';
import { SparseFile } from '../sparse-file.ts';
import { NO_WAIT_OPTION } from './backup-commands.ts';
import { parseSizeGib } from './volume-commands.ts';

const TARGET_FLAGS = ['in-place', 'to-volume', 'new-volume', 'file'] as const;

export const restore: Command = {
  path: ['restore'],
  summary: 'restore a backup',
  details:
    'Exactly one target is needed. In place and to an existing volume, everything on that volume is overwritten: on ' +
    'a terminal you are asked first, elsewhere the command is taken at its word. To a file, the bytes come over the ' +
    'network to this machine; runs of zeros become holes, and the file gets its name only when it is whole.',
  args: [{ name: 'BACKUP', doc: 'id or unique name of a backup' }],
  options: [
    { flag: 'in-place', kind: 'boolean', doc: 'onto the volume that was backed up' },
    {
      flag: 'to-volume',
      kind: 'text',
      hint: 'VOLUME',
      doc: 'onto another volume (id or unique name), at least as large',
    },
    { flag: 'new-volume', kind: 'text', hint: 'NAME', doc: 'to a new volume of this name' },
    { flag: 'size', kind: 'text', hint: 'GIB', doc: 'size of the new volume; by default that of the backup' },
    { flag: 'file', kind: 'text', hint: 'PATH', doc: 'to a raw image file on this machine' },
    { flag: 'overwrite', kind: 'boolean', doc: 'with --file: replace an existing file' },
    { flag: 'verify', kind: 'boolean', doc: 'onto a volume: read everything back at the end and compare it' },
    YES_OPTION,
    NO_WAIT_OPTION,
  ],
  isRemote: true,
  examples: [
    'restore web-20260203-091500 --in-place',
    'restore before-upgrade --new-volume db-copy',
    'restore before-upgrade --to-volume db-test --yes',
    'restore before-upgrade --file ./db.img',
  ],
  run: async (context) => {
    const { args, flags, signal } = context;
    checkTarget(flags);
    const client = await connect(context);
    const backup = await client.findBackup(args[0] ?? '', signal);
    const [file, name] = [flags.text('file'), flags.text('new-volume')];
    if (file !== undefined) return await restoreToFile(context, client, backup, resolve(context.terminal.cwd, file));
    if (name !== undefined) return await restoreToNewVolume(context, client, backup, name);
    return await restoreToVolume(context, client, backup, await findTarget(client, backup, flags, signal));
  },
};

function checkTarget(flags: Flags): void {
  const given = TARGET_FLAGS.filter((flag) => flags.has(flag));
  if (given.length !== 1) {
    const problem =
      given.length === 0 ? 'where to? one target is needed' : `only one target is possible, not ${given.length}`;
    throw usageError(problem, 'targets: --in-place, --to-volume VOLUME, --new-volume NAME, --file PATH');
  }
  if (flags.has('size') && !flags.has('new-volume')) throw usageError('--size goes with --new-volume only');
  if (flags.has('overwrite') && !flags.has('file')) throw usageError('--overwrite goes with --file only');
  const isOntoVolume = flags.has('in-place') || flags.has('to-volume');
  if (flags.has('verify') && !isOntoVolume) throw usageError('--verify goes with --in-place and --to-volume only');
  if (flags.has('no-wait') && flags.has('file')) throw usageError('--no-wait does not go with --file');
}

async function findTarget(
  client: OpenVbsClient,
  backup: BackupInfo,
  flags: Flags,
  signal: AbortSignal,
): Promise<VolumeInfo> {
  const wanted = flags.text('to-volume');
  if (wanted !== undefined) return await client.findVolume(wanted, signal);
  try {
    return await client.getVolume(backup.volumeId, signal);
  } catch (error) {
    if (!isClientError(error) || error.status !== 404) throw error;
    const message = `the volume ${backup.volumeId} that was backed up no longer exists`;
    throw new CliError(EXIT.NOT_FOUND, 'VOLUME_GONE', message, 'restore with --new-volume NAME instead', {
      cause: error,
    });
  }
}

async function restoreToVolume(
  context: CommandContext,
  client: OpenVbsClient,
  backup: BackupInfo,
  target: VolumeInfo,
): Promise<ExitCode> {
  const { terminal, signal } = context;
  const label = `volume ${target.name ?? target.id}`;
  const point = formatTime(backup.dataAt ?? backup.createdAt);
  const question = `Overwrite everything on ${label} with backup ${backup.name ?? backup.id} of ${point}?`;
  if (!(await confirm(context, question))) {
    terminal.stderr.write('Nothing was changed.\n');
    return EXIT.FAILED;
  }
  const jobId = await client.restoreBackup(backup.id, target.id, signal, { verify: context.flags.has('verify') });
  return await finishVolumeRestore(context, client, { jobId, volume: target, label });
}

async function restoreToNewVolume(
  context: CommandContext,
  client: OpenVbsClient,
  backup: BackupInfo,
  name: string,
): Promise<ExitCode> {
  const { flags, signal } = context;
  const sizeGib = parseSizeGib(flags.text('size'));
  const volume = await client.createVolume({ name, sizeGib, backupId: backup.id }, signal);
  // Creating a volume answers without the job that fills it; the list of jobs knows it.
  const jobs = await client.listJobs({ limit: 50 }, signal);
  const jobId = jobs.find((job) => job.volumeId === volume.id)?.id;
  return await finishVolumeRestore(context, client, { jobId, volume, label: `new volume ${name}` });
}

type VolumeRestore = { readonly jobId: string | undefined; readonly volume: VolumeInfo; readonly label: string };

async function finishVolumeRestore(
  context: CommandContext,
  client: OpenVbsClient,
  { jobId, volume, label }: VolumeRestore,
): Promise<ExitCode> {
  if (context.flags.has('no-wait')) {
    const job = jobId === undefined ? null : await client.getJob(jobId, context.signal);
    const wait = jobId === undefined ? `volume show ${volume.id}` : `job watch ${jobId}`;
    printResult(context, { volume, job }, `Restoring to ${label}. Wait for it: ${context.program} ${wait}`);
    return EXIT.OK;
  }
  const job = jobId === undefined ? null : await requireSuccess(context, client, jobId);
  const settled = await settleVolume(context, client, volume.id);
  printResult(context, { volume: settled, job }, `Restored to ${label} (${settled.id}).${describeBytes(context, job)}`);
  return EXIT.OK;
}

function describeBytes({ flags }: CommandContext, job: JobInfo | null): string {
  const progress = job?.progress ?? null;
  if (progress === null) return '';
  const { doneBytes, skippedBytes, totalBytes } = progress;
  // With --verify each byte is handled twice, and reading it back counts as done.
  const isVerified = flags.has('verify');
  const writtenBytes = isVerified ? Math.max(0, doneBytes - totalBytes / 2) : doneBytes;
  const readBack = isVerified ? ' All of it was read back and is as in the backup.' : '';
  return `\n${formatBytes(writtenBytes)} written, ${formatBytes(skippedBytes)} were the same already.${readBack}`;
}

async function restoreToFile(
  context: CommandContext,
  client: OpenVbsClient,
  backup: BackupInfo,
  path: string,
): Promise<ExitCode> {
  await checkFileTarget(path, context.flags.has('overwrite'));
  await checkFolder(dirname(path));
  const { terminal, clock, signal } = context;
  const { sizeBytes, bytes } = await client.downloadBackup(backup.id, signal);
  const reporter = new ProgressReporter({ stream: terminal.stderr, clock, label: 'Restoring' });
  const startedAt = clock.now();
  const report = (doneBytes: number): void => {
    const elapsedS = Math.max(0.001, (clock.now() - startedAt) / 1000);
    const rateBytesPerS = doneBytes / elapsedS;
    const etaS = doneBytes === 0 ? null : (sizeBytes - doneBytes) / rateBytesPerS;
    reporter.report({ totalBytes: sizeBytes, doneBytes, skippedBytes: 0, percent: null, rateBytesPerS, etaS });
  };
  try {
    await using file = await SparseFile.create(path);
    const receivedBytes = await copyBytes(bytes, file, report);
    if (receivedBytes !== sizeBytes) {
      const message = `the backup ended after ${receivedBytes} of ${sizeBytes} bytes; nothing was kept`;
      throw new ClientError(message, { status: 200, code: ANSWER_INVALID });
    }
    await file.finish();
    reporter.close();
    const json = { file: { path, sizeBytes, writtenBytes: file.writtenBytes } };
    const sizes = `${formatBytes(sizeBytes)}, of which ${formatBytes(file.writtenBytes)} are not holes`;
    printResult(context, json, `Restored to ${path}: ${sizes}.`);
    return EXIT.OK;
  } finally {
    reporter.close();
  }
}

/** Returns how many bytes came. @throws CliError EXPORT_CUT_SHORT when the connection breaks off */
async function copyBytes(
  bytes: AsyncIterable<Uint8Array>,
  file: SparseFile,
  report: (doneBytes: number) => void,
): Promise<number> {
  let receivedBytes = 0;
  const chunks = bytes[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await nextChunk(chunks, receivedBytes);
    if (done === true) return receivedBytes;
    await file.write(value);
    receivedBytes += value.length;
    report(receivedBytes);
  }
}

async function nextChunk(
  chunks: AsyncIterator<Uint8Array>,
  receivedBytes: number,
): Promise<IteratorResult<Uint8Array>> {
  try {
    return await chunks.next();
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error;
    const reason = describeCause(error);
    const message = `the backup broke off after ${formatBytes(receivedBytes)}: ${reason}; nothing was kept`;
    const hint = "the server's log says why, when it was the server that ended it; otherwise try again";
    throw new CliError(EXIT.FAILED, 'EXPORT_CUT_SHORT', message, hint, { cause: error });
  }
}

/** Before the server begins to read for nothing. */
async function checkFolder(folder: string): Promise<void> {
  const hint = 'make it first, or choose another path';
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return undefined;
  });
  if (found?.isDirectory() !== true)
    throw new CliError(EXIT.NOT_FOUND, 'NO_FOLDER', `there is no folder ${folder}`, hint);
}

async function checkFileTarget(path: string, mayReplace: boolean): Promise<void> {
  let target: Awaited<ReturnType<typeof lstat>>;
  try {
    target = await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!target.isFile()) {
    const hint = 'to write to a device, take it over (volume add) and restore with --to-volume';
    throw usageError(`${path} exists and is not a plain file`, hint);
  }
  if (!mayReplace) throw usageError(`${path} exists already`, 'choose another path, or add --overwrite');
}

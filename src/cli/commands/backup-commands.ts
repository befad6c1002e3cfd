// `openvbs backup ...`: points in time that can be restored.
import type { BackupInfo, JobInfo, Tag } from '../../client/resources.ts';
import type { Clock } from '../../core/ports.ts';
import { usageError } from '../cli-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { requireSuccess } from '../follow-job.ts';
import { formatBytes, formatTime, renderFields, renderTable } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';

const BACKUP_ARGUMENT = { name: 'BACKUP', doc: 'id or unique name of a backup' } as const;
export const NO_WAIT_OPTION = {
  flag: 'no-wait',
  kind: 'boolean',
  doc: 'return as soon as the server has taken the job; job watch waits for it',
} as const;
/** Longest name the API takes (contract 3.1). */
const NAME_LENGTH_MAX = 64;

const createBackup: Command = {
  path: ['backup', 'create'],
  summary: 'back a volume up',
  details:
    'Incremental when the volume has a backup already: only what changed is stored. Every backup can be restored and ' +
    'deleted by itself, whatever was built on it. Waits for the end of the job unless --no-wait is given; Ctrl-C ' +
    'stops the waiting, not the job.',
  args: [{ name: 'VOLUME', doc: 'id or unique name of a volume' }],
  options: [
    { flag: 'name', kind: 'text', hint: 'NAME', doc: 'letters, digits, "_" and "-"; by default volume and time' },
    { flag: 'description', kind: 'text', hint: 'TEXT', doc: 'description, up to 64 characters' },
    { flag: 'full', kind: 'boolean', doc: 'read and compare everything again instead of building on the last backup' },
    { flag: 'tag', kind: 'texts', hint: 'KEY=VALUE', doc: 'tag; may be repeated, up to 10 times' },
    NO_WAIT_OPTION,
  ],
  isRemote: true,
  examples: [
    'backup create web',
    'backup create db --name before-upgrade --tag tier=gold',
    'backup create db --full --no-wait',
  ],
  run: async (context) => {
    const { args, flags, clock, signal, program } = context;
    const tags = flags.texts('tag').map(parseTag);
    const client = await connect(context);
    const volume = await client.findVolume(args[0] ?? '', signal);
    const name = flags.text('name') ?? nameBackup(volume.name, clock);
    const description = flags.text('description');
    const jobId = await client.createBackup(
      { volumeId: volume.id, name, description, tags, isFull: flags.has('full') },
      signal,
    );
    if (flags.has('no-wait')) {
      const job = await client.getJob(jobId, signal);
      printResult(context, { job }, `Job ${jobId} makes backup ${name}. Wait for it: ${program} job watch ${jobId}`);
      return EXIT.OK;
    }
    const job = await requireSuccess(context, client, jobId);
    const backup = await client.getBackup(job.backupId ?? '', signal);
    printResult(context, { backup, job }, describeNewBackup(backup, job));
    return EXIT.OK;
  },
};

/** `web-20260203-091500`: sorts by time, and is allowed whatever the volume is called. */
export function nameBackup(volumeName: string | null, clock: Clock): string {
  const stamp = new Date(clock.now())
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z$/g, '')
    .replace('T', '-');
  const bare = (volumeName ?? '').replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, NAME_LENGTH_MAX - stamp.length - 1);
  // Names that begin with "auto" are the scheduler's.
  const prefix = bare === '' || bare === '-' || bare.startsWith('auto') ? 'backup' : bare;
  return `${prefix}-${stamp}`;
}

export function parseTag(text: string): Tag {
  const separator = text.indexOf('=');
  if (separator < 1) throw usageError(`--tag ${text}: a tag is KEY=VALUE`);
  return { key: text.slice(0, separator), value: text.slice(separator + 1) };
}

function describeNewBackup(backup: BackupInfo, job: JobInfo): string {
  const kind = backup.isIncremental ? 'incremental' : 'full';
  const head = `Backup ${backup.name ?? ''} (${backup.id}) is ${backup.status}, ${kind}.`;
  if (job.progress === null) return head;
  const { doneBytes, skippedBytes, storedBytes } = job.progress;
  const counts = [
    `${formatBytes(doneBytes)} read`,
    `${formatBytes(skippedBytes)} skipped`,
    `${formatBytes(storedBytes)} stored`,
  ];
  return `${head}\n${counts.join(', ')}.`;
}

const listBackups: Command = {
  path: ['backup', 'list'],
  summary: 'list backups',
  args: [],
  options: [
    { flag: 'volume', kind: 'text', hint: 'VOLUME', doc: 'only those of one volume (id, or name of an existing one)' },
  ],
  isRemote: true,
  examples: ['backup list', 'backup list --volume web --json'],
  run: async (context) => {
    const { flags, signal, program } = context;
    const client = await connect(context);
    const wanted = flags.text('volume');
    const filter =
      wanted === undefined
        ? {}
        : { volume_id: await volumeIdOf(wanted, async () => (await client.findVolume(wanted, signal)).id) };
    const backups = await client.listBackups(filter, signal);
    const names = new Map((await client.listVolumes({}, signal)).map(({ id, name }) => [id, name] as const));
    const table = renderTable<BackupInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name ?? '-' },
        { title: 'VOLUME', cell: ({ volumeId }) => names.get(volumeId) ?? volumeId },
        { title: 'STATUS', cell: ({ status }) => status },
        { title: 'SIZE', isRight: true, cell: ({ sizeGib }) => `${sizeGib} GiB` },
        { title: 'KIND', cell: ({ isIncremental }) => (isIncremental ? 'incremental' : 'full') },
        { title: 'CREATED', cell: ({ createdAt }) => formatTime(createdAt) },
      ],
      backups,
      `No backups. ${program} backup create VOLUME makes one.`,
    );
    printResult(context, { backups }, table);
    return EXIT.OK;
  },
};

/** Backups outlive their volumes, so an id is taken as it is. */
async function volumeIdOf(idOrName: string, findId: () => Promise<string>): Promise<string> {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(idOrName) ? idOrName.toLowerCase() : await findId();
}

const showBackup: Command = {
  path: ['backup', 'show'],
  summary: 'show one backup',
  args: [BACKUP_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['backup show before-upgrade'],
  run: async (context) => {
    const client = await connect(context);
    // Only the list can be searched by name; the detail comes from the backup itself.
    const { id } = await client.findBackup(context.args[0] ?? '', context.signal);
    return printBackup(context, await client.getBackup(id, context.signal));
  },
};

const deleteBackup: Command = {
  path: ['backup', 'delete'],
  summary: 'delete a backup',
  details: 'Other backups stay whole, also those that were built on this one.',
  args: [BACKUP_ARGUMENT],
  options: [YES_OPTION, NO_WAIT_OPTION],
  isRemote: true,
  examples: ['backup delete before-upgrade --yes'],
  run: async (context) => {
    const { args, flags, signal, terminal, program } = context;
    const client = await connect(context);
    const backup = await client.findBackup(args[0] ?? '', signal);
    const label = `backup ${backup.name ?? backup.id}`;
    // Somebody who deletes what cannot be restored may have meant another one.
    const state = backup.status === 'available' ? '' : `, which was ${backup.status}`;
    if (!(await confirm(context, `Delete ${label} of ${formatTime(backup.createdAt)}${state}?`))) {
      terminal.stderr.write('Nothing was deleted.\n');
      return EXIT.FAILED;
    }
    const jobId = await client.deleteBackup(backup.id, signal);
    if (flags.has('no-wait')) {
      const job = await client.getJob(jobId, signal);
      printResult(context, { job }, `Job ${jobId} deletes ${label}. Wait for it: ${program} job watch ${jobId}`);
      return EXIT.OK;
    }
    const job = await requireSuccess(context, client, jobId);
    printResult(context, { deleted: { backupId: backup.id }, job }, `Deleted ${label}${state}.`);
    return EXIT.OK;
  },
};

function printBackup(context: CommandContext, backup: BackupInfo): ExitCode {
  const fields = renderFields([
    ['ID', backup.id],
    ['Name', backup.name ?? '-'],
    ['Description', backup.description ?? '-'],
    ['Status', backup.status],
    ...(backup.failReason === null ? [] : ([['Reason', backup.failReason]] as const)),
    ['Volume', backup.volumeId],
    ['Size', `${backup.sizeGib} GiB`],
    ['Kind', backup.isIncremental ? 'incremental' : 'full'],
    ['Built upon', backup.hasDependents ? 'yes (it can be deleted all the same)' : 'no'],
    ['Objects', String(backup.objectCount)],
    ['Data of', formatTime(backup.dataAt)],
    ['Created', formatTime(backup.createdAt)],
  ]);
  printResult(context, { backup }, fields);
  return EXIT.OK;
}

export const BACKUP_COMMANDS: readonly Command[] = [createBackup, listBackups, showBackup, deleteBackup];

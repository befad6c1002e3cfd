// `openvbs volume ...`: disks that can be backed up.
import { basename, extname, resolve } from 'node:path';
import { isClientError } from '../../client/client-error.ts';
import type { AdoptVolumeRequest, OpenVbsClient } from '../../client/openvbs-client.ts';
import type { VolumeInfo } from '../../client/resources.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { awaitVolumeGone, settleVolume } from '../follow-job.ts';
import { formatTime, renderFields, renderTable } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';

const VOLUME_ARGUMENT = { name: 'VOLUME', doc: 'id or unique name of a volume' } as const;
const NAME_OPTION = { flag: 'name', kind: 'text', hint: 'NAME', doc: 'name of the new volume' } as const;

const addVolume: Command = {
  path: ['volume', 'add'],
  summary: 'take an existing disk image or block device over, in place',
  details:
    "The disk stays where it is, on the server's machine, and within one of the folders of OPENVBS_VOLUME_ROOTS. " +
    'Its bytes are not touched; only a restore in place writes to it. Deleting the volume lets the disk go again.',
  args: [{ name: 'PATH', doc: 'raw disk image or block device' }],
  options: [
    { ...NAME_OPTION, doc: 'name of the volume; by default the name of the file without its ending' },
    { flag: 'host', kind: 'text', hint: 'HOST', doc: 'host@backend#pool that has the disk, when there are several' },
  ],
  isRemote: true,
  examples: ['volume add /srv/disks/web.img', 'volume add /dev/vg0/database --name db'],
  run: async (context) => {
    const { args, flags, terminal, signal } = context;
    const path = resolve(terminal.cwd, args[0] ?? '');
    const name = flags.text('name') ?? basename(path, extname(path));
    const client = await connect(context);
    const host = flags.text('host') ?? (await pickHost(client, signal));
    const id = await adopt(client, { host, path, name }, signal);
    return printVolume(context, await settleVolume(context, client, id));
  },
};

async function adopt(client: OpenVbsClient, request: AdoptVolumeRequest, signal: AbortSignal): Promise<string> {
  try {
    return (await client.adoptVolume(request, signal)).id;
  } catch (error) {
    if (!isClientError(error) || error.status !== 400) throw error;
    const hint = 'the disk must lie on the machine of the server, within a folder of its OPENVBS_VOLUME_ROOTS';
    throw new CliError(EXIT.FAILED, error.code, error.message, hint, { cause: error });
  }
}

async function pickHost(client: OpenVbsClient, signal: AbortSignal): Promise<string> {
  const hosts = await client.listVolumeHosts(signal);
  const [host, ...others] = hosts;
  if (host === undefined) throw new CliError(EXIT.FAILED, 'NO_HOST', 'the server has no host that can adopt disks');
  if (others.length > 0)
    throw usageError(`several hosts can adopt disks: ${hosts.join(', ')}`, 'choose one with --host');
  return host;
}

const createVolume: Command = {
  path: ['volume', 'create'],
  summary: 'create an empty volume',
  args: [],
  options: [
    { flag: 'size', kind: 'text', hint: 'GIB', doc: 'size in GiB' },
    NAME_OPTION,
    { flag: 'description', kind: 'text', hint: 'TEXT', doc: 'description' },
  ],
  isRemote: true,
  examples: ['volume create --size 20 --name scratch'],
  run: async (context) => {
    const { flags, signal } = context;
    const sizeGib = parseSizeGib(flags.text('size'));
    if (sizeGib === undefined) throw usageError('--size GIB is missing', 'for example: volume create --size 20');
    const client = await connect(context);
    const request = { sizeGib, name: flags.text('name'), description: flags.text('description') };
    const { id } = await client.createVolume(request, signal);
    return printVolume(context, await settleVolume(context, client, id));
  },
};

/** Undefined when absent. @throws CliError for anything that is not a whole number of GiB from 1 on */
export function parseSizeGib(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(text)) throw usageError(`--size ${text}: a whole number of GiB is needed, without unit`);
  return Number(text);
}

const listVolumes: Command = {
  path: ['volume', 'list'],
  summary: 'list volumes',
  args: [],
  options: [],
  isRemote: true,
  examples: ['volume list', 'volume list --json'],
  run: async (context) => {
    const client = await connect(context);
    const volumes = await client.listVolumes({}, context.signal);
    const table = renderTable<VolumeInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name ?? '-' },
        { title: 'STATUS', cell: ({ status }) => status },
        { title: 'SIZE', isRight: true, cell: ({ sizeGib }) => `${sizeGib} GiB` },
        { title: 'CREATED', cell: ({ createdAt }) => formatTime(createdAt) },
      ],
      volumes,
      `No volumes. ${context.program} volume add PATH takes a disk over, volume create --size GIB makes one.`,
    );
    printResult(context, { volumes }, table);
    return EXIT.OK;
  },
};

const showVolume: Command = {
  path: ['volume', 'show'],
  summary: 'show one volume',
  args: [VOLUME_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['volume show web'],
  run: async (context) => {
    const client = await connect(context);
    return printVolume(context, await client.findVolume(context.args[0] ?? '', context.signal));
  },
};

const deleteVolume: Command = {
  path: ['volume', 'delete'],
  summary: 'delete a volume; its backups stay',
  details: 'A disk that was created here is removed with its content. A disk that was taken over is let go untouched.',
  args: [VOLUME_ARGUMENT],
  options: [YES_OPTION],
  isRemote: true,
  examples: ['volume delete scratch'],
  run: async (context) => {
    const { args, signal, terminal } = context;
    const client = await connect(context);
    const volume = await client.findVolume(args[0] ?? '', signal);
    const label = `volume ${volume.name ?? volume.id}`;
    if (!(await confirm(context, `Delete ${label} (${volume.sizeGib} GiB)?`))) {
      terminal.stderr.write('Nothing was deleted.\n');
      return EXIT.FAILED;
    }
    await client.deleteVolume(volume.id, signal);
    await awaitVolumeGone(context, client, volume.id);
    printResult(context, { deleted: { volumeId: volume.id } }, `Deleted ${label}.`);
    return EXIT.OK;
  },
};

function printVolume(context: CommandContext, volume: VolumeInfo): ExitCode {
  const fields = renderFields([
    ['ID', volume.id],
    ['Name', volume.name ?? '-'],
    ['Description', volume.description ?? '-'],
    ['Status', volume.status],
    ['Size', `${volume.sizeGib} GiB`],
    ['Created', formatTime(volume.createdAt)],
  ]);
  printResult(context, { volume }, fields);
  return EXIT.OK;
}

export const VOLUME_COMMANDS: readonly Command[] = [addVolume, createVolume, listVolumes, showVolume, deleteVolume];

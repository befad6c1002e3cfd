// `openvbs prune`, `openvbs repository adopt|give-up|stats`, `openvbs backup stats`: the repository of a project.
import { setTimeout as delay } from 'node:timers/promises';
import { type JsonObject, numberOf, objectAt, objectsAt, textOf } from '../../client/json.ts';
import type { MaintenanceOperation } from '../../client/openvbs-client.ts';
import { CliError } from '../cli-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { formatBytes, formatTime, renderFields, renderTable } from '../format.ts';
import { printResult } from '../output.ts';

const POLL_MS = 250;

const prune: Command = {
  path: ['prune'],
  summary: 'give back the space that only deleted backups used',
  details:
    'For administrators of the project (--project names another one). The server does this by itself from time to ' +
    'time; backups and restores go on meanwhile. With --dry-run nothing is changed, and the packs that would go or ' +
    'be written anew are listed with what that frees.',
  args: [],
  options: [{ flag: 'dry-run', kind: 'boolean', doc: 'only tell what would be done' }],
  isRemote: true,
  examples: ['prune --dry-run', 'prune --json'],
  run: async (context) => {
    const isDryRun = context.flags.has('dry-run');
    const report = await runToItsEnd(context, 'prune', { dry_run: isDryRun });
    return printReport(context, report, renderPrune(report, isDryRun));
  },
};

const adopt: Command = {
  path: ['repository', 'adopt'],
  summary: 'take over the repository of a project after the catalog was put back or made anew',
  details:
    'While the repository belongs to another or newer catalog (EPOCH_CONFLICT) nothing is written or deleted in it. ' +
    'Adopting reads every record, makes backups that only the repository knows available, and takes it over. ' +
    'A server that still runs on the other catalog can then write no more. Nothing is pruned for 7 days. While a ' +
    'record cannot be adopted it is named and nothing is taken over (exit code 1): put back what it lacks and adopt ' +
    'again, or let go of it with `repository give-up`.',
  args: [],
  options: [],
  isRemote: true,
  examples: ['repository adopt', 'repository adopt --project web'],
  run: async (context) => {
    const report = await runToItsEnd(context, 'adopt', undefined);
    printReport(context, report, renderAdoption(report));
    return report.is_taken_over === false ? EXIT.FAILED : EXIT.OK;
  },
};

const giveUp: Command = {
  path: ['repository', 'give-up'],
  summary: 'give up a record that the catalog does not know, for ever',
  details:
    'Such records keep their data from being pruned, and a project from being taken over; `prune` and `repository ' +
    'adopt` name them. Adopt again afterwards where that was not done.',
  args: [{ name: 'RECORD', doc: 'backup id and attempt id with a dot between them' }],
  options: [],
  isRemote: true,
  examples: ['repository give-up 5f6f4d0e-8d1c-4d0b-9b5e-2f0d3c1b2a19.0d0f6a7e-6d5b-4c7f-8a53-0a4f1d2b3c4d'],
  run: async (context) => {
    const record = context.args[0] ?? '';
    const client = await connect(context);
    await client.maintain('give-up', { record }, context.signal);
    printResult(context, { record }, `${record} is given up; the next prune deletes it.`);
    return EXIT.OK;
  },
};

const repositoryStats: Command = {
  path: ['repository', 'stats'],
  summary: 'show which volumes and backups take how much space',
  details: 'UNIQUE is what deleting it would give back, SHARED what others need too.',
  args: [],
  options: [],
  isRemote: true,
  examples: ['repository stats', 'repository stats --json'],
  run: async (context) => {
    const client = await connect(context);
    const usage = await client.repositoryUsage(context.signal);
    const fields = renderFields([
      ['Disks', bytesAt(usage, 'logical_bytes')],
      ['Stored', bytesAt(usage, 'stored_bytes')],
      ['Dead', bytesAt(usage, 'dead_bytes')],
    ]);
    const volumes = namesOf(await client.listVolumes({}, context.signal));
    const backups = namesOf(await client.listBackups({}, context.signal));
    const tables = [
      renderUsage('volume_id', objectsAt(usage, 'volumes'), volumes),
      renderUsage('backup_id', objectsAt(usage, 'backups'), backups),
    ];
    printResult(context, { usage }, [fields, ...tables].join('\n\n'));
    return EXIT.OK;
  },
};

const backupStats: Command = {
  path: ['backup', 'stats'],
  summary: 'show how much space a backup takes',
  args: [{ name: 'BACKUP', doc: 'id or unique name of a backup' }],
  options: [],
  isRemote: true,
  examples: ['backup stats web-20260203-091500'],
  run: async (context) => {
    const client = await connect(context);
    const { id } = await client.findBackup(context.args[0] ?? '', context.signal);
    const usage = await client.backupUsage(id, context.signal);
    const fields = renderFields([
      ['Disk', bytesAt(usage, 'logical_bytes')],
      ['Unique', bytesAt(usage, 'unique_bytes')],
      ['Shared', bytesAt(usage, 'shared_bytes')],
    ]);
    printResult(context, { usage }, fields);
    return EXIT.OK;
  },
};

/** Begins the work and follows it. What the server does goes on when this is interrupted. @throws CliError */
export async function runToItsEnd(
  context: CommandContext,
  operation: MaintenanceOperation,
  request: unknown,
): Promise<JsonObject> {
  const { signal } = context;
  const client = await connect(context);
  await client.maintain(operation, request, signal);
  for (;;) {
    const run = await client.lastMaintenance(signal);
    const status = run && textOf(run.status);
    if (status === undefined) {
      throw new CliError(EXIT.FAILED, 'RUN_LOST', 'the server was started again meanwhile; begin once more');
    }
    if (status === 'done') return objectAt(run, 'report');
    if (status === 'failed') {
      const { code, message } = objectAt(run, 'error');
      throw new CliError(EXIT.JOB_FAILED, textOf(code) ?? 'FAILED', textOf(message) ?? `${operation} failed`);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

function printReport(context: CommandContext, report: JsonObject, text: string): ExitCode {
  printResult(context, { report }, text);
  return EXIT.OK;
}

function renderPrune(report: JsonObject, isDryRun: boolean): string {
  const untilAt = numberOf(report.quarantined_until);
  // It did not get as far as counting.
  if (untilAt !== undefined && !isDryRun && !numberOf(report.root_count)) {
    const until = formatTime(new Date(untilAt).toISOString());
    return `Nothing was given back: after an adoption or a rebuild, prune waits until ${until}.`;
  }
  const fields = renderFields([
    ['Backups', countAt(report, 'root_count')],
    ['Stored', bytesAt(report, 'stored_bytes')],
    [isDryRun ? 'Would be freed' : 'Freed', bytesAt(report, 'freed_bytes')],
    ['Packs given back', countAt(report, 'retired_count')],
    ['Packs written anew', countAt(report, 'compacted_count')],
    ['Spare versions given up', countAt(report, 'spare_count')],
    ['Packs in use', countAt(report, 'passed_over_count')],
    ['Unknown records', String(objectsAt(report, 'unknown_records').length)],
    ['Unnamed objects', countAt(objectAt(report, 'unnamed_objects'), 'count')],
    ['Failed compactions', String(objectsAt(report, 'problems').length)],
    ...(untilAt === undefined ? [] : ([['Nothing before', formatTime(new Date(untilAt).toISOString())]] as const)),
  ]);
  const unknown = objectsAt(report, 'unknown_records').map((record) => `unknown record: ${recordText(record)}`);
  const lists = isDryRun ? [renderPacks(objectsAt(report, 'packs'))] : [];
  return [fields, ...lists, ...unknown].join('\n\n');
}

function renderPacks(packs: readonly JsonObject[]): string {
  return renderTable<JsonObject>(
    [
      { title: 'PACK', cell: ({ pack_id: id }) => String(id) },
      { title: 'KIND', cell: ({ kind }) => String(kind) },
      { title: 'ACTION', cell: ({ action }) => String(action) },
      { title: 'DEAD', isRight: true, cell: (pack) => countAt(pack, 'dead_count') },
      { title: 'OF', isRight: true, cell: (pack) => countAt(pack, 'present_count') },
      { title: 'FREES', isRight: true, cell: (pack) => bytesAt(pack, 'freed_bytes') },
    ],
    packs,
    'Nothing to do.',
  );
}

function renderAdoption(report: JsonObject): string {
  const untilAt = numberOf(report.quarantined_until) ?? 0;
  const fields = renderFields([
    ['Sound backups', countAt(report, 'sound_count')],
    ['Adopted', String(objectsAt(report, 'adopted').length)],
    ['Unreadable', String(objectsAt(report, 'unreadable').length)],
    ['Refused', String(objectsAt(report, 'refused').length)],
    ['Packs corrected', countAt(report, 'repaired_count')],
    ['Names and tags taken over', countAt(report, 'label_count')],
    ['Taken over', report.is_taken_over === false ? 'no' : `yes, at epoch ${countAt(report, 'epoch')}`],
    ['Prune waits until', formatTime(new Date(untilAt).toISOString())],
  ]);
  const lines = ['unreadable', 'refused'].flatMap((list) =>
    objectsAt(report, list).map((record) => `${list}: ${recordText(record)}: ${textOf(record.reason) ?? ''}`),
  );
  if (report.is_taken_over === false) {
    lines.push(
      'The project was not taken over: what the refused records need could be deleted then. Put back what they lack ' +
        'and adopt again; or let go of each for ever (openvbs repository give-up RECORD) and adopt again.',
    );
  }
  return [fields, ...lines].join('\n');
}

type Names = ReadonlyMap<string, string | null>;

function namesOf(items: readonly { readonly id: string; readonly name: string | null }[]): Names {
  return new Map(items.map(({ id, name }) => [id, name]));
}

function renderUsage(key: 'backup_id' | 'volume_id', rows: readonly JsonObject[], names: Names): string {
  return renderTable<JsonObject>(
    [
      { title: key === 'backup_id' ? 'BACKUP' : 'VOLUME', cell: (row) => String(row[key]) },
      { title: 'NAME', cell: (row) => names.get(String(row[key])) ?? '-' },
      { title: 'DISK', isRight: true, cell: (row) => bytesAt(row, 'logical_bytes') },
      { title: 'UNIQUE', isRight: true, cell: (row) => bytesAt(row, 'unique_bytes') },
      { title: 'SHARED', isRight: true, cell: (row) => bytesAt(row, 'shared_bytes') },
    ],
    rows,
    key === 'backup_id' ? 'No backups.' : 'No volumes.',
  );
}

function recordText(record: JsonObject): string {
  return `${String(record.backup_id)}.${String(record.attempt_id)}`;
}

function bytesAt(object: JsonObject, key: string): string {
  return formatBytes(numberOf(object[key]) ?? 0);
}

function countAt(object: JsonObject, key: string): string {
  return String(numberOf(object[key]) ?? 0);
}

export const PRUNE_COMMANDS: readonly Command[] = [prune, adopt, giveUp, repositoryStats];
export const BACKUP_STATS: Command = backupStats;

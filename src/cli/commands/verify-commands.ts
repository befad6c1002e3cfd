// `openvbs backup verify`, `openvbs repository check|repair|health`: is everything as it was stored?
import { type JsonObject, numberOf, objectAt, objectsAt, textOf } from '../../client/json.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Command } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT } from '../exit-code.ts';
import { requireSuccess } from '../follow-job.ts';
import { formatBytes, formatTime, renderFields } from '../format.ts';
import { printResult } from '../output.ts';
import { NO_WAIT_OPTION } from './backup-commands.ts';
import { runToItsEnd } from './prune-commands.ts';

const verify: Command = {
  path: ['backup', 'verify'],
  summary: 'read all of a backup and compare it with its digests',
  details: 'The command fails when anything of the backup is damaged; the server then repairs what it can by itself.',
  args: [{ name: 'BACKUP', doc: 'id or unique name of a backup' }],
  options: [NO_WAIT_OPTION],
  isRemote: true,
  examples: ['backup verify web-20260203-091500'],
  run: async (context) => {
    const { args, flags, signal } = context;
    const client = await connect(context);
    const backup = await client.findBackup(args[0] ?? '', signal);
    const jobId = await client.verifyBackup(backup.id, signal);
    const label = backup.name ?? backup.id;
    if (flags.has('no-wait')) {
      printResult(context, { jobId }, `Job ${jobId} verifies backup ${label}.`);
      return EXIT.OK;
    }
    const job = await requireSuccess(context, client, jobId);
    printResult(context, { job }, `Backup ${label} is whole.`);
    return EXIT.OK;
  },
};

const check: Command = {
  path: ['repository', 'check'],
  summary: 'check the repository of a project',
  details:
    'For administrators of the project. Reads every record, page and trailer and compares them with the catalog. ' +
    'With --read-data the data is read too, all of it or a part, what was not read for the longest time first. ' +
    'Nothing is deleted. The command fails when anything is damaged or missing.',
  args: [],
  options: [
    { flag: 'read-data', kind: 'boolean', doc: 'read all data too' },
    { flag: 'read-percent', kind: 'text', hint: 'PERCENT', doc: 'read this part of the data' },
  ],
  isRemote: true,
  examples: ['repository check', 'repository check --read-data', 'repository check --read-percent 10'],
  run: async (context) => {
    const { flags } = context;
    const percentText = flags.text('read-percent');
    if (flags.has('read-data') && percentText !== undefined) {
      throw usageError('--read-data does not go with --read-percent');
    }
    const percent = flags.has('read-data') ? 100 : parsePercent(percentText);
    const report = await runToItsEnd(context, 'check', { read_percent: percent });
    printResult(context, { report }, renderCheck(report));
    if (report.is_sound === true) return EXIT.OK;
    throw new CliError(EXIT.FAILED, 'REPOSITORY_DAMAGED', 'the repository is damaged', 'try openvbs repository repair');
  },
};

const repair: Command = {
  path: ['repository', 'repair'],
  summary: 'repair what is known to be damaged',
  details:
    'For administrators of the project. Looks for lost chunks on the disks that they came from and in the rest of ' +
    'the repository, and rebuilds trailers and copies of keys. Backups that are whole again lose their mark. ' +
    'The command fails while any backup is damaged.',
  args: [],
  options: [],
  isRemote: true,
  examples: ['repository repair'],
  run: async (context) => {
    const report = await runToItsEnd(context, 'repair', undefined);
    const damaged = listAt(report, 'damaged_backup_ids');
    const fields = renderFields([
      ['Chunks and pages repaired', countAt(report, 'healed_count')],
      ['Lost', countAt(report, 'lost_count')],
      ['Trailers rebuilt', countAt(report, 'rebuilt_trailer_count')],
      ['Keys put right', String(objectsAt(report, 'mended_keys').length)],
      ['Backups whole again', listAt(report, 'mended_backup_ids').join(', ') || 'none'],
      ['Backups damaged still', damaged.join(', ') || 'none'],
    ]);
    printResult(context, { report }, fields);
    if (damaged.length === 0) return EXIT.OK;
    const hint =
      'put a good copy of the pack back and repair again, back the disk up anew, or delete the backup; ' +
      'openvbs repository health says what is damaged';
    throw new CliError(
      EXIT.FAILED,
      'BACKUP_DAMAGED',
      `${damaged.length === 1 ? '1 backup is' : `${damaged.length} backups are`} damaged`,
      hint,
    );
  },
};

const health: Command = {
  path: ['repository', 'health'],
  summary: 'show what is damaged, and how far the verification has come',
  args: [],
  options: [],
  isRemote: true,
  examples: ['repository health'],
  run: async (context) => {
    const client = await connect(context);
    const state = await client.repositoryHealth(context.signal);
    const oldest = textOf(state.oldest_verified_at);
    const fields = renderFields([
      ['Packs', countAt(state, 'pack_count')],
      ['Stored', formatBytes(numberOf(state.stored_bytes) ?? 0)],
      ['Never verified', countAt(state, 'never_verified_count')],
      ['Oldest verification', oldest === undefined ? 'none' : formatTime(oldest)],
      ['Damaged packs', countAt(state, 'damaged_pack_count')],
      ['Damaged backups', String(objectsAt(state, 'damaged_backups').length)],
    ]);
    const backups = objectsAt(state, 'damaged_backups');
    const named = backups.length === 0 ? [] : await client.listBackups({}, context.signal);
    const names = new Map(named.map(({ id, name }) => [id, name]));
    const lines = backups.map(({ backup_id: id, reason }) => {
      const name = names.get(String(id)) ?? null;
      return `${String(id)}${name === null ? '' : ` (${name})`}: ${textOf(reason) ?? ''}`;
    });
    printResult(context, { health: state }, [fields, ...lines].join('\n'));
    return EXIT.OK;
  },
};

function parsePercent(text: string | undefined): number {
  if (text === undefined) return 0;
  const percent = Number(text);
  const isPercent = /^\d{1,3}$/.test(text) && percent <= 100;
  if (!isPercent) throw usageError('--read-percent must be a whole number from 0 to 100');
  return percent;
}

function renderCheck(report: JsonObject): string {
  const fields = renderFields([
    ['Backups', countAt(report, 'backup_count')],
    ['Packs looked up', countAt(report, 'listed_pack_count')],
    ['Packs read', countAt(report, 'verified_pack_count')],
    ['Bytes read', formatBytes(numberOf(report.read_bytes) ?? 0)],
    ['Damaged backups', String(listAt(report, 'damaged_backup_ids').length)],
    ['Unknown records', String(objectsAt(report, 'unknown_records').length)],
    ['Unnamed objects', countAt(objectAt(report, 'unnamed_objects'), 'count')],
  ]);
  const places = ['damage', 'gaps', 'key_gaps'].flatMap((list) => objectsAt(report, list));
  const lines = places.map((place) => `${textOf(place.object_name) ?? ''}: ${textOf(place.reason) ?? ''}`);
  const backups = listAt(report, 'damaged_backup_ids').map((id) => `damaged backup: ${id}`);
  return [fields, ...lines, ...backups].join('\n');
}

function listAt(object: JsonObject, key: string): string[] {
  const list = object[key];
  return Array.isArray(list) ? list.map(String) : [];
}

function countAt(object: JsonObject, key: string): string {
  return String(numberOf(object[key]) ?? 0);
}

export const BACKUP_VERIFY: Command = verify;
export const REPOSITORY_VERIFY_COMMANDS: readonly Command[] = [check, repair, health];

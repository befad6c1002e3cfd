// `openvbs repository info`: what lies in the repository of a data folder, by listing it. Needs neither server nor
// passphrase, reads nothing sealed, changes nothing, and may run beside a server.
import { access } from 'node:fs/promises';
import { CliError } from '../cli/cli-error.ts';
import type { Command } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { formatBytes, renderFields, renderTable } from '../cli/format.ts';
import { printResult } from '../cli/output.ts';
import { isRecord, numberOf, textOf } from '../client/json.ts';
import { repositoryFolder } from '../config.ts';
import { VbsError } from '../core/errors.ts';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { CONFIG_NAME } from '../core/object-names.ts';
import { FilesystemStore } from '../storage/filesystem-store.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { loadSettings, SETTING_OPTIONS } from './setting-options.ts';

type Tally = { count: number; bytes: number };

/** Objects of one project. Stored versions of a pack count each. */
export type ProjectContent = {
  readonly projectId: string;
  readonly packs: Tally;
  readonly pages: Tally;
  /** Backups, however many attempts left a record. */
  backupCount: number;
  readonly records: Tally;
  readonly other: Tally;
};

export type RepositoryContent = {
  readonly formatVersion: number | null;
  readonly repositoryId: string | null;
  readonly projects: readonly ProjectContent[];
  readonly total: Tally;
};

export const repositoryInfo: Command = {
  path: ['repository', 'info'],
  summary: 'show what the repository of a data folder holds; needs no server',
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['repository info', 'repository info --data /var/lib/openvbs --json'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const folder = repositoryFolder(config);
    await requireRepository(folder);
    const store = new FilesystemStore({ root: folder });
    try {
      const content = await surveyRepository(store, context.signal);
      printResult(context, { repository: { folder, ...content } }, renderContent(folder, content));
    } finally {
      await store.close();
    }
    return EXIT.OK;
  },
};

async function requireRepository(folder: string): Promise<void> {
  try {
    await access(`${folder}/${CONFIG_NAME}`);
  } catch (error) {
    const hint = 'name the data folder with --data or OPENVBS_DATA; openvbs serve makes a repository';
    throw new CliError(EXIT.NOT_FOUND, 'NO_REPOSITORY', `there is no repository in ${folder}`, hint, { cause: error });
  }
}

/** Counts objects by listing. @throws STORAGE_IO, DATA_CORRUPT when `config` is not JSON */
export async function surveyRepository(store: ObjectStore, signal: AbortSignal): Promise<RepositoryContent> {
  const config = await readConfig(store, signal);
  const projects = new Map<string, ProjectContent>();
  const total: Tally = { count: 0, bytes: 0 };
  let lastBackup = '';
  for await (const { name, sizeBytes } of store.list('', signal)) {
    add(total, sizeBytes);
    const [root, projectId, kind, leaf = ''] = name.split('/');
    if (root !== 'projects' || projectId === undefined) continue;
    const project = projects.get(projectId) ?? emptyProject(projectId);
    projects.set(projectId, project);
    if (kind === 'packs') add(project.packs, sizeBytes);
    else if (kind === 'pages') add(project.pages, sizeBytes);
    else if (kind === 'backups') {
      add(project.records, sizeBytes);
      // `<backup_id>.<attempt_id>`, listed in order of names: attempts of one backup stand together.
      const backup = `${projectId}/${leaf.split('.')[0]}`;
      if (backup !== lastBackup) project.backupCount += 1;
      lastBackup = backup;
    } else add(project.other, sizeBytes);
  }
  return { ...config, projects: [...projects.values()], total };
}

function emptyProject(projectId: string): ProjectContent {
  const tally = (): Tally => ({ count: 0, bytes: 0 });
  return { projectId, packs: tally(), pages: tally(), backupCount: 0, records: tally(), other: tally() };
}

function add(tally: Tally, sizeBytes: number): void {
  tally.count += 1;
  tally.bytes += sizeBytes;
}

async function readConfig(
  store: ObjectStore,
  signal: AbortSignal,
): Promise<{ formatVersion: number | null; repositoryId: string | null }> {
  const bytes = await store.get(CONFIG_NAME, RECORD_SIZE_MAX_BYTES, signal);
  let config: unknown;
  try {
    config = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    const details = { object: CONFIG_NAME, offsetBytes: 0, reason: 'it is not JSON' };
    throw new VbsError('DATA_CORRUPT', details, { cause: error });
  }
  const fields = isRecord(config) ? config : {};
  return { formatVersion: numberOf(fields.version) ?? null, repositoryId: textOf(fields.repositoryId) ?? null };
}

function renderContent(folder: string, content: RepositoryContent): string {
  const { formatVersion, repositoryId, projects, total } = content;
  const head = renderFields([
    ['Folder', folder],
    ['Repository', repositoryId ?? 'unknown'],
    ['Format version', String(formatVersion ?? 'unknown')],
    ['Objects', `${total.count}, ${formatBytes(total.bytes)}`],
  ]);
  const table = renderTable<ProjectContent>(
    [
      { title: 'PROJECT', cell: ({ projectId }) => projectId },
      { title: 'BACKUPS', isRight: true, cell: ({ backupCount }) => String(backupCount) },
      { title: 'PACKS', isRight: true, cell: ({ packs }) => String(packs.count) },
      { title: 'DATA', isRight: true, cell: ({ packs }) => formatBytes(packs.bytes) },
      { title: 'PAGE PACKS', isRight: true, cell: ({ pages }) => String(pages.count) },
      { title: 'PAGES', isRight: true, cell: ({ pages }) => formatBytes(pages.bytes) },
      { title: 'RECORDS', isRight: true, cell: ({ records }) => formatBytes(records.bytes) },
    ],
    projects,
    'No project has stored anything yet.',
  );
  return `${head}\n\n${table}`;
}

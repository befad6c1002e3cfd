// `openvbs repository rebuild-catalog`: a new catalog for a data folder whose own is lost, while no service runs in it.
import type { Command } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { formatBytes, renderTable } from '../cli/format.ts';
import { printResult } from '../cli/output.ts';
import type { CatalogReport, ProjectReport } from '../maintenance.ts';
import { loadSettings, SETTING_OPTIONS } from './setting-options.ts';

/** Lines of each kind that are shown; --json has all. */
const SHOWN_MAX = 20;

export const repositoryRebuild: Command = {
  path: ['repository', 'rebuild-catalog'],
  summary: 'make a lost catalog anew from the repository and the passphrase',
  details:
    'No service may run on the data folder meanwhile, and the catalog must be missing or empty. Every backup is ' +
    'checked against the trailers of its packs before it is entered, and is shown as it was. Users, policies, ' +
    'volumes, snapshots and sharings are in the catalog only and do not come back; the user admin is made with a ' +
    'role in every project. Nothing is pruned for 7 days. An interrupted rebuild goes on when it is run again.',
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['repository rebuild-catalog', 'repository rebuild-catalog --data /var/lib/openvbs'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const { rebuildLostCatalog } = await import('../maintenance.ts');
    const onProject = (project: ProjectReport, count: number, totalCount: number): void => {
      if (totalCount < 2) return;
      const text = `Project ${count} of ${totalCount}: ${project.name}, ${project.backupCount} backups\n`;
      context.terminal.stderr.write(text);
    };
    const rebuilt = await rebuildLostCatalog(config, { signal: context.signal, onProject });
    printResult(context, { rebuilt }, render(rebuilt));
    return rebuilt.lost.length > 0 || rebuilt.projects.some(isIncomplete) ? EXIT.FAILED : EXIT.OK;
  },
};

/** Something that the repository should hold cannot be read. */
function isIncomplete({ refused, unreadablePacks }: ProjectReport): boolean {
  return refused.length > 0 || unreadablePacks.length > 0;
}

function render({ wasDone, projects, lost, generatedPassword }: CatalogReport): string {
  if (wasDone) return 'The catalog was rebuilt before. Nothing was done.';
  const table = renderTable<ProjectReport>(
    [
      { title: 'PROJECT', cell: ({ name }) => name },
      { title: 'ID', cell: ({ projectId }) => projectId },
      { title: 'BACKUPS', isRight: true, cell: ({ backupCount }) => String(backupCount) },
      { title: 'PACKS', isRight: true, cell: ({ packCount }) => String(packCount) },
      { title: 'STORED', isRight: true, cell: ({ storedBytes }) => formatBytes(storedBytes) },
      { title: 'NOT ENTERED', isRight: true, cell: ({ refused }) => String(refused.length) },
    ],
    projects,
    'The repository holds no project.',
  );
  const notes = [
    ...limit(
      lost.map(({ projectId, reason }) => `Project ${projectId} is lost: ${reason}`),
      'projects',
    ),
    ...projects.flatMap(describeTrouble),
    ...(generatedPassword === undefined ? [] : [`Password of the user admin: ${generatedPassword}`]),
    'Now start the service: openvbs serve. Add volumes again to back them up further.',
  ];
  return `${table}\n\n${notes.join('\n')}`;
}

function describeTrouble({ name, refused, unreadablePacks, missingParents }: ProjectReport): string[] {
  const lines = [
    ...refused.map(({ backupId, attemptId, reason }) => `${name}: record ${backupId}.${attemptId}: ${reason}`),
    ...unreadablePacks.map(({ object, reason }) => `${name}: ${object}: ${reason}`),
  ];
  const shown = limit(lines, 'records or packs');
  if (missingParents.length > 0) {
    const text = 'were made on a backup that is not there: it was deleted, or its record is lost. They are whole.';
    shown.push(`${name}: ${missingParents.length} increments ${text}`);
  }
  return shown;
}

function limit(lines: readonly string[], what: string): string[] {
  if (lines.length <= SHOWN_MAX) return [...lines];
  return [...lines.slice(0, SHOWN_MAX), `and ${lines.length - SHOWN_MAX} more ${what}; --json shows all`];
}

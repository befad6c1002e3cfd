// `openvbs project ...`: owners of volumes and backups.
import type { ProjectInfo } from '../../client/identity-client.ts';
import { usageError } from '../cli-error.ts';
import type { Command } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { renderFields, renderTable } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';
import { readEnabled, STATE_OPTIONS } from './identity-options.ts';

const PROJECT_ARGUMENT = { name: 'PROJECT', doc: 'id or name of a project' } as const;
const DESCRIPTION_OPTION = { flag: 'description', kind: 'text', hint: 'TEXT', doc: 'description' } as const;

const createProject: Command = {
  path: ['project', 'create'],
  summary: 'make a project',
  args: [{ name: 'NAME', doc: 'name of the new project' }],
  options: [DESCRIPTION_OPTION],
  isRemote: true,
  examples: ['project create lab'],
  run: async (context) => {
    const { args, flags, signal } = context;
    const { identity } = await connect(context);
    const fields = { name: args[0] ?? '', description: flags.text('description') };
    const project = await identity.createProject(fields, signal);
    printResult(context, { project }, renderProject(project));
    return EXIT.OK;
  },
};

const listProjects: Command = {
  path: ['project', 'list'],
  summary: 'list your projects; all for an admin',
  args: [],
  options: [],
  isRemote: true,
  examples: ['project list'],
  run: async (context) => {
    const { identity } = await connect(context);
    const projects = await identity.listProjects({}, context.signal);
    const table = renderTable<ProjectInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'STATE', cell: ({ isEnabled }) => (isEnabled ? 'enabled' : 'disabled') },
        { title: 'DESCRIPTION', cell: ({ description }) => description ?? '-' },
      ],
      projects,
      'No projects.',
    );
    printResult(context, { projects }, table);
    return EXIT.OK;
  },
};

const showProject: Command = {
  path: ['project', 'show'],
  summary: 'show one project',
  args: [PROJECT_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['project show lab'],
  run: async (context) => {
    const { identity } = await connect(context);
    const project = await identity.findProject(context.args[0] ?? '', context.signal);
    printResult(context, { project }, renderProject(project));
    return EXIT.OK;
  },
};

const setProject: Command = {
  path: ['project', 'set'],
  summary: 'rename, describe, enable or disable a project',
  details: '--disable ends all tokens for the project at once. Its policies go on.',
  args: [PROJECT_ARGUMENT],
  options: [{ flag: 'name', kind: 'text', hint: 'NAME', doc: 'new name' }, DESCRIPTION_OPTION, ...STATE_OPTIONS],
  isRemote: true,
  examples: ['project set lab --description maps', 'project set lab --disable'],
  run: async (context) => {
    const { args, flags, signal } = context;
    const fields = { name: flags.text('name'), description: flags.text('description'), enabled: readEnabled(flags) };
    if (Object.values(fields).every((value) => value === undefined)) throw usageError('there is nothing to set');
    const { identity } = await connect(context);
    const { id } = await identity.findProject(args[0] ?? '', signal);
    const project = await identity.updateProject(id, fields, signal);
    printResult(context, { project }, renderProject(project));
    return EXIT.OK;
  },
};

const deleteProject: Command = {
  path: ['project', 'delete'],
  summary: 'remove a project that has neither volumes nor backups',
  args: [PROJECT_ARGUMENT],
  options: [YES_OPTION],
  isRemote: true,
  examples: ['project delete lab'],
  run: async (context): Promise<ExitCode> => {
    const { args, signal, terminal } = context;
    const { identity } = await connect(context);
    const project = await identity.findProject(args[0] ?? '', signal);
    if (!(await confirm(context, `Remove project ${project.name} with its policies?`))) {
      terminal.stderr.write('Nothing was removed.\n');
      return EXIT.FAILED;
    }
    await identity.deleteProject(project.id, signal);
    printResult(context, { deleted: { projectId: project.id } }, `Removed project ${project.name}.`);
    return EXIT.OK;
  },
};

function renderProject(project: ProjectInfo): string {
  return renderFields([
    ['ID', project.id],
    ['Name', project.name],
    ['Description', project.description ?? '-'],
    ['State', project.isEnabled ? 'enabled' : 'disabled'],
  ]);
}

export const PROJECT_COMMANDS: readonly Command[] = [
  createProject,
  listProjects,
  showProject,
  setProject,
  deleteProject,
];

// `openvbs role ...`: who may do what in which project.
import type { GrantRef, RoleAssignmentInfo, RoleInfo } from '../../client/identity-client.ts';
import type { OpenVbsClient } from '../../client/openvbs-client.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT } from '../exit-code.ts';
import { renderTable } from '../format.ts';
import { printResult } from '../output.ts';

const GRANT_ARGUMENTS = [
  { name: 'ROLE', doc: 'admin, member or reader' },
  { name: 'USER', doc: 'id or name of a user' },
  { name: 'PROJECT', doc: 'id or name of a project' },
] as const;

const listRoles: Command = {
  path: ['role', 'list'],
  summary: 'list the roles there are',
  args: [],
  options: [],
  isRemote: true,
  examples: ['role list'],
  run: async (context) => {
    const { identity } = await connect(context);
    const roles = await identity.listRoles(context.signal);
    const table = renderTable<RoleInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'DESCRIPTION', cell: ({ description }) => description ?? '-' },
      ],
      roles,
      'No roles.',
    );
    printResult(context, { roles }, table);
    return EXIT.OK;
  },
};

const addRole: Command = {
  path: ['role', 'add'],
  summary: 'give a user a role in a project',
  args: GRANT_ARGUMENTS,
  options: [],
  isRemote: true,
  examples: ['role add member alice lab'],
  run: async (context) => {
    const { identity } = await connect(context);
    await identity.addRole(await findGrant(context, identity), context.signal);
    const [role, user, project] = context.args;
    printResult(context, { added: { role, user, project } }, `${user} is ${role} in ${project}.`);
    return EXIT.OK;
  },
};

const removeRole: Command = {
  path: ['role', 'remove'],
  summary: 'take a role away from a user',
  details: 'At once, also from tokens. Application credentials that pass the role on are deleted.',
  args: GRANT_ARGUMENTS,
  options: [],
  isRemote: true,
  examples: ['role remove member alice lab'],
  run: async (context) => {
    const { identity } = await connect(context);
    await identity.removeRole(await findGrant(context, identity), context.signal);
    const [role, user, project] = context.args;
    printResult(context, { removed: { role, user, project } }, `${user} is no longer ${role} in ${project}.`);
    return EXIT.OK;
  },
};

async function findGrant({ args, signal }: CommandContext, identity: OpenVbsClient['identity']): Promise<GrantRef> {
  const [role = '', user = '', project = ''] = args;
  const { id: roleId } = await identity.findRole(role, signal);
  const { id: userId } = await identity.findUser(user, signal);
  const { id: projectId } = await identity.findProject(project, signal);
  return { roleId, userId, projectId };
}

const listAssignments: Command = {
  path: ['role', 'assignments'],
  summary: 'list who has which role in which project',
  args: [],
  options: [
    { flag: 'of-user', kind: 'text', hint: 'USER', doc: 'only those of this user' },
    { flag: 'in-project', kind: 'text', hint: 'PROJECT', doc: 'only those in this project' },
  ],
  isRemote: true,
  examples: ['role assignments', 'role assignments --in-project lab'],
  run: async (context) => {
    const { flags, signal } = context;
    const { identity } = await connect(context);
    const user = flags.text('of-user');
    const project = flags.text('in-project');
    const filter = {
      ...(user === undefined ? {} : { 'user.id': (await identity.findUser(user, signal)).id }),
      ...(project === undefined ? {} : { 'scope.project.id': (await identity.findProject(project, signal)).id }),
    };
    const assignments = await identity.listRoleAssignments(filter, signal);
    const table = renderTable<RoleAssignmentInfo>(
      [
        { title: 'ROLE', cell: ({ role }) => role },
        { title: 'USER', cell: (row) => row.user },
        { title: 'PROJECT', cell: (row) => row.project },
      ],
      assignments,
      'Nobody.',
    );
    printResult(context, { assignments }, table);
    return EXIT.OK;
  },
};

export const ROLE_COMMANDS: readonly Command[] = [listRoles, addRole, removeRole, listAssignments];

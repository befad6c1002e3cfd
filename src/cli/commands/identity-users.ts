// `openvbs user ...`: who may log in. Passwords are typed, read from a file or drawn; never an argument, which
// everybody on the machine could see.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { UserInfo } from '../../client/identity-client.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect, resolveConnection } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { renderFields, renderTable } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';
import { readEnabled, STATE_OPTIONS } from './identity-options.ts';

const USER_ARGUMENT = { name: 'USER', doc: 'id or name of a user' } as const;
const DESCRIPTION_OPTION = { flag: 'description', kind: 'text', hint: 'TEXT', doc: 'description' } as const;
const EMAIL_OPTION = { flag: 'email', kind: 'text', hint: 'ADDRESS', doc: 'email address' } as const;
const NEW_PASSWORD_OPTION = {
  flag: 'new-password-file',
  kind: 'text',
  hint: 'FILE',
  doc: 'file whose first line is the new password, "-" for stdin',
} as const;
/** 96 bits, as the service draws its first password. */
const PASSWORD_SIZE_BYTES = 12;

const createUser: Command = {
  path: ['user', 'create'],
  summary: 'make a user',
  details:
    'Asks for the password of the new user on a terminal; elsewhere, and without --new-password-file, one is drawn ' +
    'and printed. A user can log in to a project in which it has a role: role add gives one.',
  args: [{ name: 'NAME', doc: 'name of the new user' }],
  options: [NEW_PASSWORD_OPTION, DESCRIPTION_OPTION, EMAIL_OPTION],
  isRemote: true,
  examples: ['user create alice', 'user create robot --new-password-file secret.txt --description nightly'],
  run: async (context) => {
    const { args, flags, program, signal } = context;
    const name = args[0] ?? '';
    const client = await connect(context);
    const given = await readNewPassword(context, `New password of ${name} (empty: draw one): `);
    const password = given ?? randomBytes(PASSWORD_SIZE_BYTES).toString('base64url');
    const wanted = { name, password, description: flags.text('description'), email: flags.text('email') };
    const user = await client.identity.createUser(wanted, signal);
    const drawn = given === undefined ? password : undefined;
    const fields = renderUser(user, drawn === undefined ? [] : [['Password', `${drawn}  (shown only now)`]]);
    const hint = `To let it in: ${program} role add member ${name} PROJECT`;
    printResult(context, { user, ...(drawn === undefined ? {} : { generatedPassword: drawn }) }, `${fields}\n${hint}`);
    return EXIT.OK;
  },
};

/** Undefined: nobody said one. */
async function readNewPassword(context: CommandContext, question: string): Promise<string | undefined> {
  const { flags, terminal, signal } = context;
  const file = flags.text('new-password-file');
  if (file !== undefined) return await readFirstLine(context, file);
  const typed = terminal.isInteractive ? await terminal.askSecret(question, signal) : '';
  return typed === '' ? undefined : typed;
}

async function readFirstLine({ terminal, flags }: CommandContext, file: string): Promise<string> {
  if (file === '-' && flags.text('password-file') === '-') throw usageError('stdin can hold only one password');
  const content = file === '-' ? await terminal.readStdin() : await readText(resolve(terminal.cwd, file));
  const password = content.split(/\r?\n/)[0] ?? '';
  if (password === '') throw usageError(`the password file ${file} is empty`);
  return password;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT.NOT_FOUND, 'PASSWORD_FILE', `the password file cannot be read: ${reason}`, undefined, {
      cause: error,
    });
  }
}

const listUsers: Command = {
  path: ['user', 'list'],
  summary: 'list users',
  args: [],
  options: [],
  isRemote: true,
  examples: ['user list'],
  run: async (context) => {
    const client = await connect(context);
    const users = await client.identity.listUsers({}, context.signal);
    const table = renderTable<UserInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'STATE', cell: ({ isEnabled }) => (isEnabled ? 'enabled' : 'disabled') },
        { title: 'DESCRIPTION', cell: ({ description }) => description ?? '-' },
      ],
      users,
      'No users.',
    );
    printResult(context, { users }, table);
    return EXIT.OK;
  },
};

const showUser: Command = {
  path: ['user', 'show'],
  summary: 'show one user and its roles',
  args: [USER_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['user show alice'],
  run: async (context) => {
    const { identity } = await connect(context);
    const user = await identity.findUser(context.args[0] ?? '', context.signal);
    const roles = await identity.listRoleAssignments({ 'user.id': user.id }, context.signal);
    const lines = roles.map(({ role, project }): readonly [string, string] => ['Role', `${role} in ${project}`]);
    printResult(context, { user, roles }, renderUser(user, lines));
    return EXIT.OK;
  },
};

const setUser: Command = {
  path: ['user', 'set'],
  summary: 'rename, describe, enable or disable a user, or give it a new password',
  details: 'A new password, and --disable, end all tokens of the user at once.',
  args: [USER_ARGUMENT],
  options: [
    { flag: 'name', kind: 'text', hint: 'NAME', doc: 'new name' },
    DESCRIPTION_OPTION,
    EMAIL_OPTION,
    ...STATE_OPTIONS,
    NEW_PASSWORD_OPTION,
  ],
  isRemote: true,
  examples: ['user set alice --disable', 'user set alice --new-password-file secret.txt'],
  run: async (context) => {
    const { args, flags, signal } = context;
    const file = flags.text('new-password-file');
    const fields = {
      name: flags.text('name'),
      description: flags.text('description'),
      email: flags.text('email'),
      enabled: readEnabled(flags),
      password: file === undefined ? undefined : await readFirstLine(context, file),
    };
    if (Object.values(fields).every((value) => value === undefined)) throw usageError('there is nothing to set');
    const { identity } = await connect(context);
    const { id } = await identity.findUser(args[0] ?? '', signal);
    const user = await identity.updateUser(id, fields, signal);
    printResult(context, { user }, renderUser(user));
    return EXIT.OK;
  },
};

const changePassword: Command = {
  path: ['user', 'password'],
  summary: 'change your own password',
  details:
    'Asks for the old and the new one on a terminal; elsewhere they come from --password-file (or the variables) and ' +
    '--new-password-file. Every login of yours ends, the saved one too.',
  args: [],
  options: [NEW_PASSWORD_OPTION],
  isRemote: true,
  examples: ['user password'],
  run: async (context) => {
    const { terminal, program, signal } = context;
    const { password } = await resolveConnection(context);
    const { identity } = await connect(context);
    const original =
      password ?? (terminal.isInteractive ? await terminal.askSecret('Old password: ', signal) : undefined);
    if (original === undefined) throw usageError('the old password is missing', 'give it with --password-file');
    const next = await readNewPassword(context, 'New password: ');
    if (next === undefined) throw usageError('the new password is missing', 'give it with --new-password-file');
    await identity.changePassword(original, next, signal);
    printResult(context, { changed: true }, `Changed. Log in again: ${program} login`);
    return EXIT.OK;
  },
};

const deleteUser: Command = {
  path: ['user', 'delete'],
  summary: 'remove a user with its roles and application credentials; volumes and backups stay',
  args: [USER_ARGUMENT],
  options: [YES_OPTION],
  isRemote: true,
  examples: ['user delete alice'],
  run: async (context): Promise<ExitCode> => {
    const { args, signal, terminal } = context;
    const { identity } = await connect(context);
    const user = await identity.findUser(args[0] ?? '', signal);
    if (!(await confirm(context, `Remove user ${user.name}?`))) {
      terminal.stderr.write('Nothing was removed.\n');
      return EXIT.FAILED;
    }
    await identity.deleteUser(user.id, signal);
    printResult(context, { deleted: { userId: user.id } }, `Removed user ${user.name}.`);
    return EXIT.OK;
  },
};

function renderUser(user: UserInfo, more: readonly (readonly [string, string])[] = []): string {
  return renderFields([
    ['ID', user.id],
    ['Name', user.name],
    ['Description', user.description ?? '-'],
    ['Email', user.email ?? '-'],
    ['State', user.isEnabled ? 'enabled' : 'disabled'],
    ...more,
  ]);
}

export const USER_COMMANDS: readonly Command[] = [createUser, listUsers, showUser, setUser, changePassword, deleteUser];

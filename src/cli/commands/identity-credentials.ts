// `openvbs application-credential ...`: logins for programs. `openvbs token-key ...`: the keys that sign tokens.
import type { ApplicationCredentialInfo, TokenKeyInfo } from '../../client/identity-client.ts';
import type { Command } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { formatTime, renderFields, renderTable } from '../format.ts';
import { confirm, printResult, YES_OPTION } from '../output.ts';

const CREDENTIAL_ARGUMENT = { name: 'CREDENTIAL', doc: 'id or name of an application credential of yours' } as const;

const createCredential: Command = {
  path: ['application-credential', 'create'],
  summary: 'make a login for a program, in your project',
  details:
    'The secret is printed this one time. The credential can do what you can do in the project, or only what --role ' +
    'names; it ends with your roles, with your account, and at --expires.',
  args: [{ name: 'NAME', doc: 'name of the new application credential' }],
  options: [
    { flag: 'role', kind: 'texts', hint: 'ROLE', doc: 'pass on only this role of yours; may be repeated' },
    { flag: 'expires', kind: 'text', hint: 'TIME', doc: 'ISO 8601, UTC: 2027-01-31T12:00:00Z' },
    { flag: 'unrestricted', kind: 'boolean', doc: 'let it make and delete application credentials itself' },
    { flag: 'description', kind: 'text', hint: 'TEXT', doc: 'description' },
  ],
  isRemote: true,
  examples: ['application-credential create nightly --role reader'],
  run: async (context) => {
    const { args, flags, signal } = context;
    const { identity } = await connect(context);
    const roles = flags.texts('role').map((name) => ({ name }));
    const fields = {
      name: args[0] ?? '',
      description: flags.text('description'),
      expires_at: flags.text('expires'),
      unrestricted: flags.has('unrestricted'),
      ...(roles.length === 0 ? {} : { roles }),
    };
    const credential = await identity.createApplicationCredential(fields, signal);
    const secret = ['Secret', `${credential.secret ?? '-'}  (shown only now)`] as const;
    printResult(context, { applicationCredential: credential }, renderCredential(credential, [secret]));
    return EXIT.OK;
  },
};

const listCredentials: Command = {
  path: ['application-credential', 'list'],
  summary: 'list your application credentials',
  args: [],
  options: [],
  isRemote: true,
  examples: ['application-credential list'],
  run: async (context) => {
    const { identity } = await connect(context);
    const found = await identity.listApplicationCredentials({}, context.signal);
    const applicationCredentials = found.map(({ secret: _secret, ...shown }) => shown);
    const table = renderTable(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'ROLES', cell: ({ roles }) => roles.join(', ') },
        { title: 'EXPIRES', cell: ({ expiresAt }) => formatTime(expiresAt) },
      ],
      applicationCredentials,
      'No application credentials.',
    );
    printResult(context, { applicationCredentials }, table);
    return EXIT.OK;
  },
};

const showCredential: Command = {
  path: ['application-credential', 'show'],
  summary: 'show one application credential, without its secret',
  args: [CREDENTIAL_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['application-credential show nightly'],
  run: async (context) => {
    const { identity } = await connect(context);
    const found = await identity.findApplicationCredential(context.args[0] ?? '', context.signal);
    const { secret: _secret, ...shown } = found;
    printResult(context, { applicationCredential: shown }, renderCredential(found));
    return EXIT.OK;
  },
};

const deleteCredential: Command = {
  path: ['application-credential', 'delete'],
  summary: 'remove an application credential; its tokens end',
  args: [CREDENTIAL_ARGUMENT],
  options: [YES_OPTION],
  isRemote: true,
  examples: ['application-credential delete nightly'],
  run: async (context): Promise<ExitCode> => {
    const { args, signal, terminal } = context;
    const { identity } = await connect(context);
    const { id, name } = await identity.findApplicationCredential(args[0] ?? '', signal);
    if (!(await confirm(context, `Remove application credential ${name}?`))) {
      terminal.stderr.write('Nothing was removed.\n');
      return EXIT.FAILED;
    }
    await identity.deleteApplicationCredential(id, signal);
    printResult(context, { deleted: { applicationCredentialId: id } }, `Removed application credential ${name}.`);
    return EXIT.OK;
  },
};

function renderCredential(
  credential: ApplicationCredentialInfo,
  more: readonly (readonly [string, string])[] = [],
): string {
  return renderFields([
    ['ID', credential.id],
    ['Name', credential.name],
    ['Description', credential.description ?? '-'],
    ['Project', credential.projectId],
    ['Roles', credential.roles.join(', ')],
    ['Expires', formatTime(credential.expiresAt)],
    ['Unrestricted', credential.isUnrestricted ? 'yes' : 'no'],
    ...more,
  ]);
}

const listTokenKeys: Command = {
  path: ['token-key', 'list'],
  summary: 'list the keys that tokens are signed with',
  args: [],
  options: [],
  isRemote: true,
  examples: ['token-key list'],
  run: async (context) => {
    const { identity } = await connect(context);
    const tokenKeys = await identity.listTokenKeys(context.signal);
    const table = renderTable<TokenKeyInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'MADE', cell: ({ createdAt }) => formatTime(createdAt) },
        { title: 'SIGNS', cell: ({ isSigning }) => (isSigning ? 'yes' : 'no: honoured while its tokens live') },
      ],
      tokenKeys,
      'No keys.',
    );
    printResult(context, { tokenKeys }, table);
    return EXIT.OK;
  },
};

const rotateTokenKey: Command = {
  path: ['token-key', 'rotate'],
  summary: 'sign tokens with a new key from now on',
  details: 'Also done by itself every OPENVBS_TOKEN_KEY_ROTATION seconds. Tokens that are out stay valid.',
  args: [],
  options: [
    { flag: 'end-tokens', kind: 'boolean', doc: 'a key has leaked: end every token that is out, yours too' },
    YES_OPTION,
  ],
  isRemote: true,
  examples: ['token-key rotate', 'token-key rotate --end-tokens'],
  run: async (context): Promise<ExitCode> => {
    const { flags, signal, terminal } = context;
    const { identity } = await connect(context);
    const endsTokens = flags.has('end-tokens');
    if (endsTokens && !(await confirm(context, 'End every token of everybody?'))) {
      terminal.stderr.write('Nothing was changed.\n');
      return EXIT.FAILED;
    }
    const tokenKey = await identity.rotateTokenKey({ endsTokens }, signal);
    const text = `Key ${tokenKey.id} signs from now on.${endsTokens ? ' Every token until now has ended.' : ''}`;
    printResult(context, { tokenKey }, text);
    return EXIT.OK;
  },
};

export const CREDENTIAL_COMMANDS: readonly Command[] = [
  createCredential,
  listCredentials,
  showCredential,
  deleteCredential,
  listTokenKeys,
  rotateTokenKey,
];

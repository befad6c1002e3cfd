// `openvbs login` and `logout`: type the password once, keep only a token.
import { OpenVbsClient } from '../../client/openvbs-client.ts';
import { CliError } from '../cli-error.ts';
import type { Command } from '../command.ts';
import { connect, resolveConnection, toLogin } from '../connection.ts';
import { EXIT } from '../exit-code.ts';
import { formatTime } from '../format.ts';
import { printResult } from '../output.ts';
import { deleteSession, sessionPath, writeSession } from '../session-file.ts';

const login: Command = {
  path: ['login'],
  summary: 'log in and stay logged in on this machine',
  details:
    'Asks for the password (or takes it from --password-file, OPENVBS_PASSWORD or OS_PASSWORD) and keeps a token in ' +
    '~/.config/openvbs/session.json, readable by you alone, until it expires. The password is not kept. The other ' +
    'commands then need no credentials; those from flags and variables come first.',
  args: [],
  options: [],
  isRemote: true,
  examples: [
    'login',
    'login --url https://backup.example.net --user ops --project lab',
    'login --password-file - < secret.txt',
  ],
  run: async (context) => {
    const { terminal, signal } = context;
    const connection = await resolveConnection(context);
    const { user, project, authUrl, region } = connection;
    const where = connection.serviceUrl ?? authUrl;
    const isTyped = connection.password === undefined && terminal.isInteractive;
    const password = isTyped
      ? await terminal.askSecret(`Password of ${user} at ${where}: `, signal)
      : connection.password;
    if (password === undefined || password === '') {
      throw new CliError(
        EXIT.DENIED,
        'PASSWORD_NEEDED',
        'no password was given',
        'use --password-file FILE or OPENVBS_PASSWORD',
      );
    }
    const client = new OpenVbsClient({ authUrl, region, login: toLogin(connection, password) });
    const session = await client.logIn(signal);
    const url = connection.serviceUrl ?? session.catalogOrigin ?? new URL(authUrl).origin;
    const path = sessionPath(terminal);
    await writeSession(path, { url, session });
    const { expiresAt, userName, projectName, projectId } = session;
    const text = `Logged in at ${url} as ${userName}, project ${projectName}, until ${formatTime(expiresAt)}.`;
    printResult(context, { session: { url, user: userName, project: projectName, projectId, expiresAt, path } }, text);
    if (session.projectName !== project) terminal.stderr.write(`The project is named ${projectName}.\n`);
    return EXIT.OK;
  },
};

const logout: Command = {
  path: ['logout'],
  summary: 'end the saved login',
  args: [],
  options: [],
  isRemote: true,
  examples: ['logout'],
  run: async (context) => {
    const { terminal, signal } = context;
    const path = sessionPath(terminal);
    const { session } = await resolveConnection(context);
    // The file goes first: what matters here is that this machine forgets, whether or not the server answers.
    const client = await connect(context);
    await deleteSession(path);
    await client.logOut(signal);
    const text = session === undefined ? 'There was no login to end.' : 'Logged out.';
    printResult(context, { loggedOut: session !== undefined }, text);
    return EXIT.OK;
  },
};

export const LOGIN_COMMANDS: readonly Command[] = [login, logout];

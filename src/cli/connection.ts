// Which server, which user, which credentials: from flags, the environment and the saved login, in that order.
// OpenStack's OS_* variables count only when OS_AUTH_URL is what names the server: a password that was meant for
// another cloud must never be sent to this one.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { PasswordLogin, Session } from '../client/keystone.ts';
import { OpenVbsClient } from '../client/openvbs-client.ts';
import { CliError, usageError } from './cli-error.ts';
import type { CommandContext, Flags } from './command.ts';
import { readSession, type SavedSession, sessionPath } from './session-file.ts';
import type { Terminal } from './terminal.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8776';

export type Connection = {
  readonly authUrl: string;
  /** Undefined: the catalog of the token says (OS_AUTH_URL). */
  readonly serviceUrl: string | undefined;
  readonly region: string | undefined;
  readonly user: string;
  readonly userDomain: string;
  readonly project: string;
  readonly projectDomain: string;
  readonly password: string | undefined;
  /** A saved login that fits all of the above. */
  readonly session: Session | undefined;
};

/** A client for the command. Sends nothing yet. @throws CliError for a URL or password file that is not usable */
export async function connect(context: CommandContext): Promise<OpenVbsClient> {
  const connection = await resolveConnection(context);
  const { authUrl, serviceUrl, region, session } = connection;
  return new OpenVbsClient({ authUrl, serviceUrl, region, session, login: toLogin(connection, connection.password) });
}

export function toLogin(connection: Connection, password: string | undefined): PasswordLogin | undefined {
  const { user, userDomain, project, projectDomain } = connection;
  return password === undefined ? undefined : { user, userDomain, password, project, projectDomain };
}

export async function resolveConnection(context: CommandContext): Promise<Connection> {
  const { flags, terminal, clock } = context;
  const saved = await readSession(sessionPath(terminal));
  const isOpenStack = flags.text('url') === undefined && !terminal.env.OPENVBS_URL && Boolean(terminal.env.OS_AUTH_URL);
  const named = isOpenStack ? fromOpenStack(flags, terminal.env) : fromOwn(flags, terminal.env, saved);
  const passwordFile = flags.text('password-file') ?? terminal.env.OPENVBS_PASSWORD_FILE;
  const password = passwordFile ? await readPassword(passwordFile, terminal) : named.password;
  const session = saved !== undefined && fits(saved, named, clock.now()) ? saved.session : undefined;
  return { ...named, password, session };
}

type Named = Omit<Connection, 'session'>;

function fromOwn(flags: Flags, env: Terminal['env'], saved: SavedSession | undefined): Named {
  const serviceUrl = checkUrl(flags.text('url') ?? (env.OPENVBS_URL || saved?.url || DEFAULT_URL));
  // The saved login also remembers who and where; for another server that means nothing.
  const remembered = saved?.url === serviceUrl ? saved.session : undefined;
  const user = flags.text('user') ?? (env.OPENVBS_USER || remembered?.userName || 'admin');
  const adminPassword = user === 'admin' ? env.OPENVBS_ADMIN_PASSWORD : undefined;
  return {
    authUrl: `${serviceUrl}/identity/v3`,
    serviceUrl,
    region: undefined,
    user,
    userDomain: 'Default',
    project: flags.text('project') ?? (env.OPENVBS_PROJECT || remembered?.projectName || 'admin'),
    projectDomain: 'Default',
    password: env.OPENVBS_PASSWORD || adminPassword || undefined,
  };
}

function fromOpenStack(flags: Flags, env: Terminal['env']): Named {
  return {
    authUrl: checkUrl(env.OS_AUTH_URL ?? ''),
    serviceUrl: undefined,
    region: env.OS_REGION_NAME || undefined,
    user: flags.text('user') ?? (env.OS_USERNAME || 'admin'),
    userDomain: env.OS_USER_DOMAIN_ID || env.OS_USER_DOMAIN_NAME || env.OS_DEFAULT_DOMAIN || 'Default',
    project: flags.text('project') ?? (env.OS_PROJECT_NAME || env.OS_TENANT_NAME || 'admin'),
    projectDomain: env.OS_PROJECT_DOMAIN_ID || env.OS_PROJECT_DOMAIN_NAME || env.OS_DEFAULT_DOMAIN || 'Default',
    password: env.OS_PASSWORD || undefined,
  };
}

function fits({ url, session }: SavedSession, named: Named, nowAt: number): boolean {
  const isSameUser = session.userName === named.user && session.projectName === named.project;
  return named.serviceUrl === url && isSameUser && Date.parse(session.expiresAt) > nowAt;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw usageError(`${JSON.stringify(text)} is not the address of a server`, `an address looks like ${DEFAULT_URL}`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** First line of the file, or of stdin for `-`. */
async function readPassword(file: string, terminal: Terminal): Promise<string> {
  const content = file === '-' ? await terminal.readStdin() : await readPasswordFile(resolve(terminal.cwd, file));
  const password = content.split(/\r?\n/)[0] ?? '';
  if (password === '') throw usageError(`the password file ${file} is empty`);
  return password;
}

async function readPasswordFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(3, 'PASSWORD_FILE', `the password file cannot be read: ${reason}`, undefined, { cause: error });
  }
}

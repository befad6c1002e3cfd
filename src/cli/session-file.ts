// The login that `openvbs login` keeps: a token, never a password, in a file that only its owner can read.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRecord, textOf } from '../client/json.ts';
import type { Session } from '../client/keystone.ts';
import type { Terminal } from './terminal.ts';

export type SavedSession = {
  /** Address of the server, without a trailing slash. */
  readonly url: string;
  readonly session: Session;
};

export function sessionPath({ env, homeFolder }: Terminal): string {
  return join(env.XDG_CONFIG_HOME || join(homeFolder, '.config'), 'openvbs', 'session.json');
}

/** Undefined when there is none or it cannot be understood: then a new login is the way out in any case. */
export async function readSession(path: string): Promise<SavedSession | undefined> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!isRecord(content)) return undefined;
  const url = textOf(content.url);
  const token = textOf(content.token);
  const projectId = textOf(content.projectId);
  if (url === undefined || token === undefined || projectId === undefined) return undefined;
  const userName = textOf(content.userName) ?? '';
  const projectName = textOf(content.projectName) ?? '';
  const expiresAt = textOf(content.expiresAt) ?? '';
  const userId = textOf(content.userId);
  return { url, session: { token, expiresAt, userId, userName, projectId, projectName, catalogOrigin: undefined } };
}

export async function writeSession(path: string, { url, session }: SavedSession): Promise<void> {
  const { token, expiresAt, userId, userName, projectId, projectName } = session;
  const content = JSON.stringify({ url, userId, userName, projectName, projectId, expiresAt, token }, undefined, 2);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporaryPath = `${path}.${process.pid}.tmp`;
  // `wx`: a file or link that somebody else put there must not receive the token.
  await rm(temporaryPath, { force: true });
  await writeFile(temporaryPath, `${content}\n`, { mode: 0o600, flag: 'wx' });
  await rename(temporaryPath, path);
}

export async function deleteSession(path: string): Promise<void> {
  await rm(path, { force: true });
}

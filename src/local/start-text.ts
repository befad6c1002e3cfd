// What `openvbs serve` says when it is up. Pure, apart from the look into the roots for a disk that could be tried.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nameBackup } from '../cli/commands/backup-commands.ts';
import { renderFields } from '../cli/format.ts';
import type { Config } from '../config.ts';

export type StartInfo = {
  readonly version: string;
  /** How to call this program again. */
  readonly program: string;
  readonly url: string;
  /** Undefined when no metrics are served. */
  readonly metricsUrl?: string | undefined;
  readonly config: Config;
  readonly generatedPassword: string | undefined;
  readonly generatedPassphrasePath: string | undefined;
  /** A disk that may be adopted, when there is one. */
  readonly diskImage: string | undefined;
  /** Name of the sample volume, when there is one. */
  readonly sampleName: string | undefined;
  readonly nowAt: number;
};

export function renderStartText(info: StartInfo): string {
  const { version, url, metricsUrl, config, generatedPassword } = info;
  const fields: (readonly [string, string])[] = [
    ['API', `${url}  (described at ${url}/openapi.json)`],
    ['Console', `${url}/console  (comes with a later version)`],
    describeUsers(config),
  ];
  if (metricsUrl !== undefined) fields.push(['Metrics', metricsUrl]);
  if (generatedPassword !== undefined) fields.push(['Password', `${generatedPassword}  (shown only now: keep it)`]);
  fields.push(['Data', config.dataFolder], ['Passphrase', describePassphrase(info)]);
  const parts = [`OpenVBS ${version} is running.`, indent(renderFields(fields)), renderFirstSteps(info)];
  return `\n${parts.join('\n\n')}\n\nCtrl-C stops it.\n\n`;
}

function describeUsers({ identity: { keystone } }: Config): readonly [string, string] {
  return keystone === undefined
    ? ['User', 'admin, project admin, domain Default']
    : ['Users', `those of ${keystone.url}`];
}

function describePassphrase({ config, generatedPassphrasePath }: StartInfo): string {
  if (generatedPassphrasePath !== undefined) {
    return `${generatedPassphrasePath}  (made now: keep a copy elsewhere, without it no backup can be restored)`;
  }
  if (config.passphrase !== undefined) return 'as set';
  return `${config.passphraseFile ?? join(config.dataFolder, 'passphrase')}  (keep a copy elsewhere)`;
}

/** Commands that work as they stand when they are pasted into another terminal of this machine. */
function renderFirstSteps(info: StartInfo): string {
  const { program, url, generatedPassword, sampleName, nowAt, config } = info;
  const call = quote(program);
  if (config.identity.keystone !== undefined) {
    const address = quote(config.identity.keystone.url);
    const login = `export OS_AUTH_URL=${address} OS_USERNAME=... OS_PASSWORD=... OS_PROJECT_NAME=...`;
    return `To use it, in another terminal:\n${indent(`${login}\n${call} volume list`)}`;
  }
  const hasPassword = generatedPassword !== undefined;
  const login = hasPassword
    ? `echo ${quote(generatedPassword)} | ${call} login --url ${quote(url)} --password-file -`
    : `${call} login --url ${quote(url)}`;
  // On later starts volumes of earlier trials may exist, and a name that two have is of no use.
  const name = hasPassword ? 'first' : nameBackup('disk', { now: () => nowAt });
  const commands =
    sampleName !== undefined
      ? [`${call} backup create ${sampleName} --name ${name}`, `${call} restore ${name} --new-volume ${name}-copy`]
      : [addCommand(info, call, name), `${call} backup create ${name}`];
  const backup = hasPassword ? [login, ...commands] : commands;
  const steps = `To make a first backup, in another terminal:\n${indent(backup.join('\n'))}`;
  return hasPassword ? steps : `To log in, in another terminal (asks for the password):\n${indent(login)}\n\n${steps}`;
}

function addCommand({ diskImage }: StartInfo, call: string, name: string): string {
  if (diskImage !== undefined) return `${call} volume add ${quote(diskImage)} --name ${name}`;
  return `${call} volume create --size 1 --name ${name}`;
}

/** The first raw image lying directly in one of the roots. */
export async function findDiskImage(roots: readonly string[]): Promise<string | undefined> {
  for (const root of roots) {
    // A root that is missing or closed to us is reported when somebody adopts from it.
    const names = await readdir(root).catch(() => []);
    const name = names.toSorted().find((candidate) => /\.(img|raw)$/.test(candidate));
    if (name !== undefined) return join(root, name);
  }
  return undefined;
}

/** As a POSIX shell needs it. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

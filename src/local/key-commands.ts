// `openvbs repository key ...` and `repository shred`: passphrases and keys of a data folder that no service runs in.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CliError, usageError } from '../cli/cli-error.ts';
import type { Command, CommandContext, OptionSpec } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { renderTable } from '../cli/format.ts';
import { printResult } from '../cli/output.ts';
import { loadSettings, SETTING_OPTIONS } from './setting-options.ts';

const NEW_PASSPHRASE: OptionSpec = {
  flag: 'new-passphrase-file',
  kind: 'text',
  hint: 'FILE',
  doc: 'file that holds the new passphrase, "-" for stdin; without it the terminal is asked',
};
const STOPPED = 'No service may run on the data folder meanwhile. The passphrase is found as by openvbs serve.';

const keyList: Command = {
  path: ['repository', 'key', 'list'],
  summary: 'list the keys that passphrases open; one of them is the present one',
  details: STOPPED,
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['repository key list --data /var/lib/openvbs'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const { listKeys } = await import('../maintenance.ts');
    const keys = await listKeys(config);
    const table = renderTable(
      [
        { title: 'KEY', cell: ({ keyId }) => keyId },
        { title: 'OPENED BY THIS PASSPHRASE', cell: ({ isOpened }) => (isOpened ? 'yes' : 'no') },
        { title: 'IN STORE', cell: ({ isInStore }) => (isInStore ? 'yes' : 'missing') },
      ],
      keys,
      'No keys.',
    );
    printResult(context, { keys }, table);
    return EXIT.OK;
  },
};

const keyAdd: Command = {
  path: ['repository', 'key', 'add'],
  summary: 'let another passphrase open the repository too',
  details: STOPPED,
  args: [],
  options: [NEW_PASSPHRASE, ...SETTING_OPTIONS],
  isRemote: false,
  examples: ['repository key add --new-passphrase-file ./second'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const passphrase = await readNewPassphrase(context);
    const { addKey } = await import('../maintenance.ts');
    const keyId = await addKey(config, passphrase);
    printResult(context, { key: { keyId } }, `Key ${keyId} was added: its passphrase opens the repository too.`);
    return EXIT.OK;
  },
};

const keyChange: Command = {
  path: ['repository', 'key', 'change'],
  summary: 'replace the passphrase',
  details:
    `${STOPPED}\n\nWhoever has a copy of the old key and knows the old passphrase still has the master key. If they ` +
    'may, run repository key rotate too: it protects what is written from then on.',
  args: [],
  options: [NEW_PASSPHRASE, ...SETTING_OPTIONS],
  isRemote: false,
  examples: ['repository key change', 'repository key change --new-passphrase-file ./new'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const passphrase = await readNewPassphrase(context);
    const { changeKey } = await import('../maintenance.ts');
    const { keyId, isFileChanged } = await changeKey(config, passphrase);
    const next = isFileChanged
      ? `The passphrase file in ${config.dataFolder} holds the new one: keep a copy elsewhere.`
      : 'Set the new one where openvbs serve finds the old one now, before it starts again.';
    printResult(context, { key: { keyId }, isFileChanged }, `Key ${keyId} replaces the old one. ${next}`);
    return EXIT.OK;
  },
};

const keyRemove: Command = {
  path: ['repository', 'key', 'remove'],
  summary: 'no longer let a passphrase open the repository',
  details: `${STOPPED} The last key cannot be removed.`,
  args: [{ name: 'KEY', doc: 'id of the key, from repository key list' }],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['repository key remove 6f1c1d52-0c0e-4a55-9a43-2d2f8f0a9b11'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const keyId = context.args[0] ?? '';
    const { removeKey } = await import('../maintenance.ts');
    await removeKey(config, keyId);
    printResult(context, { key: { keyId } }, `Key ${keyId} was removed.`);
    return EXIT.OK;
  },
};

const keyRotate: Command = {
  path: ['repository', 'key', 'rotate'],
  summary: 'new master key, and new project keys for what is written from now on',
  details:
    `${STOPPED} What is stored keeps the project keys it was sealed with, wrapped anew. Other passphrases must be ` +
    'removed first and can be added again afterwards. A rotation that was interrupted is completed by the next one.',
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['repository key rotate --data /var/lib/openvbs'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const { rotateAllKeys } = await import('../maintenance.ts');
    const { keyId, projectCount } = await rotateAllKeys(config);
    const text = `Key ${keyId} is the new master key; ${projectCount} projects write with new keys from now on.`;
    printResult(context, { key: { keyId }, projectCount }, text);
    return EXIT.OK;
  },
};

export const keyCommands: readonly Command[] = [keyList, keyAdd, keyChange, keyRemove, keyRotate];

const OUT_OF_REACH =
  'copies that something else keeps: snapshots of the file system, mirrors, backups of the data folder';
const OUT_OF_REACH_POSTGRES = `${OUT_OF_REACH}, PostgreSQL's own log and backups`;

export const repositoryShred: Command = {
  path: ['repository', 'shred'],
  summary: 'destroy the keys of a project, and with them everything it ever stored',
  details:
    `${STOPPED} It cannot be undone, not even with the passphrase. The command says what it cannot reach: ` +
    `${OUT_OF_REACH}. Volumes stay as they are.`,
  args: [{ name: 'PROJECT', doc: 'name or id of the project' }],
  options: [{ flag: 'yes', kind: 'boolean', doc: 'do not ask' }, ...SETTING_OPTIONS],
  isRemote: false,
  examples: ['repository shred old-customer', 'repository shred 9f1c2d3e4b5a46978899aabbccddeeff --yes'],
  run: async (context) => {
    const { config } = loadSettings(context);
    const project = context.args[0] ?? '';
    await requireConsent(context, project);
    const { shredProject } = await import('../maintenance.ts');
    const shredded = await shredProject(config, project);
    const outOfReach = config.database.kind === 'postgres' ? OUT_OF_REACH_POSTGRES : OUT_OF_REACH;
    const { keyCount, backupCount, objectCount } = shredded;
    const text =
      `Destroyed ${keyCount} keys, ${backupCount} backups and ${objectCount} objects of project ${project}; ` +
      `a listing finds no key of it.\nOut of reach, and to be removed by you: ${outOfReach}.`;
    printResult(context, { project, ...shredded, outOfReach }, text);
    return EXIT.OK;
  },
};

async function requireConsent({ flags, terminal, signal }: CommandContext, project: string): Promise<void> {
  if (flags.has('yes')) return;
  if (!terminal.isInteractive)
    throw usageError('this destroys backups for ever', 'give --yes where nobody can be asked');
  const answer = await terminal.ask(`Type ${project} to destroy all its backups for ever: `, signal);
  if (answer !== project) throw new CliError(EXIT.FAILED, 'NOT_CONFIRMED', 'nothing was destroyed');
}

async function readNewPassphrase({ flags, terminal, signal }: CommandContext): Promise<string> {
  const file = flags.text(NEW_PASSPHRASE.flag);
  const passphrase = file === undefined ? await askTwice() : withoutLineEnd(await read(file));
  if (passphrase === '') throw usageError('the new passphrase is empty');
  return passphrase;

  async function read(path: string): Promise<string> {
    if (path === '-') return await terminal.readStdin();
    return await readFile(resolve(terminal.cwd, path), 'utf8').catch((cause: unknown) => {
      throw new CliError(EXIT.NOT_FOUND, 'NO_FILE', `${path} cannot be read`, undefined, { cause });
    });
  }

  async function askTwice(): Promise<string> {
    if (!terminal.isInteractive) throw usageError('no new passphrase', `give it with --${NEW_PASSPHRASE.flag}`);
    const first = await terminal.askSecret('New passphrase: ', signal);
    const second = await terminal.askSecret('Again: ', signal);
    if (first !== second) throw usageError('the two passphrases differ');
    return first;
  }
}

/** As the service reads passphrase files. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}

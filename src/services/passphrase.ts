// Where the repository's passphrase comes from: a setting, a file named by a setting, or a file of our own that is made
// at the first start. It must be durable before the repository is created with it: losing it is losing every backup.
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VbsError } from '../core/errors.ts';

export type PassphraseSettings = {
  readonly dataFolder: string;
  readonly passphrase?: string;
  readonly passphraseFile?: string;
  /** A repository stands already: then a missing passphrase is an error, and a new one would only hide it. */
  readonly hasRepository: boolean;
};

export type Passphrase = {
  readonly passphrase: string;
  /** Set when the passphrase was made now: the user must be told to keep a copy. */
  readonly generatedPath?: string;
};

const FILE_NAME = 'passphrase';
/** 192 bits: beyond guessing whatever scrypt costs, and 32 letters can still be typed from paper. */
const RANDOM_SIZE_BYTES = 24;

/** @throws CONFIG_INVALID when the named file cannot be read, or what it holds is empty. */
export async function loadPassphrase(settings: PassphraseSettings): Promise<Passphrase> {
  const { dataFolder, passphrase, passphraseFile, hasRepository } = settings;
  if (passphrase !== undefined) return { passphrase: requireContent(passphrase, 'OPENVBS_PASSPHRASE') };
  if (passphraseFile !== undefined) return { passphrase: await readPassphraseFile(passphraseFile) };
  const ownPath = join(dataFolder, FILE_NAME);
  const generated = hasRepository ? undefined : await createPassphraseFile(ownPath);
  if (generated !== undefined) return { passphrase: generated, generatedPath: ownPath };
  return { passphrase: await readPassphraseFile(ownPath, 'it holds the passphrase of this repository: put it back') };
}

async function readPassphraseFile(path: string, hint?: string): Promise<string> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    const reason = `${path} cannot be read${hint === undefined ? '' : `; ${hint}`}`;
    throw new VbsError('CONFIG_INVALID', { setting: 'OPENVBS_PASSPHRASE_FILE', reason }, { cause });
  }
  // Editors end a file with a line feed that nobody means to be a part of the secret.
  return requireContent(content.replace(/\r?\n$/, ''), 'OPENVBS_PASSPHRASE_FILE');
}

function requireContent(passphrase: string, setting: string): string {
  if (passphrase === '') throw new VbsError('CONFIG_INVALID', { setting, reason: 'the passphrase is empty' });
  return passphrase;
}

/**
 * Undefined when the file is already there. Written beside its name and linked to it without replacing, so that a crash
 * leaves the whole passphrase or none, and of two starts at once both use the same.
 */
async function createPassphraseFile(path: string): Promise<string | undefined> {
  const passphrase = randomBytes(RANDOM_SIZE_BYTES).toString('base64url');
  const draftPath = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeDurably(draftPath, `${passphrase}\n`);
    await link(draftPath, path);
  } catch (error) {
    if (isAlreadyThere(error)) return undefined;
    throw error;
  } finally {
    await rm(draftPath, { force: true });
  }
  await syncFolder(dirname(path));
  return passphrase;
}

/**
 * Puts another passphrase into the file of the data folder, atomically: a crash leaves the old one or the new one, and
 * both must open the repository at that moment.
 */
export async function replacePassphraseFile(dataFolder: string, passphrase: string): Promise<void> {
  const draftPath = join(dataFolder, `${FILE_NAME}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await writeDurably(draftPath, `${passphrase}\n`);
    await rename(draftPath, join(dataFolder, FILE_NAME));
  } finally {
    await rm(draftPath, { force: true });
  }
  await syncFolder(dataFolder);
}

async function writeDurably(path: string, content: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(content);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

function isAlreadyThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}

import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { loadPassphrase } from '../../../src/services/passphrase.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

it('makes a file at the first start, readable by its owner only, and uses it from then on', async () => {
  await using folder = await makeTemporaryFolder();
  const dataFolder = folder.path;
  const first = await loadPassphrase({ dataFolder, hasRepository: false });
  const path = join(dataFolder, 'passphrase');
  assert.equal(first.generatedPath, path);
  assert.match(first.passphrase, /^[\w-]{32}$/);
  assert.equal(await readFile(path, 'utf8'), `${first.passphrase}\n`);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(dataFolder), ['passphrase']);
  assert.deepEqual(await loadPassphrase({ dataFolder, hasRepository: true }), { passphrase: first.passphrase });
  assert.deepEqual(await loadPassphrase({ dataFolder, hasRepository: false }), { passphrase: first.passphrase });
});

it('two starts at once use the same', async () => {
  await using folder = await makeTemporaryFolder();
  const settings = { dataFolder: folder.path, hasRepository: false };
  const made = await Promise.all(Array.from({ length: 8 }, () => loadPassphrase(settings)));
  assert.equal(new Set(made.map(({ passphrase }) => passphrase)).size, 1);
  assert.equal(made.filter(({ generatedPath }) => generatedPath !== undefined).length, 1);
});

it('a setting wins over a file, and a named file over our own', async () => {
  await using folder = await makeTemporaryFolder();
  const dataFolder = folder.path;
  const passphraseFile = join(dataFolder, 'named');
  await writeFile(passphraseFile, 'from a file\r\n');
  const settings = { dataFolder, passphraseFile, hasRepository: false };
  assert.deepEqual(await loadPassphrase(settings), { passphrase: 'from a file' });
  assert.deepEqual(await loadPassphrase({ ...settings, passphrase: 'set' }), { passphrase: 'set' });
});

it('makes no new passphrase for a repository that has one', async () => {
  await using folder = await makeTemporaryFolder();
  await assert.rejects(loadPassphrase({ dataFolder: folder.path, hasRepository: true }), { code: 'CONFIG_INVALID' });
  assert.deepEqual(await readdir(folder.path), []);
});

it('refuses empty passphrases and files that are not there', async () => {
  await using folder = await makeTemporaryFolder();
  const dataFolder = folder.path;
  const passphraseFile = join(dataFolder, 'named');
  const settings = { dataFolder, hasRepository: false };
  await assert.rejects(loadPassphrase({ ...settings, passphrase: '' }), { code: 'CONFIG_INVALID' });
  await assert.rejects(loadPassphrase({ ...settings, passphraseFile }), { code: 'CONFIG_INVALID' });
  await writeFile(passphraseFile, '\n');
  await assert.rejects(loadPassphrase({ ...settings, passphraseFile }), { code: 'CONFIG_INVALID' });
});

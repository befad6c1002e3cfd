import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config.ts';
import { findDiskImage, quote, renderStartText, type StartInfo } from '../../../src/local/start-text.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const base: StartInfo = {
  version: '1.2.3',
  program: 'bin/openvbs.js',
  url: 'http://127.0.0.1:8776',
  config: loadConfig({ flags: {}, env: {}, cwd: '/srv' }).config,
  generatedPassword: 'pa-55',
  generatedPassphrasePath: '/srv/data/passphrase',
  diskImage: undefined,
  sampleName: undefined,
  nowAt: Date.UTC(2026, 1, 3, 9, 15),
};

test('the first start shows address, password, passphrase file and three commands', () => {
  const text = renderStartText(base);
  assert.ok(text.includes('http://127.0.0.1:8776'));
  assert.ok(text.includes('/srv/data/passphrase  (made now: keep a copy'));
  const commands = text.split('\n').filter((line) => line.includes('bin/openvbs.js'));
  assert.deepEqual(commands, [
    '  echo pa-55 | bin/openvbs.js login --url http://127.0.0.1:8776 --password-file -',
    '  bin/openvbs.js volume create --size 1 --name first',
    '  bin/openvbs.js backup create first',
  ]);
});

test('metrics are named where they are served', () => {
  assert.ok(!renderStartText(base).includes('Metrics'));
  const metricsUrl = 'http://127.0.0.1:9776/metrics';
  assert.match(renderStartText({ ...base, metricsUrl }), /Metrics: +http:\/\/127\.0\.0\.1:9776\/metrics/);
});

test('a disk in a root is what the example takes', () => {
  const text = renderStartText({ ...base, diskImage: "/srv/my disks/o'hara.img" });
  assert.ok(text.includes("volume add '/srv/my disks/o'\\''hara.img' --name first\n"), text);
});

test('a later start shows no password, and names that are new', () => {
  const text = renderStartText({ ...base, generatedPassword: undefined, generatedPassphrasePath: undefined });
  assert.ok(!text.includes('Password:'));
  assert.ok(text.includes('bin/openvbs.js login --url http://127.0.0.1:8776\n'));
  assert.ok(text.includes('volume create --size 1 --name disk-20260203-091500\n'));
});

test('development mode shows its sample', () => {
  const text = renderStartText({ ...base, sampleName: 'sample' });
  assert.ok(text.includes('backup create sample --name first\n'));
  assert.ok(text.includes('restore first --new-volume first-copy\n'));
});

test('only plain words stay unquoted', () => {
  assert.equal(quote('/a/b-c_1.img'), '/a/b-c_1.img');
  assert.equal(quote('a b'), "'a b'");
  assert.equal(quote('$(x)'), "'$(x)'");
});

test('a disk image is looked for in every root, and missing roots are passed over', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const roots = [join(folder, 'missing'), join(folder, 'empty'), join(folder, 'disks')];
  for (const root of roots.slice(1)) await mkdir(root);
  assert.equal(await findDiskImage(roots), undefined);
  for (const name of ['b.img', 'a.raw', 'notes.txt']) await writeFile(join(folder, 'disks', name), '');
  assert.equal(await findDiskImage(roots), join(folder, 'disks/a.raw'));
});

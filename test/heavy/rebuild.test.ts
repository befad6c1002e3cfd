// Disaster recovery as docs/operations.md tells it: of a data folder only the repository and the passphrase are left,
// on another machine; then there is a catalog again, backups restore, and the service goes on.
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CliOptions, runInProcess, ServeProcess } from '../support/cli-process.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;

async function succeed(line: string, options: CliOptions): Promise<string> {
  const { code, stdout, stderr } = await runInProcess(line, options);
  assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
  return stdout;
}

async function serve(folder: string, options = ''): Promise<ServeProcess> {
  return await ServeProcess.start(`--listen 127.0.0.1:0 --volume-roots disks --reserve 0 ${options}`, { cwd: folder });
}

function asAdmin(folder: string, { url }: ServeProcess, password: string): CliOptions {
  return { cwd: folder, env: { OPENVBS_URL: url, OPENVBS_PASSWORD: password } };
}

test('repository and passphrase are enough to have everything back on an empty machine', async () => {
  await using lost = await makeTemporaryFolder();
  await using empty = await makeTemporaryFolder();
  await mkdir(join(lost.path, 'disks'));
  await writeFile(join(lost.path, 'disks', 'web.img'), fixedBytes(1, 2 * MIB));
  {
    await using server = await serve(lost.path, '--admin-password secret');
    const options = asAdmin(lost.path, server, 'secret');
    await succeed('volume add disks/web.img --name web', options);
    await succeed('backup create web --name first', options);
  }
  const data = join(empty.path, 'data');
  await cp(join(lost.path, 'data', 'repository'), join(data, 'repository'), { recursive: true });
  const offline = { cwd: empty.path };
  const without = await runInProcess('repository rebuild-catalog', offline);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /put it back/);
  await cp(join(lost.path, 'data', 'passphrase'), join(data, 'passphrase'));
  const { rebuilt } = JSON.parse(await succeed('repository rebuild-catalog --json', offline));
  const [project] = rebuilt.projects;
  assert.deepEqual([project.name, project.backupCount, project.refused], ['admin', 1, []]);
  assert.match(await succeed('repository rebuild-catalog', offline), /Nothing was done/);
  assert((await readdir(data)).includes('catalog.sqlite'));

  await mkdir(join(empty.path, 'disks'));
  await using server = await serve(empty.path);
  const options = asAdmin(empty.path, server, rebuilt.generatedPassword);
  const { backups } = JSON.parse(await succeed('backup list --json', options));
  assert.deepEqual(
    backups.map(({ name, status }: { name: string; status: string }) => [name, status]),
    [['first', 'available']],
  );
  await succeed('restore first --file disks/web.img', options);
  assert.deepEqual(await readFile(join(empty.path, 'disks', 'web.img')), fixedBytes(1, 2 * MIB));
  assert.match(await succeed('prune', options), /\d/);
  await succeed('volume add disks/web.img --name web', options);
  await succeed('backup create web --name second', options);
  // All of it is in the repository already: the hooks came back.
  const { usage } = JSON.parse(await succeed('backup stats second --json', options));
  assert(usage.unique_bytes < MIB / 4, `${usage.unique_bytes} bytes were stored again`);
  await succeed('restore first --file again.img', options);
  assert.deepEqual(await readFile(join(empty.path, 'again.img')), fixedBytes(1, 2 * MIB));
});

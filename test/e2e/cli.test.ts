// The command line against a real server, as processes: what people type, what comes back, exit codes for scripts.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { access, cp, mkdir, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type CliOptions,
  type CliResult,
  runCli,
  runInProcess,
  runProcess,
  ServeProcess,
} from '../support/cli-process.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1 << 20;
let temporary: TemporaryFolder;
let folder = '';
let server: ServeProcess;

before(async () => {
  temporary = await makeTemporaryFolder();
  folder = temporary.path;
  await mkdir(join(folder, 'disks'));
  await writeDisk('pasted.img', 2);
  server = await ServeProcess.start('--listen 127.0.0.1:0 --volume-roots disks', { cwd: folder });
  const login = await runInProcess('login --password-file -', { ...loggedIn(), stdin: `${password()}\n` });
  assert.equal(login.code, 0, login.stderr);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await temporary[Symbol.asyncDispose]();
});

/** A sparse disk: data at the beginning and at the end, a hole between. */
async function writeDisk(name: string, dataMib: number): Promise<string> {
  const path = join(folder, 'disks', name);
  await using file = await open(path, 'w');
  await file.write(randomBytes(dataMib * MIB), 0, dataMib * MIB, 0);
  await file.write(randomBytes(100_000), 0, 100_000, 40 * MIB);
  return path;
}

async function changeDisk(path: string, offsetBytes: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(randomBytes(65_536), 0, 65_536, offsetBytes);
}

async function listPacks(): Promise<string[]> {
  const entries = await readdir(join(server.field('Data'), 'repository'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.parentPath.includes('/packs/'));
  return files.map((entry) => join(entry.parentPath, entry.name));
}

async function assertSame(left: string, right: string): Promise<void> {
  assert.ok((await readFile(left)).equals(await readFile(right)), `${left} differs from ${right}`);
}

function password(): string {
  return server.field('Password').split(' ')[0] ?? '';
}

/** With the saved login of `before`: a password would be hashed anew for every command. */
function loggedIn(): CliOptions {
  return { cwd: folder, env: { OPENVBS_URL: server.url, XDG_CONFIG_HOME: join(folder, 'saved') } };
}

async function run(line: string, options: CliOptions = loggedIn()): Promise<CliResult> {
  return await runInProcess(line, options);
}

async function succeed(line: string): Promise<CliResult> {
  const result = await run(line);
  assert.equal(result.code, 0, `${line}\n${result.stdout}${result.stderr}`);
  return result;
}

/** Runs with --json and reads the one document on stdout. */
// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes, each checked by what the test reads of it.
async function succeedJson(line: string): Promise<any> {
  return JSON.parse((await succeed(`${line} --json`)).stdout);
}

async function refused(line: string, code: number, ...parts: readonly string[]): Promise<void> {
  const result = await run(line);
  assert.equal(result.code, code, `${line}: ${result.stderr}`);
  for (const part of parts) assert.ok(result.stderr.includes(part), `${line}: ${result.stderr}\n  lacks: ${part}`);
  assert.equal(result.stdout, '');
}

test('the commands of the start text work when they are pasted', async () => {
  const commands = server.startText.split('\n').filter((line) => line.includes('bin/openvbs.js'));
  assert.equal(commands.length, 3, server.startText);
  for (const command of commands) {
    const result = await runProcess('sh', ['-c', command], { cwd: folder });
    assert.equal(result.code, 0, `${command}\n${result.stderr}`);
  }
  const list = await runCli('backup list --json', { cwd: folder });
  assert.equal(JSON.parse(list.stdout).backups[0].status, 'available');
  assert.equal((await stat(join(folder, '.config/openvbs/session.json'))).mode & 0o777, 0o600);
  await access(server.field('Passphrase').split(' ')[0] ?? '');
  assert.equal((await runCli('logout', { cwd: folder })).code, 0);
  assert.equal((await runCli('backup list', { cwd: folder })).code, 4);
});

test('first backup, increment, and every kind of restore bring back the bytes of their moment', async () => {
  const disk = await writeDisk('web.img', 8);
  const moments = [join(folder, 'first.ref'), join(folder, 'second.ref')] as const;
  const { volume } = await succeedJson(`volume add disks/web.img`);
  assert.deepEqual([volume.name, volume.status, volume.sizeGib], ['web', 'available', 1]);
  const first = await succeedJson('backup create web --name first-point --tag tier=gold --description trial');
  assert.deepEqual(
    [first.backup.status, first.backup.isIncremental, first.job.status],
    ['available', false, 'SUCCESS'],
  );
  assert.equal(first.backup.description, 'trial');
  await cp(disk, moments[0]);
  await changeDisk(disk, 3 * MIB);
  const second = await succeedJson('backup create web');
  assert.equal(second.backup.isIncremental, true);
  assert.match(second.backup.name, /^web-\d{8}-\d{6}$/);
  assert.ok(second.job.progress.storedBytes < 2 * 65_536, JSON.stringify(second.job.progress));
  await cp(disk, moments[1]);

  await succeed(`restore first-point --file out.img`);
  await assertSame(join(folder, 'out.img'), moments[0]);
  const { size, blocks } = await stat(join(folder, 'out.img'));
  assert.ok(blocks * 512 < size / 2, 'holes stay holes');

  await succeed('restore first-point --in-place');
  await assertSame(disk, moments[0]);
  const { stdout: readBack } = await succeed('restore first-point --in-place --verify');
  assert.match(readBack, /\n0 B written, .* were the same already\. All of it was read back/);

  await changeDisk(disk, 5 * MIB);
  await succeed(`restore ${second.backup.id} --to-volume ${volume.id}`);
  await assertSame(disk, moments[1]);

  const created = await succeedJson('restore first-point --new-volume web-copy');
  assert.deepEqual([created.volume.name, created.volume.status], ['web-copy', 'available']);
  const copied = await succeedJson('backup create web-copy --name of-copy');
  await succeed(`restore ${copied.backup.id} --file copy.img`);
  await assertSame(join(folder, 'copy.img'), moments[0]);

  await succeed('backup delete first-point');
  await succeed(`restore ${second.backup.name} --file out.img --overwrite`);
  await assertSame(join(folder, 'out.img'), moments[1]);
});

test('lists and details show what there is', async () => {
  const { volume } = await succeedJson('volume create --size 1 --name listed');
  const { job } = await succeedJson('backup create listed --name listed-1 --no-wait');
  const watched = await succeedJson(`job watch ${job.id}`);
  assert.equal(watched.job.status, 'SUCCESS');
  const table = (await succeed('backup list --volume listed')).stdout.split('\n');
  assert.match(table[0] ?? '', /^ID +NAME +VOLUME +STATUS/);
  assert.match(table[1] ?? '', /listed-1 +listed +available +1 GiB +full/);
  const { backup } = await succeedJson('backup show listed-1');
  assert.equal(backup.volumeId, volume.id);
  assert.deepEqual((await succeedJson(`backup show ${backup.id}`)).backup, backup);
  assert.ok((await succeed('volume list')).stdout.includes('listed'));
  assert.ok((await succeed('job list --limit 3')).stdout.includes(job.id));
  assert.ok((await succeed(`job show ${job.id}`)).stdout.includes('SUCCESS'));
  await succeed(`volume delete listed`);
  assert.ok(
    (await succeed(`backup list --volume ${volume.id}`)).stdout.includes('listed-1'),
    'backups outlive volumes',
  );
  await refused(`restore listed-1 --in-place`, 3, 'no longer exists', '--new-volume');
});

test('exit codes and errors tell what happened and what to do', async () => {
  await writeFile(join(folder, 'existing.img'), 'x');
  await succeed('volume create --size 1 --name twin');
  await succeed('volume create --size 1 --name twin');
  await succeed('volume create --size 1 --name tiny');
  await succeed('backup create tiny --name tiny-1');
  await refused('volume show none', 3, 'no volume named "none"', 'volume list');
  await refused('backup show 00000000-0000-4000-8000-000000000000', 3);
  await refused('job show 00000000-0000-4000-8000-000000000000', 3);
  await refused('backup create twin', 1, '2 volumes are named "twin"');
  await refused('volume add /etc/hostname', 1, 'OPENVBS_VOLUME_ROOTS');
  await refused('backup create tiny --name auto-x', 1, 'VolumeBackup.0005');
  await refused('backup craete', 2, 'Did you mean create?');
  await refused('restore tiny-1', 2, 'one target is needed');
  await refused('restore tiny-1 --in-place --file x', 2, 'only one target');
  await refused('restore tiny-1 --file existing.img', 2, '--overwrite');
  await refused('volume create --size big', 2);
  await refused('serve --max-jobs 0', 2, 'Setting maxJobs', 'flag --max-jobs');
  const options = { cwd: folder, env: { OPENVBS_URL: server.url } };
  assert.equal((await run('volume list', options)).code, 4);
  const wrong = { cwd: folder, env: { OPENVBS_URL: server.url, OPENVBS_PASSWORD: 'wrong' } };
  assert.equal((await run('volume list', wrong)).code, 4);
  const nobody = await run('volume list --json', {
    cwd: folder,
    env: { OPENVBS_URL: 'http://127.0.0.1:1', OPENVBS_PASSWORD: 'x' },
  });
  assert.equal(nobody.code, 5);
  assert.deepEqual(
    [JSON.parse(nobody.stdout).error.exitCode, JSON.parse(nobody.stdout).error.code],
    [5, 'UNREACHABLE'],
  );
});

test('a job that fails is exit code 6, with the reason of the server', async () => {
  const disk = await writeDisk('shrunk.img', 1);
  await succeed('volume add disks/shrunk.img');
  await truncate(disk, 65_536);
  const result = await run('backup create shrunk --json');
  assert.equal(result.code, 6, result.stderr);
  assert.match(result.stderr, /job .* failed: /);
  assert.equal(JSON.parse(result.stdout).error.exitCode, 6);
});

test('a backup that cannot be read is deleted like any other, and it is told what it was', async () => {
  const disk = await writeDisk('damaged.img', 1);
  const { volume } = await succeedJson('volume add disks/damaged.img');
  const packs = await listPacks();
  await succeed('backup create damaged --name damaged-1');
  const [pack] = (await listPacks()).filter((path) => !packs.includes(path));
  assert(pack !== undefined);
  await changeDisk(pack, 1000);
  // What the disk still holds would not be read from the pack.
  await changeDisk(disk, 0);
  assert.equal((await run('restore damaged-1 --in-place')).code, 6);
  const { stdout } = await succeed('backup delete damaged-1 --yes');
  assert.match(stdout, /Deleted backup damaged-1, which was error_restoring/);
  await refused('backup show damaged-1', 3);
  await access(disk);
  assert.equal((await succeedJson(`volume show ${volume.id}`)).volume.status, 'error_restoring');
});

test('a restore to a file that fails leaves nothing behind', async () => {
  await mkdir(join(folder, 'readonly'));
  await refused('restore nothing-of-that-name --file readonly/x.img', 3);
  await assert.rejects(access(join(folder, 'readonly/x.img')));
  await refused('restore tiny-1 --file missing-folder/x.img', 3, 'there is no folder', 'missing-folder');
});

test('OpenStack variables reach the server through its catalog', async () => {
  const env = {
    OS_AUTH_URL: `${server.url}/identity/v3`,
    OS_USERNAME: 'admin',
    OS_PASSWORD: password(),
    OS_PROJECT_NAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
  };
  assert.equal((await run('volume list', { cwd: folder, env })).code, 0);
});

test('help and version need no server', async () => {
  const options = { cwd: folder };
  assert.ok((await run('', options)).stdout.includes('backup create VOLUME'));
  assert.ok((await run('help serve', options)).stdout.includes('OPENVBS_LISTEN'));
  assert.match((await runCli('--version', options)).stdout, /^openvbs \d+\.\d+\.\d+/);
  assert.equal((await run('config --json --region here', options)).code, 0);
});

test('repository info reads the data folder, beside the server or without it', async () => {
  const { repository } = await succeedJson('repository info');
  assert.equal(repository.formatVersion, 1);
  assert.equal(repository.projects.length, 1);
  assert.ok(repository.projects[0].packs.bytes > 8 * MIB);
  assert.ok(repository.projects[0].backupCount >= 2);
  await refused('repository info --data nowhere', 3, 'no repository in');
});

test('a signal ends the service in order, and the next start finds everything', async () => {
  await using fixture = await makeTemporaryFolder();
  const options = { cwd: fixture.path };
  const first = await ServeProcess.start('--listen 127.0.0.1:0', options);
  const env = { OPENVBS_PASSWORD: first.field('Password').split(' ')[0] ?? '' };
  assert.equal((await runCli(`volume create --size 1 --name kept --url ${first.url}`, { ...options, env })).code, 0);
  assert.equal((await first.stop('SIGINT')).code, 0);
  await using second = await ServeProcess.start('--listen 127.0.0.1:0', options);
  assert.equal(second.field('Password'), '');
  const list = await runCli(`volume list --url ${second.url}`, { ...options, env });
  assert.ok(list.stdout.includes('kept'), list.stderr);
  const locked = await runCli('serve --listen 127.0.0.1:0', options);
  assert.equal(locked.code, 1);
  assert.ok(locked.stderr.includes('in use by another process'), locked.stderr);
});

test('development mode has a sample to try things on, and leaves nothing behind', async () => {
  await using fixture = await makeTemporaryFolder();
  const options = { cwd: fixture.path, env: { TMPDIR: fixture.path } };
  const serve = await ServeProcess.start('--dev --listen 127.0.0.1:0', options);
  const dataFolder = serve.field('Data');
  assert.ok(dataFolder.startsWith(fixture.path), dataFolder);
  for (const command of serve.startText.split('\n').filter((line) => line.includes('bin/openvbs.js'))) {
    const result = await runProcess('sh', ['-c', command], options);
    assert.equal(result.code, 0, `${command}\n${result.stderr}`);
  }
  assert.equal((await serve.stop()).code, 0);
  await assert.rejects(access(dataFolder));
});

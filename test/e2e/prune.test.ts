// Space comes back on a real server: deleted backups, `openvbs prune`, what the repository holds before and after, and
// every other backup as it was.
import assert from 'node:assert/strict';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { type CliResult, runInProcess, ServeProcess } from '../support/cli-process.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { auditRepository } from '../support/repository-audit.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('prune gives back what deleted backups used, and the rest restores', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  await mkdir(join(folder, 'disks'));
  await using server = await ServeProcess.start('--listen 127.0.0.1:0 --volume-roots disks --reserve 0', {
    cwd: folder,
  });
  const env = { OPENVBS_URL: server.url, XDG_CONFIG_HOME: join(folder, 'saved') };
  const run = async (line: string, stdin?: string): Promise<CliResult> => {
    const result = await runInProcess(line, { cwd: folder, env, ...(stdin === undefined ? {} : { stdin }) });
    assert.equal(result.code, 0, `${line}\n${result.stdout}${result.stderr}`);
    return result;
  };
  const ask = async (line: string) => JSON.parse((await run(`${line} --json`)).stdout);
  await run('login --password-file -', `${server.field('Password').split(' ')[0] ?? ''}\n`);

  const path = join(folder, 'disks', 'web.img');
  const write = async (seed: number, offsetBytes: number, sizeBytes: number) => {
    await using file = await open(path, 'a+').then(async (made) => {
      await made.close();
      return open(path, 'r+');
    });
    await file.write(fixedBytes(seed, sizeBytes), 0, sizeBytes, offsetBytes);
    await file.sync();
  };
  const settle = () => new Promise((resolve) => setTimeout(resolve, 100));
  await write(1, 0, 8 * MIB);
  await settle();
  await run('volume add disks/web.img');
  await run('backup create web --name first');
  // Of the first 8 MiB one stays.
  await write(2, MIB, 7 * MIB);
  await settle();
  await run('backup create web --name second');
  const expected = await readFile(path);

  const { usage } = await ask('repository stats');
  assert.deepEqual([usage.backups.length, usage.dead_bytes], [2, 0]);
  const { stdout: table } = await run('repository stats');
  for (const name of ['web', 'first', 'second']) assert.match(table, new RegExp(`^[0-9a-f-]{36}  ${name} `, 'm'));
  const { usage: first } = await ask('backup stats first');
  assert(first.unique_bytes > 7 * MIB && first.unique_bytes < 7.2 * MIB, `${first.unique_bytes} unique bytes`);
  await run('backup delete first --yes');
  const { report: planned } = await ask('prune --dry-run');
  assert.equal(planned.packs[0].action, 'compact');
  assert.match((await run('prune --dry-run')).stdout, /compact/);
  const { report } = await ask('prune');
  assert.equal(report.compacted_count, 1);
  assert(Math.abs(report.freed_bytes - first.unique_bytes) < MIB / 4, `${report.freed_bytes} bytes freed`);
  assert(Math.abs(report.freed_bytes - planned.freed_bytes) < MIB / 4);
  const after = await ask('repository stats');
  assert(after.usage.stored_bytes < usage.stored_bytes - 6.9 * MIB);
  assert.deepEqual(await auditRepository(join(folder, 'data')), {
    unknownNames: [],
    missingNames: [],
    trashedNames: [],
  });
  await write(3, 0, 8 * MIB);
  await settle();
  await run('restore second --in-place --yes');
  assert(expected.equals(await readFile(path)), 'the restored disk differs');
  const { report: adopted } = await ask('repository adopt');
  assert.deepEqual([adopted.sound_count, adopted.adopted, adopted.unreadable], [1, [], []]);
  const quiet = await ask('prune');
  assert.equal(typeof quiet.report.quarantined_until, 'number');
  assert.match((await run('prune')).stdout, /^Nothing was given back: .* prune waits until \d{4}-/);
});
